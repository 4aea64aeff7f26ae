# Two commands set everything up on a machine with Python 3.11 and make: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test check bench bench-check clean

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "rft needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[hf,openai,dev]'
	touch $@

demo: $(INSTALLED)
	$(BIN)/rft build 'demo-*'
	$(BIN)/rft stats demo-rft-union
	$(BIN)/rft scores

test: $(INSTALLED) check
	$(BIN)/python -m pytest -n 2

check: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks.startup
	$(BIN)/python -m benchmarks.hostile
	$(BIN)/python -m benchmarks.rejection

bench-check: $(INSTALLED)
	$(BIN)/python -m benchmarks.startup --check
	$(BIN)/python -m benchmarks.hostile --check
	$(BIN)/python -m benchmarks.rejection --check

clean:
	rm -rf $(VENV) .rft .pytest_cache .mypy_cache .ruff_cache .hypothesis
