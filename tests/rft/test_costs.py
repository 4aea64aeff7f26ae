"""`rft cost`: what lines will take, and took."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from eval.fits.costs import PROMPT, QUESTIONS, RESPONSE, SHAPES, generation, training
from registry.catalog.bind import location_hash
from registry.catalog.read import read
from registry.errors import NotFound, UsageError
from registry.names import parse_id
from rft.reports.costs import Cost, Costs, Terms, all_for, costs, of_draws, report
from tests.rft.test_cli import rft
from tests.tiny_models import tiny_model
from tests.workspace import ROOT, SIX, Workspace, samples_of

HUB = '{trainer: hub, params: {repo: some/model, revision: "0123456789012345678901234567890123456789"}}'
A100 = Terms(device="A100 80GB")


def cost(workspace: Workspace, *names: str, terms: Terms = A100) -> Costs:
    steps = workspace.plan() if workspace.file.exists() else {}
    return costs(all_for(names, steps, workspace.store), steps, workspace.store, workspace.folder, terms)


def one(workspace: Workspace, name: str, terms: Terms = A100) -> Cost:
    """Return the cost of the line `name`, without what it needs."""
    return next(found for found in cost(workspace, name, terms=terms).costs if found.id == name)


LINES = [
    "six@1: {builder: questions_file, params: {path: six.jsonl, sha256: ?}}",
    'tiny@1: {trainer: local, params: {path: tiny, sha256: "DIGEST"}}',
    "tuned@1: {trainer: sft, inputs: [tiny@1, six@1], params: {epochs: 2, batch: 2, prompt: plain, dtype: fp32}}",
    "two@1: {builder: samples, inputs: [six@1, tuned@1], params: {k: 2, max_tokens: 6}}",
    "set@1: {builder: rejection, inputs: [six@1, two@1], params: {no_path: keep}}",
]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Six questions, a tiny model tuned on them, two draws of each, and the selection of them."""
    made = Workspace(tmp_path_factory.mktemp("costs"))
    made.write("six.jsonl", SIX)
    tiny_model(made.folder / "tiny")
    add_lines(made)
    made.build("set")
    return made


@pytest.fixture
def lines(built: Workspace, tmp_path: Path) -> Workspace:
    """The same, with a catalog and records that a test may change."""
    shutil.copytree(built.folder, tmp_path / "copy")
    made = Workspace(tmp_path / "copy")
    add_lines(made)
    return made


def add_lines(workspace: Workspace) -> None:
    digest = location_hash(workspace.folder / "tiny")
    workspace.add(*(line.replace("DIGEST", digest) for line in LINES))


def say_in_record(workspace: Workspace, name: str, **facts: Any) -> None:
    """Change facts of a record, as if it had been made otherwise."""
    file = workspace.stored(name).folder / "artifact.json"
    record = json.loads(file.read_bytes())
    record["facts"] |= facts
    file.chmod(0o644)
    file.write_text(json.dumps(record))


# -- before anything is built -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Costs:
    """The costs of the paper's lines of catalog.yaml, with nothing built."""
    from registry.catalog.plan import plan
    from registry.store.store import Store

    store = Store(tmp_path_factory.mktemp("empty"))
    steps = plan(read(ROOT / "catalog.yaml"), store)
    return costs(all_for(["llama-7b-rft-greedy"], steps, store), steps, store, ROOT, A100)


def test_the_papers_lines_cost_what_its_formulas_say(paper: Costs) -> None:
    sft, samples, _, greedy = paper.costs
    assert [sft.id, samples.id] == ["llama-7b-sft@1", "gsm8k-samples-llama-7b@1"]
    llama = SHAPES["llama-7b"]
    assert sft.planned.tokens == 3 * QUESTIONS * (PROMPT + RESPONSE)
    assert sft.planned.flops == training(llama.parameters, sft.planned.tokens)
    assert samples.planned.draws == 100 * QUESTIONS
    assert samples.planned.flops == pytest.approx(100 * QUESTIONS * generation(llama, PROMPT, RESPONSE))
    assert greedy.planned.draws == 1319
    assert paper.total.flops == pytest.approx(sum(line.planned.flops or 0 for line in (sft, samples, greedy)))


def test_without_a_utilisation_hours_are_those_of_table_4_and_that_is_said(paper: Costs) -> None:
    sft, samples, *_ = paper.costs
    assert sft.planned.hours == pytest.approx(0.6)
    assert samples.planned.hours == pytest.approx(10)
    assert any("assumed: sft at 25% of the peak" in said for said in paper.assumed)
    assert any("assumed: samples at 15% of the peak" in said for said in paper.assumed)


def test_what_nobody_knows_is_no_figure_and_not_in_the_total(paper: Costs) -> None:
    rft_ = paper.costs[2]
    assert rft_.unknown == ["nobody knows the rows of gsm8k-rft-llama-7b@1 before it is built"]
    assert (rft_.planned.tokens, rft_.planned.flops, rft_.planned.hours) == (None, None, None)
    assert "without 1 line that nobody knows" in report(paper)


def test_a_base_of_unknown_size_is_named_with_its_cure(workspace: Workspace) -> None:
    workspace.add(f"base@1: {HUB}", "tuned@1: {trainer: sft, inputs: [base@1, six@1]}")
    assert any("base@1 is a base of unknown size: say its `parameters`" in why for why in one(workspace, "tuned@1").unknown)
    workspace.add(f"base@1: {HUB.replace('repo', 'parameters: 6.5e+10, repo')}")
    found = one(workspace, "tuned@1")
    assert not any("unknown size" in why for why in found.unknown)
    assert found.gpus == 13  # 16 bytes for each of 65e9 parameters, of 80 GB


def test_fractions_and_made_up_problems_are_counted_before_they_are_built(workspace: Workspace) -> None:
    workspace.add(
        f"base@1: {HUB}",
        "stories@1: {builder: story_problems, params: {split: train, count: 101, seed: 1}}",
        "part@1: {builder: fraction, inputs: [stories@1], params: {denominator: 4, seed: 1}}",
        "rest@1: {builder: fraction, inputs: [stories@1], params: {denominator: 4, seed: 1, part: out}}",
        "a@1: {builder: samples, inputs: [part@1, base@1], params: {k: 3}}",
        "b@1: {builder: samples, inputs: [rest@1, base@1], params: {k: 3}}",
    )
    assert [line.planned.draws for line in cost(workspace, "a", "b").costs] == [3 * 25, 3 * 76]


# -- by what is built -------------------------------------------------------------------------------------------------------


def test_the_texts_and_the_bases_tokenizer_say_what_a_training_takes(built: Workspace) -> None:
    found = one(built, "tuned@1")
    assert found.sources == ["as in the texts of six@1"]
    assert found.measured is not None
    assert found.planned.tokens == pytest.approx(found.measured.tokens)
    assert found.planned.flops == pytest.approx(found.measured.flops)


def test_a_built_line_shows_what_it_took(built: Workspace) -> None:
    rows, facts = built.made("two@1").rows, built.stored("two@1").record.facts
    measured = one(built, "two@1").measured
    assert measured is not None
    assert (measured.draws, measured.tokens) == (12, rows["tokens"].sum())
    assert measured.prompt_tokens == facts["prompt_tokens"] > 0
    assert measured.hours == facts["seconds"] / 3600 > 0
    assert measured.bytes == built.stored("two@1").record.bytes
    assert "cpu" in str(measured.device)


def test_draws_made_before_leave_the_hours_unknown(lines: Workspace) -> None:
    say_in_record(lines, "two@1", draws_made=4, draws_reused=8)
    found = one(lines, "two@1")
    assert found.measured is not None
    assert (found.measured.draws, found.measured.hours) == (12, None)
    assert "8 draws had been made before" in report(cost(lines, "two@1"))


def test_a_line_like_a_built_one_takes_what_that_took(lines: Workspace) -> None:
    lines.add("ten@1: {builder: samples, inputs: [six@1, tuned@1], params: {k: 10, max_tokens: 6}}")
    found, facts = one(lines, "ten@1"), lines.stored("two@1").record.facts
    assert found.sources == ["like two@1"]
    assert found.planned.tokens == pytest.approx(5 * facts["tokens"])
    assert found.planned.prompt_tokens == pytest.approx(5 * facts["prompt_tokens"])
    assert found.planned.bytes == pytest.approx(5 * lines.stored("two@1").record.bytes)
    assert found.measured is None


def test_a_line_whose_record_says_no_tokens_is_passed_over(lines: Workspace) -> None:
    lines.add("ten@1: {builder: samples, inputs: [six@1, tuned@1], params: {k: 10, max_tokens: 6}}")
    say_in_record(lines, "two@1", tokens=None)
    found = one(lines, "ten@1")
    assert found.sources == ["as in the texts of six@1"]
    assert found.planned.tokens == 10 * 6 * 6  # solutions are longer than max_tokens


def test_draws_that_may_be_longer_are_not_like_short_ones(lines: Workspace) -> None:
    lines.add("long@1: {builder: samples, inputs: [six@1, tuned@1], params: {k: 2, max_tokens: 20}}")
    assert one(lines, "long@1").sources == ["as in the texts of six@1"]


def test_few_shot_prompts_are_not_like_bare_ones(lines: Workspace) -> None:
    lines.add("more@1: {builder: questions_file, params: {path: six.jsonl, sha256: ?}}")
    lines.add("shots@1: {builder: samples, inputs: [six@1, tuned@1, more@1], params: {k: 1, shots: 2}}")
    assert one(lines, "shots@1").unknown == ["nobody knows the tokens before a line like shots@1 is built"]


def test_a_selection_has_as_many_rows_a_question_as_one_made_alike(lines: Workspace) -> None:
    lines.add(
        "again@1: {builder: samples, inputs: [six@1, tuned@1], params: {k: 2, max_tokens: 6, seed: 1}}",
        "more@1: {builder: samples, inputs: [six@1, tuned@1], params: {k: 3, max_tokens: 6}}",
        "alike@1: {builder: rejection, inputs: [six@1, again@1], params: {no_path: keep}}",
        "other@1: {builder: rejection, inputs: [six@1, more@1], params: {no_path: keep}}",
        "half@1: {builder: fraction, inputs: [alike@1], params: {denominator: 2, seed: 1}}",
        "on-half@1: {trainer: sft, inputs: [tiny@1, half@1], params: {prompt: plain}}",
        "on-alike@1: {trainer: sft, inputs: [tiny@1, alike@1], params: {epochs: 3, prompt: plain}}",
        "on-other@1: {trainer: sft, inputs: [tiny@1, other@1], params: {epochs: 3, prompt: plain}}",
    )
    found = one(lines, "on-alike@1")
    each = lines.stored("tuned@1").record.facts["tokens"] / 12
    assert "as many rows a question as set@1" in found.sources
    assert found.planned.tokens == pytest.approx(3 * lines.stored("set@1").record.rows * each)
    assert one(lines, "on-half@1").unknown == ["nobody knows the rows of half@1 before it is built"]
    assert one(lines, "on-other@1").unknown == ["nobody knows the rows of other@1 before it is built"]


def test_two_files_of_samples_are_not_alike(workspace: Workspace) -> None:
    for name in ("a", "b"):
        workspace.write(f"{name}.jsonl", samples_of({0: [f"4*6=<<4*6=24>>24, {name}\n#### 15"]}))
        workspace.add(
            f"{name}@1: {{builder: samples_file, inputs: [six@1], params: {{path: {name}.jsonl, sha256: ?}}}}",
            f"set-{name}@1: {{builder: rejection, inputs: [six@1, {name}@1]}}",
        )
    workspace.add(f"base@1: {HUB}", "tuned@1: {trainer: sft, inputs: [base@1, set-b@1]}")
    workspace.build("set-a")
    assert "nobody knows the rows of set-b@1 before it is built" in one(workspace, "tuned@1").unknown


def test_the_utilisation_is_that_of_a_similar_line_on_the_same_device(lines: Workspace) -> None:
    lines.add("ten@1: {builder: samples, inputs: [six@1, tuned@1], params: {k: 10, max_tokens: 6}}")
    say_in_record(lines, "two@1", engines=["vllm 1, NVIDIA A100-SXM4-80GB, bfloat16"], seconds=5.0)
    found, took = one(lines, "ten@1"), one(lines, "two@1").measured
    assert took is not None
    assert found.planned.utilisation == took.utilisation
    assert found.planned.hours == pytest.approx(5 * 5 / 3600, rel=0.01)
    assert "utilisation as measured there" in found.sources
    assert one(lines, "ten@1", Terms(device="H200")).planned.utilisation != took.utilisation
    assert one(lines, "ten@1", Terms(device="A100 80GB", utilisation=0.4)).planned.utilisation == 0.4


def test_a_pre_training_takes_what_another_took_on_the_same_text(workspace: Workspace) -> None:
    recipe = "hidden: 32, layers: 1, heads: 1, vocab: 300, dtype: fp32"
    workspace.add(
        "text@1: {builder: story_text, params: {lines: 60, seed: 1}}",
        "held@1: {builder: story_text, params: {lines: 10, seed: 2}}",
        f"base@1: {{trainer: pretrain, inputs: [text@1, held@1], params: {{{recipe}}}}}",
        f"long@1: {{trainer: pretrain, inputs: [text@1, held@1], params: {{{recipe}, epochs: 3}}}}",
    )
    assert one(workspace, "base@1").unknown == ["nobody knows the tokens before a line like base@1 is built"]
    workspace.build("base")
    found, facts = one(workspace, "long@1"), workspace.stored("base@1").record.facts
    assert found.sources == ["like base@1"]
    assert found.planned.tokens == pytest.approx(3 * facts["tokens"])
    assert found.planned.flops == pytest.approx(6 * 12 * 32**2 * 3 * facts["tokens"])


def test_the_hours_of_several_devices_are_added(lines: Workspace) -> None:
    say_in_record(lines, "tuned@1", device="2 x NVIDIA H200", seconds=1800.0)
    measured = one(lines, "tuned@1").measured
    assert measured is not None
    assert measured.hours == 1


def test_money_is_by_the_hour_or_by_the_token(built: Workspace) -> None:
    by_hour = cost(built, "two", terms=Terms(device="H100", price=2.0)).costs
    assert all(line.planned.money == pytest.approx(2 * (line.planned.hours or 0)) for line in by_hour)
    tuned, two = cost(built, "two", terms=Terms(price_in=1.0, price_out=3.0)).costs
    assert tuned.planned.money is None  # a server that sells tokens trains nothing
    assert two.planned.money == pytest.approx(((two.planned.prompt_tokens or 0) + 3 * (two.planned.tokens or 0)) / 1e6)


def test_what_a_line_took_is_priced_by_the_hour_only_on_the_device_that_has_the_price(lines: Workspace) -> None:
    say_in_record(lines, "two@1", engines=["vllm 1, NVIDIA H100 80GB HBM3, bfloat16"], seconds=7200.0)
    for device, money in (("H100", 6.0), ("H200", None)):
        measured = one(lines, "two@1", Terms(device=device, price=3.0)).measured
        assert measured is not None
        assert measured.money == money


def test_an_artifact_without_a_line_shows_what_it_took(lines: Workspace) -> None:
    lines.file.unlink()
    found = one(lines, "two@1")
    assert found.measured is not None
    assert found.measured.draws == found.planned.draws == 12
    with pytest.raises(NotFound, match="tow is neither in the catalog nor built"):
        cost(lines, "tow")


def test_a_base_may_gain_its_parameters_after_it_was_built(lines: Workspace) -> None:
    lines.add(LINES[1].replace("DIGEST", location_hash(lines.folder / "tiny")).replace("path:", "parameters: 1.0e+3, path:"))
    assert lines.plan()[parse_id("tiny@1")].state == "ok"


# -- what goes wrong, and the command -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"device": "H1000"}, "--device H1000 is not known. Did you mean H100.* There are B200, H200"),
        ({"device": "H100", "price": -1.0}, "--price is -1; a price is a number from 0"),
        ({"price_in": float("nan"), "price_out": 1.0}, "--price-in is nan"),
        ({"price_in": 1.0}, "go together"),
        ({"device": "H100", "utilisation": 40.0}, "--utilisation is 40; it is a share of the peak"),
        ({"price": 2.0}, "--price is that of a GPU hour: name the --device too"),
        ({"utilisation": 0.4}, "name the --device too"),
    ],
)
def test_terms_that_do_not_go_together_are_refused(said: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Terms(**said)


def test_the_command_prints_tables_and_json(lines: Workspace) -> None:
    lines.add("ten@1: {builder: samples, inputs: [six@1, tuned@1], params: {k: 10, max_tokens: 6}}")
    out, err = rft("cost", "ten", cwd=lines.folder)
    assert [line.split()[0] for line in out.splitlines()] == ["line", "tuned@1", "measured", "ten@1", "total"]
    assert not err
    found = json.loads(rft("cost", "ten", "--device", "L4", "--price", "0.5", "--json", cwd=lines.folder)[0])
    assert [line["id"] for line in found["costs"]] == ["tuned@1", "ten@1"]
    assert found["total"]["money"] > 0
    assert "There are B200" in rft("cost", "ten", "--device", "toaster", cwd=lines.folder, code=2)[1]


def test_a_plan_with_costs_is_of_what_is_missing(lines: Workspace) -> None:
    lines.add("ten@1: {builder: samples, inputs: [six@1, tuned@1], params: {k: 10, max_tokens: 6}}")
    found = json.loads(rft("plan", "--cost", "--json", cwd=lines.folder)[0])
    assert [line["id"] for line in found["costs"]] == ["ten@1"]
    assert rft("plan", "six", "--cost", cwd=lines.folder)[0] == "nothing of this samples or trains: it costs no GPU.\n"
    assert "say --cost too" in rft("plan", "--device", "H100", cwd=lines.folder, code=2)[1]


def test_advice_says_what_its_draws_would_take(built: Workspace) -> None:
    steps = built.plan()
    own = one(built, "two@1", Terms(device="A100 80GB", price=2.0)).planned
    terms = Terms(device="A100 80GB", price=2.0)
    found = of_draws({"two@1": 36.0, "six@1": 6.0}, steps, built.store, built.folder, terms)
    assert list(found) == ["two@1"]
    assert own.draws == 12
    for name in ("draws", "prompt_tokens", "tokens", "flops", "hours", "money"):
        assert getattr(found["two@1"], name) == pytest.approx(3 * getattr(own, name))
    told = json.loads(rft("advise", "set", "--predict", "8", "--device", "H100", "--json", cwd=built.folder)[0])
    assert told["temperatures"] == {"two@1": 0.7}
    assert told["spent"]["two@1"]["draws"] == 36
    assert told["spent"]["two@1"]["device"] == "H100"
