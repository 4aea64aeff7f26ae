"""`rft advise`: what more draws would give."""

import json

import pytest

from registry.errors import InputError
from rft.reports.advise import advise
from tests.rft.test_cli import rft
from tests.workspace import SIX, Workspace

PATHS = [
    "6*4=<<6*4=24>>24, 24-9=<<24-9=15>>15",
    "30/2=<<30/2=15>>15",
    *(f"{n}+{15 - n}=<<{n}+{15 - n}=15>>15" for n in range(1, 7)),
]


@pytest.fixture
def drawn(workspace: Workspace) -> Workspace:
    workspace.write(
        "s.jsonl",
        [
            {
                "question": row["question"],
                "completion": f"{PATHS[(place * 3 + draw * (draw + 1) // 2) % 8]}\n#### 15",
                "model": "m",
            }
            for place, row in enumerate(SIX)
            for draw in range(8)
        ],
    )
    workspace.add("s@1: {builder: samples_file, inputs: [six@1], params: {path: s.jsonl, sha256: ?}}")
    workspace.add("set@1: {builder: rejection, inputs: [six@1, s@1]}")
    workspace.build("set@1")
    return workspace


def test_each_source_is_told_of_as_a_whole_and_by_difficulty(drawn: Workspace) -> None:
    found = advise(drawn.registry.load("set"))
    whole, *bands = found.outlooks
    assert (whole.source, whole.band, whole.draws, found.to) == ("s@1", None, 8, 16)
    assert whole.expected.questions == sum(one.expected.questions for one in bands) == 6
    assert whole.expected.seen == sum(one.expected.seen for one in bands)
    assert whole.unsolved == sum(one.unsolved for one in bands)


def test_only_draws_below_k_count(drawn: Workspace) -> None:
    few, all_ = (advise(drawn.registry.load("set"), k).outlooks[0] for k in (2, None))
    assert few.draws == 2
    assert few.expected.seen < all_.expected.seen


@pytest.mark.parametrize(
    ("k", "to", "says"), [(9, None, "no source of set@1 has more than 8"), (None, 8, "must be above the 8")]
)
def test_what_cannot_be_predicted_is_refused(drawn: Workspace, k: int | None, to: int | None, says: str) -> None:
    with pytest.raises(InputError, match=says):
        advise(drawn.registry.load("set"), k, to)


def test_questions_have_no_advice(drawn: Workspace) -> None:
    with pytest.raises(InputError, match="graded no samples"):
        advise(drawn.registry.load("six"))


def test_the_command_prints_advice_or_that_it_does_not_know(drawn: Workspace) -> None:
    out, _ = rft("advise", "set", cwd=drawn.folder)
    assert "set@1: from so many draws of each question to 16 (canonical key)" in out
    assert "8 more draws from s@1: about" in out
    assert "I do not know: 40 draws are 5 times" in rft("advise", "set", "--predict", "40", cwd=drawn.folder)[0]
    found = json.loads(rft("advise", "set", "--json", cwd=drawn.folder)[0])
    assert found["outlooks"][0]["expected"]["to"] == 16


def test_earlier_stops_are_those_that_counting_draw_by_draw_gives(drawn: Workspace) -> None:
    artifact = drawn.registry.load("set")
    draws: dict[str, list[str | None]] = {}
    for row in artifact.sql("from verdicts order by question_id, draw").iter_rows(named=True):
        right = row["right_answer"] and not row["bad_equation"]
        draws.setdefault(row["question_id"], []).append(row["path_canonical"] if right else None)
    stops = advise(artifact).stops
    assert stops
    for stop in stops:
        made = kept = 0
        for paths in draws.values():
            seen: set[str] = set()
            for path in paths:
                if len(seen) == stop.paths:
                    break
                made += 1
                seen |= {path} if path else set()
            kept += len(seen)
        assert (stop.draws, stop.kept) == (made, kept)
        assert stop.of_draws == sum(map(len, draws.values()))


def gold(row: dict[str, str]) -> str:
    return row["answer"].rpartition("#### ")[2]


def test_unsolved_questions_are_told_by_source(workspace: Workspace) -> None:
    for name, solved in (("a", 2), ("b", 3)):
        rows = [
            {"question": row["question"], "completion": f"#### {gold(row) if place in (solved, 0) else 'none'}", "model": name}
            for place, row in enumerate(SIX)
        ]
        workspace.write(f"{name}.jsonl", rows)
        workspace.add(f"{name}@1: {{builder: samples_file, inputs: [six@1], params: {{path: {name}.jsonl, sha256: ?}}}}")
    workspace.add("set@1: {builder: rejection, inputs: [six@1, a@1, b@1]}")
    workspace.build("set@1")
    found = {one.source: (one.questions, one.by_others) for one in advise(workspace.registry.load("set")).unsolved}
    assert found == {None: (3, 0), "a@1": (4, 1), "b@1": (4, 1)}
