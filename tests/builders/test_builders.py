"""The builders: which rows they keep, which they refuse, and why."""

import gzip
import io
import json
import sqlite3
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import stamina

from builders import fraction, gsm8k
from registry.errors import InputError, RemoteError
from registry.names import parse_id
from registry.rows import question_id
from tests.fakehub import Fault, pointing_at, serving
from tests.workspace import IDS, SIX, Made, Workspace, json_lines, samples_of

Make = Callable[..., Made]
QUESTIONS_LINE = "q@1: {builder: questions_file, params: {path: %s, sha256: ?, max_refused: %s}}"
SAMPLES_LINE = "s@1: {builder: samples_file, inputs: [six@1], params: {path: %s, sha256: ?, max_refused: %s}}"


def drops(workspace: Workspace, name: str) -> list[tuple[int, str, str | None]]:
    """Return (line, reason, detail) of what was refused, as SQL shows it."""
    return workspace.registry.sql(f'select line, reason, detail from "{name}/drops" order by line').rows()


def text(row: Any, **more: Any) -> bytes:
    return json.dumps(row | more).encode() + b"\n"


# -- rows that cannot be used ---------------------------------------------------------------------------------------

GOOD = SIX[0]
# Second line of a file whose first and last are good; the reason it is refused with, and a word of the detail.
BAD_ROWS = {
    "not JSON": (b'{"question": "q", \n', "not_json", ""),
    "text": (b"hello\n", "not_json", ""),
    "not UTF-8": (b'{"question": "\xff", "answer": "1"}\n', "not_json", ""),
    "a lone surrogate": (b'{"question": "\\ud800", "answer": "1"}\n', "not_json", "surrogate"),
    "NaN": (b'{"question": "q", "answer": NaN}\n', "not_json", ""),
    "an infinite number": (b'{"question": "q", "answer": -Infinity}\n', "not_json", ""),
    "nested without end": (b"[" * 100_000 + b"\n", "not_json", ""),
    "20 MB": (b'{"question": "' + b"x" * 20_000_000 + b'", "answer": "1"}\n', "line_too_long", "8,000,000 bytes"),
    "a list": (b'["q", "1"]\n', "not_an_object", "a JSON list"),
    "a number": (b"5\n", "not_an_object", "a JSON int"),
    "null": (b"null\n", "not_an_object", "a JSON NoneType"),
}
BAD_QUESTIONS = BAD_ROWS | {
    "no question": (b'{"answer": "1"}\n', "missing_field", "no question or query"),
    "a question that is null": (b'{"question": null, "answer": "1"}\n', "missing_field", "no question or query"),
    "a question that is a number": (b'{"question": 5, "answer": "1"}\n', "not_text", "question is a int"),
    "a question that is empty": (b'{"question": " \\n", "answer": "1"}\n', "empty_text", "question is empty"),
    "no answer": (b'{"question": "q"}\n', "missing_field", "no answer or response"),
    "an answer that is null": (b'{"question": "q", "answer": null}\n', "missing_field", "no answer or response"),
    "an answer that is empty": (b'{"question": "q", "answer": ""}\n', "no_answer", "answer '' is not text or a number"),
    "an answer that is true": (b'{"question": "q", "answer": true}\n', "no_answer", "answer 'True' is not text or a number"),
    "a whole number of more than 64 bits": (
        b'{"question": "q", "answer": 123456789012345678901}\n',
        "no_answer",
        "more digits than a number holds: write it as text",
    ),
    "an answer that is a list": (b'{"question": "q", "answer": ["#### 1"]}\n', "no_answer", ""),
    "a solution without a final answer": (b'{"question": "q", "answer": "it is #### "}\n', "no_answer", "no final answer"),
    "a solution that is empty": (b'{"question": "q", "answer": "1", "response": ""}\n', "empty_text", "response is empty"),
    "a solution that is a number": (b'{"question": "q", "response": 1}\n', "not_text", "response is a int"),
    "words beside a solution that gives a number": (
        b'{"question": "q", "answer": "many", "response": "#### 1"}\n',
        "answers_differ",
        "answer is many, the solution ends in 1",
    ),
    "a question for the second time": (text(GOOD, question=f" {GOOD['question']} "), "duplicate_question", ""),
}


@pytest.mark.parametrize(("row", "reason", "detail"), BAD_QUESTIONS.values(), ids=BAD_QUESTIONS.keys())
def test_a_question_that_cannot_be_used_is_refused_and_the_rest_is_kept(
    make: Make, workspace: Workspace, row: bytes, reason: str, detail: str
) -> None:
    workspace.write("q.jsonl", text(GOOD) + row + text(SIX[1]))
    made = make(QUESTIONS_LINE % ("q.jsonl", 0.5))
    assert made.rows["question_id"].to_list() == IDS[:2]
    assert made.rows["source_row"].to_list() == [0, 2]
    assert made.record.drops == {reason: 1}
    ((line, said, why),) = drops(workspace, "q@1")
    assert (line, said) == (2, reason)
    assert detail in (why or "")


SAMPLE: dict[str, Any] = {"question": GOOD["question"], "completion": "#### 15"}
BAD_SAMPLES = BAD_ROWS | {
    "no question": (b'{"completion": "#### 15"}\n', "missing_field", "no question or question_id"),
    "a question that is a number": (text(SAMPLE, question=5), "not_text", "question is a int"),
    "an id that is a number": (b'{"question_id": 5, "completion": "c"}\n', "not_text", "question_id is a int"),
    "an id that is empty": (b'{"question_id": "", "completion": "c"}\n', "empty_text", "question_id is empty"),
    "another question": (text(SAMPLE, question="How many?"), "unmatched", "'How many?' is not among the questions"),
    "another id": (b'{"question_id": "0123", "completion": "c"}\n', "unmatched", "'0123' is not among the questions"),
    "no completion": (text({"question": GOOD["question"]}), "missing_field", "no completion or response"),
    "a completion that is empty": (text(SAMPLE, completion="\n"), "empty_text", "completion is empty"),
    "a completion that is a list": (text(SAMPLE, completion=["c"]), "not_text", "completion is a list"),
    "a draw that is true": (text(SAMPLE, draw=True), "bad_draw", "draw is True, not a whole number from 0 to"),
    "a draw that is negative": (text(SAMPLE, draw=-1), "bad_draw", "draw is -1, not a whole number from 0 to"),
    "a draw that is a fraction": (text(SAMPLE, draw=0.5), "bad_draw", "draw is 0.5, not a whole number from 0 to"),
    "a draw that is text": (text(SAMPLE, draw="0"), "bad_draw", "draw is 0, not a whole number from 0 to"),
    "a draw that is too large": (text(SAMPLE, draw=2**31), "bad_draw", "draw is 2147483648"),
    "a draw that is there already": (text(SAMPLE, draw=7), "duplicate_draw", "draw 7 of this question is there already"),
    "no draw where others have one": (text(SAMPLE), "missing_field", "no draw, though other rows have one"),
    "a model that is a number": (text(SAMPLE, draw=1, model=5), "not_text", "model is not text"),
    "a model that is called human": (text(SAMPLE, draw=1, model="human"), "reserved_name", "no model may be called human"),
}


@pytest.mark.parametrize(("row", "reason", "detail"), BAD_SAMPLES.values(), ids=BAD_SAMPLES.keys())
def test_a_sample_that_cannot_be_used_is_refused_and_the_rest_is_kept(
    make: Make, workspace: Workspace, row: bytes, reason: str, detail: str
) -> None:
    workspace.write("s.jsonl", text(SAMPLE, draw=7) + row + text(SAMPLE, draw=9))
    made = make(SAMPLES_LINE % ("s.jsonl", 0.5))
    assert made.rows["draw"].to_list() == [7, 9]
    assert made.record.drops == {reason: 1}
    ((line, said, why),) = drops(workspace, "s@1")
    assert (line, said) == (2, reason)
    assert detail in (why or "")


def test_each_missing_draw_is_called_missing(make: Make, workspace: Workspace) -> None:
    workspace.write("s.jsonl", text(SAMPLE, draw=0) + text(SAMPLE) * 3)
    assert make(SAMPLES_LINE % ("s.jsonl", 1.0)).record.drops == {"missing_field": 3}


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf" + text(SIX[0]) + text(SIX[1]),
        text(SIX[0]).replace(b"\n", b"\r\n") + text(SIX[1]).replace(b"\n", b"\r\n"),
        text(SIX[0]) + text(SIX[1]).rstrip(b"\n"),
        b"\n\n" + text(SIX[0]) + b"  \t\r\n\n" + text(SIX[1]) + b"\n\n",
        text(SIX[0], extra={"a": [1]}) + text(SIX[1], question_id="mine"),
        text({"query": SIX[0]["question"], "response": SIX[0]["answer"]}) + text(SIX[1], query="not this one"),
    ],
    ids=["a byte order mark", "Windows line ends", "no last line end", "blank lines", "more columns", "other names"],
)
def test_a_questions_file_may_be_written_in_these_ways(make: Make, workspace: Workspace, data: bytes) -> None:
    workspace.write("q.jsonl", data)
    made = make(QUESTIONS_LINE % ("q.jsonl", 0))
    assert made.drops is None
    columns = ["question_id", "question", "response", "answer"]
    workspace.build("six@1")
    assert made.rows.select(columns).equals(workspace.made("six@1").rows.head(2).select(columns))


def test_blank_lines_are_counted_as_lines(make: Make, workspace: Workspace) -> None:
    workspace.write("q.jsonl", b"\n\n" + text(SIX[0]) + b"\n{\n")
    assert make(QUESTIONS_LINE % ("q.jsonl", 0.5)).rows["source_row"].to_list() == [2]
    assert [line for line, _, _ in drops(workspace, "q@1")] == [5]


def test_the_share_of_refused_rows_is_bounded(make: Make, workspace: Workspace) -> None:
    workspace.write("q.jsonl", [*SIX, {"answer": "1"}, {"question": "q"}, 5, 6])
    with pytest.raises(InputError) as caught:
        make(QUESTIONS_LINE % ("q.jsonl", 0.39))
    assert caught.value.exit_code == 1
    assert str(caught.value).split("\n") == [
        "catalog.yaml:3: q@1: 4 of 10 questions are refused (2 missing_field, 2 not_an_object), more than max_refused: 0.39.",
        "  line 7: missing_field (no question or query)",
        "  line 8: missing_field (no answer or response)",
        "  line 9: not_an_object (a JSON int)",
        "  line 10: not_an_object (a JSON int)",
        "Mend the file, or raise max_refused (--max-refused of `rft import`).",
    ]
    assert make(QUESTIONS_LINE % ("q.jsonl", 0.4)).record.drops == {"missing_field": 2, "not_an_object": 2}


def test_one_bad_row_in_twenty_is_allowed_without_saying_so(make: Make, workspace: Workspace) -> None:
    rows = [{"question": f"How many are {n}?", "answer": str(n)} for n in range(19)]
    workspace.write("q.jsonl", json_lines(rows) + "{\n")
    assert make("q@1: {builder: questions_file, params: {path: q.jsonl, sha256: ?}}").record.drops == {"not_json": 1}
    workspace.write("q.jsonl", json_lines(rows[1:]) + "{\n")
    with pytest.raises(InputError, match="1 of 19 questions are refused"):
        make("q@2: {builder: questions_file, params: {path: q.jsonl, sha256: ?}}")


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\xef\xbb\xbf", gzip.compress(b"")], ids=["empty", "blank", "mark", "gzip"])
@pytest.mark.parametrize("line", [QUESTIONS_LINE, SAMPLES_LINE], ids=["questions", "samples"])
def test_a_file_without_rows_is_refused(make: Make, workspace: Workspace, data: bytes, line: str) -> None:
    workspace.write("empty.jsonl", data)
    with pytest.raises(InputError, match=r"the file has no (questions|samples)\. Make it again"):
        make(line % ("empty.jsonl", 1.0))


# -- file formats ---------------------------------------------------------------------------------------------------


def parquet(rows: list[dict[str, Any]]) -> bytes:
    file = io.BytesIO()
    pl.DataFrame(rows).write_parquet(file)
    return file.getvalue()


def packed(rows: list[dict[str, Any]]) -> dict[str, bytes]:
    plain = json_lines(rows).encode()
    return {
        "a.jsonl": plain,
        "a.jsonl.gz": gzip.compress(plain),
        "two.jsonl.gz": gzip.compress(plain[:500]) + gzip.compress(plain[500:]),
        "a.parquet": parquet(rows),
        "a.parquet.gz": gzip.compress(parquet(rows)),
        "misnamed.txt": parquet(rows),
    }


def test_questions_are_the_same_from_every_kind_of_file(make: Make, workspace: Workspace) -> None:
    contents = set()
    for n, (name, data) in enumerate(packed(SIX).items(), 1):
        workspace.write(name, data)
        made = make(f"q@{n}: {{builder: questions_file, params: {{path: {name}, sha256: ?}}}}")
        contents.add(made.record.content)
        assert made.record.params["path"] == name
    workspace.build("six@1")
    assert contents == {workspace.stored("six@1").record.content}


def test_samples_are_the_same_from_every_kind_of_file(make: Make, workspace: Workspace) -> None:
    rows = [
        {"question": row["question"], "completion": f"{n} {row['answer']}", "draw": n, "model": "m"}
        for row in SIX
        for n in (0, 1)
    ]
    contents = set()
    for n, (name, data) in enumerate(packed(rows).items(), 1):
        workspace.write(name, data)
        line = f"s@{n}: {{builder: samples_file, inputs: [six@1], params: {{path: {name}, sha256: ?}}}}"
        contents.add(make(line).record.content)
    assert len(contents) == 1


def test_parquet_may_have_nulls_numbers_and_other_columns(make: Make, workspace: Workspace) -> None:
    frame = pl.DataFrame(
        {
            "question": [row["question"] for row in SIX],
            "answer": [15.0, 36.0, float("nan"), 900.5, None, 1e-5],
            "when": pl.datetime_range(pl.datetime(2024, 1, 1), pl.datetime(2024, 1, 6), "1d", time_unit="ns", eager=True),
        }
    )
    file = io.BytesIO()
    frame.write_parquet(file)
    workspace.write("q.parquet", file.getvalue())
    made = make(QUESTIONS_LINE % ("q.parquet", 0.5))
    assert dict(made.rows.select("source_row", "answer").iter_rows()) == {0: "15.0", 1: "36.0", 3: "900.5", 5: "0.00001"}
    assert [(line, reason) for line, reason, _ in drops(workspace, "q@1")] == [(3, "no_answer"), (5, "missing_field")]


@pytest.mark.parametrize("line", [QUESTIONS_LINE, SAMPLES_LINE], ids=["questions", "samples"])
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda: gzip.compress(json_lines(SIX * 50).encode())[:-20], r"file: the file ends or breaks after line \d+ \("),
        (lambda: gzip.compress(json_lines(SIX).encode())[:9], r"file: the gzip data is damaged \("),
        (
            lambda: gzip.compress(json_lines(SIX).encode())[:30] + b"?" * 40,
            r"file: the (file ends or breaks|gzip data is damaged)",
        ),
        (lambda: gzip.compress(parquet(SIX))[:-100], r"file: the Parquet data is damaged \("),
        (lambda: parquet(SIX)[:-10], r"file: the Parquet data is damaged \("),
        (lambda: b"PAR1", r"file: the Parquet data is damaged \("),
        (lambda: parquet(SIX)[:4] + b"\0" * 200 + parquet(SIX)[204:], r"file: the Parquet data is damaged \("),
    ],
    ids=["cut gzip", "cut header", "wrong gzip", "cut gzipped Parquet", "cut Parquet", "only a start", "wrong Parquet"],
)
def test_a_damaged_file_is_refused_whole(
    make: Make, workspace: Workspace, line: str, damage: Callable[[], bytes], message: str
) -> None:
    workspace.write("bad.bin", damage())
    with pytest.raises(InputError, match=message):
        make(line % ("bad.bin", 1.0))
    assert workspace.store.get(parse_id(line[:3])) is None


# -- questions_file -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "answer", "response"),
    [
        ({"answer": "1,200"}, "1200", None),
        ({"answer": "$ 7.50"}, "7.50", None),
        ({"answer": "-3/4"}, "-3/4", None),
        ({"answer": 5}, "5", None),
        ({"answer": -0.5}, "-0.5", None),
        ({"answer": 10**15}, "1000000000000000", None),
        ({"answer": "2,50"}, "2,50", None),
        ({"answer": "many"}, "many", None),
        ({"answer": "$3\\sqrt{13}$"}, "3\\sqrt{13}", None),
        ({"answer": "(1, 2)", "response": "\\boxed{\\left(1,2\\right)}"}, "(1, 2)", "\\boxed{\\left(1,2\\right)}"),
        ({"response": "so \\boxed{x^2+1}"}, "x^2+1", "so \\boxed{x^2+1}"),
        ({"answer": "18 dollars"}, "18", None),
        ({"answer": "so\n#### 8"}, "8", "so\n#### 8"),
        ({"response": "so\n#### 8"}, "8", "so\n#### 8"),
        ({"answer": "8", "response": "it is eight"}, "8", "it is eight"),
        ({"answer": "8", "response": "so\n#### 8.0"}, "8", "so\n#### 8.0"),
        ({"answer": None, "response": "so\n#### 1,000"}, "1000", "so\n#### 1,000"),
    ],
)
def test_the_gold_answer_and_the_human_solution(
    make: Make, workspace: Workspace, row: dict[str, Any], answer: str, response: str | None
) -> None:
    workspace.write("q.jsonl", [{"question": "How many?"} | row])
    rows = make(QUESTIONS_LINE % ("q.jsonl", 0)).rows
    assert rows.select("answer", "response").rows() == [(answer, response)]


def test_questions_with_answers_only_have_no_human_row(make: Make, workspace: Workspace) -> None:
    answers = ["15", "36", "15", "900", "210", "10"]
    workspace.write(
        "q.jsonl", [{"question": row["question"], "answer": answer} for row, answer in zip(SIX, answers, strict=True)]
    )
    made = make(QUESTIONS_LINE % ("q.jsonl", 0))
    assert made.record.facts["notes"] == ["6 questions have an answer but no solution: they have no human row"]
    workspace.write("s.jsonl", samples_of({0: ["4*6=<<4*6=24>>24 24-9=<<24-9=15>>15\n#### 15"], 1: ["#### 1"]}))
    make("s@1: {builder: samples_file, inputs: [q@1], params: {path: s.jsonl, sha256: ?}}")
    kept = make("kept@1: {builder: rejection, inputs: [q@1, s@1]}")
    assert kept.rows.select("question_id", "origin", "same_as_human").rows() == [(IDS[0], "s", False)]


def test_columns_that_are_not_read_are_noted(make: Make, workspace: Workspace) -> None:
    workspace.write("q.jsonl", [SIX[0] | {"z": 1, "level": 2}, SIX[1] | {"z": 1, "question_id": "x"}])
    assert make(QUESTIONS_LINE % ("q.jsonl", 0)).record.facts["notes"] == ["ignored columns: level, question_id, z"]


def test_the_note_on_ignored_columns_stays_short(make: Make, workspace: Workspace) -> None:
    workspace.write("q.jsonl", [SIX[0] | {f"{n:02}" + "x" * 1000: 1 for n in range(25)}])
    (note,) = make(QUESTIONS_LINE % ("q.jsonl", 0)).record.facts["notes"]
    assert note.endswith("x and 5 more")
    assert len(note) < 1500


# -- samples_file ---------------------------------------------------------------------------------------------------


def test_samples_are_numbered_in_the_order_of_the_file_for_each_question_and_model(make: Make, workspace: Workspace) -> None:
    order = [(1, "b"), (0, "a"), (1, "b"), (1, "a"), (0, "a"), (0, "b"), (0, "a")]
    workspace.write(
        "s.jsonl",
        [{"question": SIX[n]["question"], "completion": f"line {line}", "model": m} for line, (n, m) in enumerate(order)],
    )
    rows = make(SAMPLES_LINE % ("s.jsonl", 0)).rows
    first, second = sorted([(IDS[0], 0), (IDS[1], 1)])
    expected = [
        (model, id, draw, f"line {line}")
        for model in "ab"
        for id, n in (first, second)
        for draw, line in enumerate(line for line, given in enumerate(order) if given == (n, model))
    ]
    assert rows.select("model", "question_id", "draw", "response").rows() == expected


def test_an_unusable_sample_takes_its_number(make: Make, workspace: Workspace) -> None:
    workspace.write("s.jsonl", samples_of({0: ["one", "", "three"], 1: ["one"]}))
    rows = make(SAMPLES_LINE % ("s.jsonl", 0.5)).rows
    assert rows.filter(pl.col("question_id") == IDS[0]).select("draw", "response").rows() == [(0, "one"), (2, "three")]
    assert workspace.registry.sql('select draw, question_id from "s@1/drops"').rows() == [(1, IDS[0])]


@pytest.mark.parametrize("name", ["draw", "sample"])
def test_numbers_in_the_file_are_kept_whatever_its_order(make: Make, workspace: Workspace, name: str) -> None:
    workspace.write("s.jsonl", [SAMPLE | {name: draw, "completion": f"draw {draw}"} for draw in (5, 0, 3)])
    rows = make(SAMPLES_LINE % ("s.jsonl", 0)).rows
    assert rows.select("draw", "response").rows() == [(0, "draw 0"), (3, "draw 3"), (5, "draw 5")]


def test_a_draw_that_is_null_is_no_draw(make: Make, workspace: Workspace) -> None:
    workspace.write("s.jsonl", [SAMPLE | {"draw": None, "sample": 4}, SAMPLE | {"draw": 2, "sample": 5}])
    assert make(SAMPLES_LINE % ("s.jsonl", 0)).rows["draw"].to_list() == [2, 4]


def test_one_draw_of_two_models_is_two_samples(make: Make, workspace: Workspace) -> None:
    workspace.write("s.jsonl", [SAMPLE | {"draw": 0, "model": model} for model in ("a", "b")] + [SAMPLE | {"draw": 0}])
    rows = make(SAMPLES_LINE % ("s.jsonl", 0)).rows
    assert rows.select("model", "draw").rows() == [(None, 0), ("a", 0), ("b", 0)]


RUNS_LINE = "s@1: {builder: samples_file, inputs: [six@1], params: {path: s.jsonl, sha256: ?, model: m, runs: %s}}"


def test_a_run_is_a_model_of_its_own(make: Make, workspace: Workspace) -> None:
    workspace.write("s.jsonl", [SAMPLE | {"run": run} for run in ("fp32", 2, "fp32")] + [SAMPLE])
    rows = make(RUNS_LINE % "apart").rows
    assert rows.select("model", "draw").rows() == [("m", 0), ("m/2", 0), ("m/fp32", 0), ("m/fp32", 1)]


def test_runs_may_be_draws_of_one_model(make: Make, workspace: Workspace) -> None:
    drawn = [("b", 1, "fourth"), ("a", 0, "first of a"), ("b", 0, "third"), ("a", 1, "second of a")]
    workspace.write("s.jsonl", [SAMPLE | {"run": run, "draw": draw, "completion": text} for run, draw, text in drawn])
    rows = make(RUNS_LINE % "pooled").rows
    assert rows.select("model", "draw", "response").rows() == [
        ("m", 0, "third"),
        ("m", 1, "fourth"),
        ("m", 2, "first of a"),
        ("m", 3, "second of a"),
    ]


def test_pooled_runs_without_numbers_count_in_the_order_of_the_file(make: Make, workspace: Workspace) -> None:
    workspace.write("s.jsonl", [SAMPLE | {"run": run, "completion": run} for run in "abc"])
    assert make(RUNS_LINE % "pooled").rows.select("draw", "response").rows() == [(0, "a"), (1, "b"), (2, "c")]


def test_a_sample_may_carry_a_label(make: Make, workspace: Workspace) -> None:
    workspace.write("s.jsonl", [SAMPLE | {"label": label} for label in (True, False, None, "yes", 1)] + [SAMPLE])
    made = make(SAMPLES_LINE % ("s.jsonl", 0))
    assert made.rows["label"].to_list() == [True, False, None, None, None, None]
    assert workspace.stored("s@1").record.facts["notes"] == ["the label of 2 rows is not true or false: it was passed over"]


def test_the_model_of_a_row_wins_over_that_of_the_line(make: Make, workspace: Workspace) -> None:
    workspace.write("s.jsonl", [SAMPLE, SAMPLE | {"model": "own"}, SAMPLE | {"model": None}, SAMPLE | {"model": " "}])
    rows = make("s@1: {builder: samples_file, inputs: [six@1], params: {path: s.jsonl, sha256: ?, model: of-the-line}}").rows
    assert rows.select("model", "draw").rows() == [("of-the-line", 0), ("of-the-line", 1), ("of-the-line", 2), ("own", 0)]


def test_no_line_may_call_its_model_human(make: Make, workspace: Workspace) -> None:
    workspace.write("s.jsonl", [SAMPLE])
    with pytest.raises(InputError, match="no model may be called human"):
        make("s@1: {builder: samples_file, inputs: [six@1], params: {path: s.jsonl, sha256: ?, model: human}}")


def test_a_sample_may_name_its_question_by_id_or_by_other_white_space(make: Make, workspace: Workspace) -> None:
    rows = [{"question_id": IDS[3], "response": "by id"}, {"question": f"\n {SIX[4]['question']} ", "completion": "by text"}]
    workspace.write("s.jsonl", rows)
    made = make(SAMPLES_LINE % ("s.jsonl", 0)).rows
    assert dict(made.select("question_id", "response").iter_rows()) == {IDS[3]: "by id", IDS[4]: "by text"}


def test_the_question_decides_where_there_is_an_id_too(make: Make, workspace: Workspace) -> None:
    rows = [SAMPLE | {"question_id": IDS[5]}, SAMPLE | {"question_id": 17}, SAMPLE]
    workspace.write("s.jsonl", rows)
    made = make(SAMPLES_LINE % ("s.jsonl", 0))
    assert made.rows["question_id"].to_list() == [IDS[0]] * 3
    assert made.record.facts["notes"] == ["2 rows have question and question_id: the question decided"]


def test_samples_of_other_questions_may_be_ignored(make: Make, workspace: Workspace) -> None:
    other = {"question": "How many?", "completion": "#### 1"}
    workspace.write("s.jsonl", [other] * 9 + [SAMPLE])
    with pytest.raises(InputError, match=r"9 of 10 samples are refused \(9 unmatched\)"):
        make("s@1: {builder: samples_file, inputs: [six@1], params: {path: s.jsonl, sha256: ?}}")
    made = make("s@1: {builder: samples_file, inputs: [six@1], params: {path: s.jsonl, sha256: ?, unmatched: ignore}}")
    assert made.rows["question_id"].to_list() == [IDS[0]]
    assert made.record.drops == {"unmatched": 9}
    assert [line for line, _, _ in drops(workspace, "s@1")] == list(range(1, 10))
    workspace.write("s.jsonl", [other] * 9 + [SAMPLE, {"completion": "c"}])
    with pytest.raises(InputError, match=r"1 of 11 samples are refused \(1 missing_field\)"):
        make("s@2: {builder: samples_file, inputs: [six@1], params: {path: s.jsonl, sha256: ?, unmatched: ignore}}")


# -- fraction -------------------------------------------------------------------------------------------------------


def questions(n: int) -> pl.DataFrame:
    texts = [f"Which number is {i}?" for i in range(n)]
    return pl.DataFrame(
        {
            "question_id": [question_id(t) for t in texts],
            "question": texts,
            "response": None,
            "answer": "1",
            "source_row": range(n),
        },
        schema_overrides={"response": pl.String},
    )


@pytest.mark.parametrize("denominator", [1, 2, 3, 4, 7, 99, 100])
def test_a_fraction_has_floor_n_over_d_rows_in_their_own_order(denominator: int) -> None:
    rows = questions(100)
    part = fraction.build(rows, denominator=denominator, seed=42)
    assert part.height == 100 // denominator
    assert part.columns == rows.columns
    assert part["source_row"].is_sorted()
    assert part.join(rows, on=rows.columns, how="anti", nulls_equal=True).height == 0


def test_small_fractions_lie_within_large_ones() -> None:
    rows = questions(100)
    parts = [set(fraction.build(rows, denominator=d, seed=42)["question_id"]) for d in (1, 2, 3, 4, 8, 16, 32)]
    assert all(small < large for large, small in pairwise(parts))


def test_a_part_and_the_rest_make_the_whole() -> None:
    rows = questions(100)
    inside, outside = (fraction.build(rows, denominator=3, seed=42, part=part) for part in ("in", "out"))
    assert (inside.height, outside.height) == (33, 67)
    assert outside["source_row"].is_sorted()
    assert pl.concat([inside, outside]).sort("source_row").equals(rows)


def test_a_fraction_depends_on_its_seed_and_not_on_the_order_of_the_rows() -> None:
    rows = questions(100)
    chosen = set(fraction.build(rows, denominator=4, seed=42)["question_id"])
    assert set(fraction.build(rows.sample(fraction=1, shuffle=True, seed=1), denominator=4, seed=42)["question_id"]) == chosen
    assert set(fraction.build(rows, denominator=4, seed=43)["question_id"]) != chosen


def test_a_fraction_is_chosen_by_hash_and_not_from_the_start() -> None:
    places = fraction.build(questions(100), denominator=4, seed=42)["source_row"]
    assert 30 < float(places.mean()) < 70  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("denominator", "part", "message"),
    [
        (101, "in", r"1 of 101 of 100 rows \(in\) is none\. Choose a smaller denominator"),
        (1, "out", r"1 of 1 of 100 rows \(out\) is none\. Choose a larger denominator"),
    ],
)
def test_a_fraction_of_nothing_is_refused(denominator: int, part: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fraction.build(questions(100), denominator=denominator, seed=42, part=part)


def test_a_fraction_of_samples_is_refused(make: Make, workspace: Workspace) -> None:
    workspace.write("s.jsonl", [SAMPLE])
    make(SAMPLES_LINE % ("s.jsonl", 0))
    with pytest.raises(InputError, match="a fraction is taken of QUESTIONS or TRAINING rows; these have question_id, draw"):
        make("half@1: {builder: fraction, inputs: [s@1], params: {denominator: 1, seed: 0}}")


def test_a_fraction_of_training_rows_keeps_every_human_row(make: Make, workspace: Workspace) -> None:
    whole = many(workspace, make, "kept@1: {builder: rejection, inputs: [many@1, s@1, t@1]}")
    samples = whole.rows.filter(pl.col("origin") != "human").height
    parts = {
        (d, part): make(
            f"f@{d}{n}: {{builder: fraction, inputs: [kept@1], params: {{denominator: {d}, seed: 1, part: {part}}}}}"
        ).rows
        for d in (2, 4)
        for n, part in enumerate(("in", "out"))
    }
    human = whole.rows.filter(pl.col("origin") == "human")
    for rows in parts.values():
        assert rows.filter(pl.col("origin") == "human").equals(human)
    columns = ["question_id", "source", "origin", "draw"]
    chosen = {key: set(rows.filter(pl.col("origin") != "human").select(columns).iter_rows()) for key, rows in parts.items()}
    assert {key: len(rows) for key, rows in chosen.items()} == {
        (2, "in"): samples // 2,
        (2, "out"): samples - samples // 2,
        (4, "in"): samples // 4,
        (4, "out"): samples - samples // 4,
    }
    assert chosen[4, "in"] < chosen[2, "in"]
    assert not chosen[2, "in"] & chosen[2, "out"]
    places = {row: place for place, row in enumerate(whole.rows.select(columns).iter_rows())}
    for rows in parts.values():
        order = [places[row] for row in rows.select(columns).iter_rows()]
        assert order == sorted(order)


# -- gsm8k ----------------------------------------------------------------------------------------------------------


def release(n: int) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "question": [f"Which number is {i}?" for i in range(n)],
            "answer": [f"{i}+0=<<{i}+0={i}>>{i}\n#### {i:,}" for i in range(n)],
        }
    )


@pytest.mark.parametrize(("split", "rows"), [("train", 7473), ("test", 1319)])
def test_gsm8k_has_the_rows_of_the_release_in_its_order(split: Any, rows: int) -> None:
    asked = []

    def load(*words: str) -> pl.DataFrame:
        asked.append(words)
        return release(rows)

    built = gsm8k.build(split=split, revision="abc", _load=load)
    assert asked == [("openai/gsm8k", split, "abc")]
    assert built.height == rows
    assert built.row(1200, named=True) == {
        "question_id": question_id("Which number is 1200?"),
        "question": "Which number is 1200?",
        "response": "1200+0=<<1200+0=1200>>1200\n#### 1,200",
        "answer": "1200",
        "source_row": 1200,
    }
    assert built["source_row"].to_list() == list(range(rows))


@pytest.mark.parametrize(("split", "rows"), [("train", 7472), ("test", 1320), ("test", 0), ("train", 1319)])
def test_gsm8k_with_another_number_of_rows_is_refused(split: Any, rows: int) -> None:
    right = 7473 if split == "train" else 1319
    with pytest.raises(InputError, match=f"openai/gsm8k {split} at abc has {rows} rows; the release has {right}. Pin another"):
        gsm8k.build(split=split, revision="abc", _load=lambda *words: release(rows))


def test_gsm8k_with_a_solution_without_an_answer_is_refused() -> None:
    rows = release(1319).with_columns(answer=pl.when(pl.int_range(pl.len()) == 7).then(pl.lit("none")).otherwise("answer"))
    with pytest.raises(InputError, match="test at abc: 1 solutions have no final answer"):
        gsm8k.build(split="test", revision="abc", _load=lambda *words: rows)


# -- rejection ------------------------------------------------------------------------------------------------------

# Samples of the first question (4*6=24, 24-9=15): each draw with its verdict, `select: first`.
DRAWS = {
    "I do not know.": "no_answer",
    "4*6=<<4*6=25>>25, and then?": "no_answer",  # a bad equation too
    "4*6=<<4*6=24>>24\n#### 24": "wrong_answer",
    "#### 16": "wrong_answer",  # no path either
    "24-9=<<24-9=16>>16\n#### 16": "wrong_answer",  # a bad equation too
    "4*6=<<4*6=25>>25, 24-9=<<24-9=15>>15\n#### 15": "bad_equation",
    "4*6=<<4*6=none>>24, 24-9=<<24-9=15>>15\n#### 15": "bad_equation",
    "Fifteen are left.\n#### 15": "no_path",
    "24-9=<<24-9=15>>15 after 6*4=<<6*4=24>>24\n#### 15": "same_as_human",
    "4*6-9=<<4*6-9=15>>15\n#### 15": "kept",
    "6*4-9=<<6*4-9=15>>15 rolls are left for him.\n#### 15.0": "same_path",
    "6+6+6+6=<<6+6+6+6=24>>24, 24-9=<<24-9=15>>15\n#### 15": "kept",
    "4*6-9=<<4*6-9=15>>15\n#### 15 ": "same_path",
}
REJECTION = "kept@1: {builder: rejection, inputs: [six@1, s@1], params: {%s}}"


def rejected(make: Make, workspace: Workspace, params: str, texts: dict[int, list[str]] | None = None) -> Made:
    workspace.write("s.jsonl", samples_of(texts or {0: list(DRAWS)}))
    make(SAMPLES_LINE % ("s.jsonl", 0))
    return make(REJECTION % params)


def verdicts_of(made: Made) -> list[str]:
    assert made.verdicts is not None
    return made.verdicts.sort("model", "draw")["verdict"].to_list()


def kept_of(made: Made) -> list[int]:
    return made.rows.filter(pl.col("origin") != "human")["draw"].to_list()


def test_each_sample_gets_the_first_verdict_that_applies(make: Make, workspace: Workspace) -> None:
    made = rejected(make, workspace, "select: first")
    assert verdicts_of(made) == list(DRAWS.values())
    counts = {verdict: list(DRAWS.values()).count(verdict) for verdict in set(DRAWS.values()) - {"kept"}}
    assert made.record.drops == counts
    shown = workspace.registry.sql('select draw, reason from "kept@1/drops" order by draw').rows()
    assert shown == [(draw, verdict) for draw, verdict in enumerate(DRAWS.values()) if verdict != "kept"]
    assert kept_of(made) == [draw for draw, verdict in enumerate(DRAWS.values()) if verdict == "kept"]


def test_the_counts_of_a_question_fit_its_verdicts(make: Make, workspace: Workspace) -> None:
    stats = rejected(make, workspace, "select: first").path_stats
    assert stats is not None
    assert stats.height == 6
    assert stats.row(by_predicate=pl.col("question_id") == IDS[0], named=True) == {
        "question_id": IDS[0],
        "draws": 13,
        "right_answers": 8,
        "accepted": 6,
        "paths": 4,  # 24-9=15|6*4=24, 4*6-9=15, 6*4-9=15 and 6+6+6+6=24|24-9=15
        "paths_canonical": 3,
        "paths_with_human": 5,
        "paths_canonical_with_human": 3,
        "kept": 2,
    }
    others = stats.filter(pl.col("question_id") != IDS[0])
    assert others.select("draws", "kept", "paths", "paths_with_human", "paths_canonical_with_human").unique().rows() == [
        (0, 0, 0, 1, 1)
    ]


def test_human_solutions_come_first_and_questions_in_their_own_order(make: Make, workspace: Workspace) -> None:
    texts = {
        n: [f"{row['answer']}", f"1+{n}=<<1+{n}={n + 1}>>{n + 1} {row['answer']}"] for n, row in reversed(list(enumerate(SIX)))
    }
    made = rejected(make, workspace, "select: all", texts)
    assert made.rows.select("question_id", "origin", "draw").rows() == [
        row for id in IDS for row in ((id, "human", None), (id, "s", 0), (id, "s", 1))
    ]
    human = made.rows.filter(pl.col("origin") == "human")
    assert human["response"].to_list() == [row["answer"] for row in SIX]
    assert human.select("source", "draw", "same_as_human").unique().rows() == [(None, None, None)]
    samples = made.rows.filter(pl.col("origin") == "s")
    assert samples["source"].unique().to_list() == ["s@1"]
    assert samples["answer"].to_list() == [answer for answer in ("15", "36", "15", "900", "210", "10") for _ in "ab"]
    assert samples["same_as_human"].to_list() == [True, False] * 6


def test_a_sample_keeps_the_name_of_its_model(make: Make, workspace: Workspace) -> None:
    workspace.write("s.jsonl", samples_of({0: ["4*6-9=<<4*6-9=15>>15\n#### 15"]}, model="mine"))
    make(SAMPLES_LINE % ("s.jsonl", 0))
    made = make(REJECTION % "")
    assert made.rows.filter(pl.col("draw").is_not_null()).select("origin", "source").rows() == [("mine", "s@1")]


@pytest.mark.parametrize("k", [1, 10, 12, 13, 100])
def test_only_draws_below_k_count(make: Make, workspace: Workspace, k: int) -> None:
    made = rejected(make, workspace, f"select: first, k: {k}")
    assert verdicts_of(made) == list(DRAWS.values())[:k]
    assert made.path_stats is not None
    assert made.path_stats["draws"].sum() == min(k, 13)


def test_samples_with_the_humans_own_path_may_be_kept(make: Make, workspace: Workspace) -> None:
    made = rejected(make, workspace, "select: first, same_as_human: keep")
    assert verdicts_of(made) == [("kept" if v == "same_as_human" else v) for v in DRAWS.values()]
    assert made.rows.filter("same_as_human")["draw"].to_list() == [8]


def test_samples_without_a_path_may_be_kept_as_one_path(make: Make, workspace: Workspace) -> None:
    texts = ["#### 15", "4*6-9=<<4*6-9=15>>15\n#### 15", "So 15.\n#### 15", "The answer is 15."]
    assert verdicts_of(rejected(make, workspace, "select: first, no_path: keep", {0: texts})) == [
        "kept",
        "kept",
        "same_path",
        "same_path",
    ]


def test_all_keeps_everything_right_whatever_its_path(make: Make, workspace: Workspace) -> None:
    made = rejected(make, workspace, "select: all")
    good = ("no_path", "same_as_human", "same_path", "kept")
    assert verdicts_of(made) == [("kept" if v in good else v) for v in DRAWS.values()]


def test_all_in_paper_mode_ignores_equations(make: Make, workspace: Workspace) -> None:
    made = rejected(make, workspace, "select: all, mode: paper")
    right = ("no_path", "same_as_human", "same_path", "kept", "bad_equation")
    assert verdicts_of(made) == [("kept" if v in right else v) for v in DRAWS.values()]


def test_paper_mode_distinguishes_paths_by_their_text_and_keeps_the_humans_own(make: Make, workspace: Workspace) -> None:
    texts = [
        SIX[0]["answer"],
        "24-9=<<24-9=15>>15 after 4*6=<<4*6=24>>24\n#### 15",
        "6*4=<<6*4=24>>24, 24-9=<<24-9=15>>15\n#### 15",
        "4*6=<<4 * 6=24>>24, 24-9=<<24 -9=15>>15\n#### 15",
        "Fifteen.\n#### 15",
        "4*6=<<4*6=25>>25\n#### 15",
        "The answer is 15.",
    ]
    made = rejected(make, workspace, "select: first, mode: paper", {0: texts})
    assert verdicts_of(made) == ["kept", "kept", "kept", "same_path", "kept", "bad_equation", "no_answer"]
    assert made.record.facts["mode"] == "paper"
    assert made.record.facts["key"] == "paper"


def test_paper_mode_may_drop_the_humans_own_path(make: Make, workspace: Workspace) -> None:
    texts = [SIX[0]["answer"], "6*4=<<6*4=24>>24, 24-9=<<24-9=15>>15\n#### 15"]
    assert verdicts_of(rejected(make, workspace, "mode: paper, same_as_human: drop", {0: texts})) == ["same_as_human", "kept"]


@pytest.mark.parametrize(("key", "expected"), [("paper", ["kept", "kept"]), ("canonical", ["kept", "same_path"])])
def test_the_key_says_when_two_paths_are_one(make: Make, workspace: Workspace, key: str, expected: list[str]) -> None:
    texts = ["4*6-9=<<4*6-9=15>>15\n#### 15", "6*4-9=<<6*4-9=15>>15\n#### 15"]
    assert verdicts_of(rejected(make, workspace, f"select: first, key: {key}", {0: texts})) == expected


def test_an_answer_within_the_tolerance_is_right(make: Make, workspace: Workspace) -> None:
    texts = ["1+1=<<1+1=2>>2\n#### 15.01", "2+2=<<2+2=4>>4\n#### 15.02", "3+3=<<3+3=6>>6\n#### 14.99"]
    made = rejected(make, workspace, "tolerance: 0.01, select: first", {0: texts})
    assert verdicts_of(made) == ["kept", "wrong_answer", "kept"]
    assert made.rows.filter(pl.col("origin") == "s")["answer"].to_list() == ["15", "15"]  # the gold one


def test_random_rows_draws_as_many_as_there_are_paths(make: Make, workspace: Workspace) -> None:
    many(workspace, make, "by-path@1: {builder: rejection, inputs: [many@1, s@1, t@1], params: {select: first}}")
    by_path = workspace.made("by-path@1").path_stats
    kept = set()
    for seed in (1, 2):
        made = make(
            f"blind@{seed}: {{builder: rejection, inputs: [many@1, s@1, t@1], params: {{select: random_rows, seed: {seed}}}}}"
        )
        assert by_path is not None
        assert made.path_stats is not None
        assert made.verdicts is not None
        assert by_path["kept"].sum() > 50
        assert made.path_stats.select("question_id", "kept").equals(by_path.select("question_id", "kept"))
        assert set(made.verdicts["verdict"]) == {"kept", "not_drawn", "wrong_answer", "cut", "bad_equation"}
        kept.add(tuple(made.rows.select("question_id", "origin", "draw").iter_rows()))
        samples = made.rows.filter(pl.col("origin") != "human")
        assert samples.unique(["question_id", "path_canonical"]).height < samples.height
    assert len(kept) == 2


@pytest.mark.parametrize("select", ["farthest", "first", "random_text"])
def test_one_sample_of_each_path_is_kept(make: Make, workspace: Workspace, select: str) -> None:
    made = many(workspace, make, f"kept@1: {{builder: rejection, inputs: [many@1, s@1, t@1], params: {{select: {select}}}}}")
    assert made.verdicts is not None
    accepted = made.verdicts.filter(pl.col("verdict").is_in(["kept", "same_path"]))
    paths = accepted.unique(["question_id", "path_canonical"]).height
    rows = made.rows.filter(pl.col("origin") != "human")
    assert rows.height == rows.unique(["question_id", "path_canonical"]).height == paths
    assert 0 < paths < accepted.height


def test_farthest_takes_the_text_that_is_least_like_the_others(make: Make, workspace: Workspace) -> None:
    a, b = "4*6-9=<<4*6-9=15>>15", "6+6+6+6-9=<<6+6+6+6-9=15>>15"
    texts = [f"{a}\n#### 15", f"{b}\n#### 15", f"{a} rolls are what the baker has left at the end of the day\n#### 15"]
    assert kept_of(rejected(make, workspace, "select: farthest", {0: texts})) == [2, 1]


def test_samples_of_questions_that_were_not_asked_are_refused(make: Make, workspace: Workspace) -> None:
    workspace.write("s.jsonl", samples_of({n: ["#### 1", "#### 2"] for n in range(6)}))
    make(SAMPLES_LINE % ("s.jsonl", 0))
    workspace.write("two.jsonl", SIX[:2])
    make("two@1: {builder: questions_file, params: {path: two.jsonl, sha256: ?}}")
    for chunk in (1, 0):
        made = make("kept@1: {builder: rejection, inputs: [two@1, s@1]}", chunk=chunk)
        assert made.record.drops == {"unknown_question": 8, "wrong_answer": 4}
        assert made.rows["question_id"].to_list() == IDS[:2]
        shown = workspace.registry.sql("""select distinct question_id from "kept@1/drops" where reason = 'unknown_question'""")
        assert set(shown["question_id"]) == set(IDS[2:])
        workspace.store.remove(parse_id("kept@1"))


def test_samples_of_other_questions_alone_are_an_error(make: Make, workspace: Workspace) -> None:
    workspace.write("other.jsonl", [{"question": "And how many?", "answer": "1+1=2\n#### 2"}])
    workspace.write("s.jsonl", [{"question": "And how many?", "completion": "1+1=2\n#### 2"}])
    make("other@1: {builder: questions_file, params: {path: other.jsonl, sha256: ?}}")
    make("s@1: {builder: samples_file, inputs: [other@1], params: {path: s.jsonl, sha256: ?}}")
    with pytest.raises(InputError, match=r"no sample could be graded \(1 unknown_question\)"):
        make("set@1: {builder: rejection, inputs: [six@1, s@1]}")
    assert "set@1" not in workspace.registry


def test_without_samples_the_human_solutions_remain(make: Make) -> None:
    made = make("kept@1: {builder: rejection, inputs: [six@1]}")
    assert made.rows["response"].to_list() == [row["answer"] for row in SIX]
    assert made.path_stats is not None
    assert made.path_stats.select("draws", "kept", "paths_with_human").unique().rows() == [(0, 0, 1)]


# -- the same rows however it is built ------------------------------------------------------------------------------


def many(workspace: Workspace, make: Make, line: str | None = None) -> Made:
    """Add 40 questions (one in five without a solution) and samples of two models in s@1 and t@1; build `line`."""
    rows: list[dict[str, Any]] = []
    first: list[dict[str, Any]] = []
    second: list[dict[str, Any]] = []
    for n in range(40):
        a, b = n + 2, n % 7 + 1
        total = a + b
        question = f"Ann has {a} cards and gets {b} more. How many has she now? ({n})"
        solution = f"She has {a}+{b}=<<{a}+{b}={total}>>{total}.\n#### {total}"
        rows.append({"question": question, "answer": solution if n % 5 else str(total)})
        texts = [
            f"{b}+{a}=<<{b}+{a}={total}>>{total} cards\n#### {total}",
            f"{a}+{b}=<<{a}+{b}={total}>>{total}, twice that is {total}*2=<<{total}*2={2 * total}>>{2 * total}\n#### {total}",
            f"{a}+{b}=<<{a}+{b}={total}>>{total}, or 2*{total}=<<2*{total}={2 * total}>>{2 * total} for two\n#### {total}",
            f"1+1=<<1+1=2>>2\n#### {total}",
            f"1+1=<<1+1=2>>2 at first, and then some\n#### {total}",
            f"1+1=<<1+1=3>>3\n#### {total}",
            f"{total}",
            f"#### {total + 1}",
            f"#### {total}",
        ]
        for draw, text in enumerate(texts):
            if (n + draw) % 4 and n != 13:  # no sample at all of one question
                (first if (n + draw) % 3 else second).append({"question": question, "completion": text, "draw": draw})
    workspace.write("many.jsonl", rows)
    workspace.write("first.jsonl", [row | {"model": f"m{row['draw'] % 2}"} for row in first])
    workspace.write("second.jsonl", second)
    workspace.add(
        "many@1: {builder: questions_file, params: {path: many.jsonl, sha256: ?}}",
        "s@1: {builder: samples_file, inputs: [many@1], params: {path: first.jsonl, sha256: ?}}",
        "t@1: {builder: samples_file, inputs: [many@1], params: {path: second.jsonl, sha256: ?}}",
    )
    if line is None:
        workspace.build("many@1", "s@1", "t@1")
        return workspace.made("many@1")
    return make(line)


RECIPES = [
    "{builder: rejection, inputs: [many@1, s@1, t@1]}",
    "{builder: rejection, inputs: [many@1, s@1, t@1], params: {mode: paper}}",
    "{builder: rejection, inputs: [many@1, s@1, t@1], params: {select: random_text, seed: 5}}",
    "{builder: rejection, inputs: [many@1, s@1, t@1], params: {select: random_rows, seed: 5}}",
    "{builder: rejection, inputs: [many@1, t@1], params: {select: all, no_path: keep, k: 5}}",
    "{builder: union, inputs: [a@1, b@1]}",
    "{builder: union, inputs: [b@1, a@1], params: {select: random_text, seed: 5}}",
    "{builder: union, inputs: [a@1, b@1], params: {select: random_rows, seed: 5}}",
]


def equal(a: Made, b: Made) -> bool:
    tables = [
        (x is None and y is None) or (x is not None and y is not None and x.equals(y))
        for x, y in zip(a[1:], b[1:], strict=True)
    ]
    return all(tables) and a.record.content == b.record.content and a.record.drops == b.record.drops


@pytest.mark.parametrize("recipe", RECIPES)
def test_rows_and_content_do_not_depend_on_the_chunks(make: Make, workspace: Workspace, recipe: str) -> None:
    many(workspace, make)
    make("a@1: {builder: rejection, inputs: [many@1, s@1]}")
    make("b@1: {builder: rejection, inputs: [many@1, t@1, s@1], params: {select: first}}")
    whole = make(f"kept@1: {recipe}", chunk=1_000_000)
    assert whole.rows.height > 50
    for chunk in (0, 1, 7):
        workspace.store.remove(parse_id("kept@1"))
        assert equal(make(f"kept@1: {recipe}", chunk=chunk), whole)


def test_rows_and_content_do_not_depend_on_the_workers(make: Make, workspace: Workspace) -> None:
    many(workspace, make)
    line = "kept@1: {builder: rejection, inputs: [many@1, s@1, t@1], params: {select: random_text}}"
    alone = make(line, chunk=7, workers=1)
    workspace.store.remove(parse_id("kept@1"))
    assert equal(make(line, chunk=7, workers=2), alone)


def test_other_seeds_give_other_rows(make: Make, workspace: Workspace) -> None:
    many(workspace, make)
    contents = {
        make(
            f"kept@{n}: {{builder: rejection, inputs: [many@1, s@1, t@1], params: {{select: random_text, seed: {n}}}}}"
        ).record.content
        for n in (1, 2, 3)
    }
    assert len(contents) == 3


# -- union ----------------------------------------------------------------------------------------------------------


def sets(workspace: Workspace, make: Make, params: str = "") -> None:
    many(workspace, make)
    make(f"a@1: {{builder: rejection, inputs: [many@1, s@1], params: {{{params}}}}}")
    make(f"b@1: {{builder: rejection, inputs: [many@1, t@1], params: {{{params}}}}}")


@pytest.mark.parametrize("params", ["", "select: first", "mode: paper", "key: paper", "same_as_human: keep, no_path: keep"])
def test_a_union_counts_paths_as_a_rejection_over_all_its_samples(make: Make, workspace: Workspace, params: str) -> None:
    sets(workspace, make, params)
    select = "{select: first}" if "first" in params else "{}"
    union = make(f"u@1: {{builder: union, inputs: [a@1, b@1], params: {select}}}")
    pooled = make(f"p@1: {{builder: rejection, inputs: [many@1, s@1, t@1], params: {{{params}}}}}")
    assert union.path_stats is not None
    assert pooled.path_stats is not None
    assert union.path_stats.equals(pooled.path_stats)
    assert union.record.drops == pooled.record.drops


def test_a_union_of_first_samples_is_the_rejection_over_all_samples(make: Make, workspace: Workspace) -> None:
    sets(workspace, make, "select: first")
    union = make("u@1: {builder: union, inputs: [a@1, b@1], params: {select: first}}")
    pooled = make("p@1: {builder: rejection, inputs: [many@1, s@1, t@1], params: {select: first}}")
    assert union.rows.equals(pooled.rows)
    assert equal(union, pooled)


def test_a_union_has_the_human_rows_once_and_samples_in_the_order_of_its_sets(make: Make, workspace: Workspace) -> None:
    sets(workspace, make)
    asked = workspace.made("many@1").rows["question_id"].to_list()
    for order in (["a@1", "b@1"], ["b@1", "a@1"]):
        name = f"u{order[0][0]}@1"
        rows = make(f"{name}: {{builder: union, inputs: [{', '.join(order)}], params: {{select: all}}}}").rows
        human = rows.filter(pl.col("origin") == "human")
        assert human["question_id"].is_unique().all()
        assert human.height == 32
        places = [(asked.index(id), origin != "human") for id, origin in rows.select("question_id", "origin").iter_rows()]
        if order[0] == "a@1":
            assert [place for place, _ in places] == sorted(place for place, _ in places)
        for _, group in rows.group_by("question_id", maintain_order=True):
            sources = [{"s@1": "a@1", "t@1": "b@1", None: ""}[source] for source in group["source"]]
            assert sources == sorted(sources, key=["", *order].index)


def test_what_a_union_does_not_keep_ends_as_same_path(make: Make, workspace: Workspace) -> None:
    sets(workspace, make)
    union = make("u@1: {builder: union, inputs: [a@1, b@1]}")
    before = pl.concat(found for name in ("a@1", "b@1") if (found := workspace.made(name).verdicts) is not None)
    assert union.verdicts is not None
    key = ["source", "question_id", "model", "draw"]
    both = before.join(union.verdicts, on=key, how="full", nulls_equal=True)
    assert both.height == before.height == union.verdicts.height
    moves = set(both.select("verdict", "verdict_right").iter_rows())
    moved = {(was, now) for was, now in moves if was != now}
    assert moved == {("kept", "same_path")}
    kept = union.verdicts.filter(pl.col("verdict") == "kept").height
    assert kept == union.rows.filter(pl.col("origin") != "human").height


def test_a_union_of_one_set_is_that_set(make: Make, workspace: Workspace) -> None:
    sets(workspace, make)
    union = make("u@1: {builder: union, inputs: [a@1], params: {select: all}}")
    assert equal(union, workspace.made("a@1"))


def test_a_union_of_unions_is_the_union_of_their_sets(make: Make, workspace: Workspace) -> None:
    sets(workspace, make, "select: first")
    make("c@1: {builder: rejection, inputs: [many@1, t@1, s@1], params: {select: first, k: 4}}")
    make("ab@1: {builder: union, inputs: [a@1, b@1], params: {select: first}}")
    nested = make("nested@1: {builder: union, inputs: [ab@1, c@1], params: {select: first}}")
    flat = make("flat@1: {builder: union, inputs: [a@1, b@1, c@1], params: {select: first}}")
    assert nested.rows.equals(flat.rows)
    assert nested.path_stats is not None
    assert flat.path_stats is not None
    assert nested.path_stats.equals(flat.path_stats)
    assert nested.record.drops == flat.record.drops


def test_a_sample_that_is_in_two_sets_is_one_sample(make: Make, workspace: Workspace) -> None:
    sets(workspace, make)
    make("both@1: {builder: rejection, inputs: [many@1, t@1, s@1]}")
    union = make("u@1: {builder: union, inputs: [a@1, both@1, b@1], params: {select: all}}")
    key = ["source", "question_id", "origin", "draw"]
    assert union.rows.unique(key).height == union.rows.height
    assert union.verdicts is not None
    assert union.path_stats is not None
    samples = sum(workspace.stored(name).record.rows for name in ("s@1", "t@1"))
    assert union.verdicts.height == union.verdicts.unique(["source", "question_id", "model", "draw"]).height == samples
    assert union.path_stats["draws"].sum() == samples
    assert (union.verdicts["verdict"] == "kept").sum() == union.rows.filter(pl.col("origin") != "human").height


@pytest.mark.parametrize(
    ("one", "other", "fact"),
    [("mode: standard", "mode: paper", "mode"), ("key: canonical", "key: paper", "key"), ("mode: paper", "key: paper", "mode")],
)
def test_sets_that_were_made_by_other_rules_make_no_union(
    make: Make, workspace: Workspace, one: str, other: str, fact: str
) -> None:
    many(workspace, make)
    make(f"a@1: {{builder: rejection, inputs: [many@1, s@1], params: {{{one}}}}}")
    make(f"b@1: {{builder: rejection, inputs: [many@1, t@1], params: {{{other}}}}}")
    with pytest.raises(
        InputError, match=rf"the sets of a union must have one {fact}: a@1 has \w+, b@1 has \w+\. Only rejection sets"
    ):
        make("u@1: {builder: union, inputs: [a@1, b@1]}")


def test_a_fraction_of_a_set_makes_no_union(make: Make, workspace: Workspace) -> None:
    sets(workspace, make)
    make("half@1: {builder: fraction, inputs: [a@1], params: {denominator: 2, seed: 1}}")
    with pytest.raises(InputError, match=r"must have one mode: a@1 has standard, half@1 has None"):
        make("u@1: {builder: union, inputs: [a@1, half@1]}")


def test_a_union_of_nothing_is_refused(make: Make) -> None:
    with pytest.raises(InputError, match="a union needs one rejection set at least"):
        make("u@1: {builder: union}")


def test_samples_are_the_same_however_many_rows_are_held_at_once(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace.write("s.jsonl", samples_of({n: [f"#### {n}", "#### 15", "hm"] for n in range(6)}))
    contents = []
    for version, rows in ((1, 50_000), (2, 1), (3, 7)):
        monkeypatch.setattr("builders.samples_file.ROWS_AT_ONCE", rows)
        workspace.add(f"s@{version}: {{builder: samples_file, inputs: [six@1], params: {{path: s.jsonl, sha256: ?}}}}")
        workspace.build(f"s@{version}")
        contents.append(workspace.made(f"s@{version}").record.content)
    assert len(set(contents)) == 1


def test_an_answer_and_a_solution_that_differ_are_refused(make: Make, workspace: Workspace) -> None:
    rows = [
        SIX[0],
        {"question": "One?", "answer": "5", "response": "So\n#### 6"},
        {"question": "Two?", "answer": "6.0", "response": "#### 6"},
    ]
    workspace.write("q.jsonl", rows)
    made = make("q@1: {builder: questions_file, params: {path: q.jsonl, sha256: ?, max_refused: 0.5}}")
    assert made.record.drops == {"answers_differ": 1}
    assert made.drops is not None
    assert made.drops["detail"].to_list() == ["answer is 5, the solution ends in 6"]


def test_samples_of_no_model_and_of_one_called_like_the_artifact_are_refused(make: Make, workspace: Workspace) -> None:
    workspace.write("s.jsonl", [SAMPLE, SAMPLE | {"model": "mine"}])
    make("mine@1: {builder: samples_file, inputs: [six@1], params: {path: s.jsonl, sha256: ?}}")
    for line in ("k@1: {builder: rejection, inputs: [six@1, mine@1]}", "e@1: {eval: gsm8k, inputs: [six@1, mine@1]}"):
        with pytest.raises(InputError, match="a model called mine and samples of no model"):
            make(line)


def test_sets_of_different_tolerance_make_no_union(make: Make, workspace: Workspace) -> None:
    workspace.write("s.jsonl", [SAMPLE])
    make(SAMPLES_LINE % ("s.jsonl", 0))
    make("a@1: {builder: rejection, inputs: [six@1, s@1]}")
    make("b@1: {builder: rejection, inputs: [six@1, s@1], params: {tolerance: 0.5}}")
    with pytest.raises(InputError, match="must have one tolerance"):
        make("u@1: {builder: union, inputs: [a@1, b@1]}")


def test_a_parquet_column_that_is_not_read_cannot_stop_an_import(make: Make, workspace: Workspace) -> None:
    frame = pl.DataFrame({**{name: [row[name] for row in SIX] for name in ("question", "answer")}, "when": [2**62] * 6})
    frame.with_columns(pl.col("when").cast(pl.Datetime("ms"))).write_parquet(workspace.folder / "q.parquet")
    made = make("q@1: {builder: questions_file, params: {path: q.parquet, sha256: ?}}")
    assert made.record.rows == 6
    assert made.record.facts["notes"] == ["ignored columns: when"]


@pytest.mark.parametrize(
    "fault", [None, Fault("503", on="GET */resolve/*"), Fault("reset", on="HEAD */resolve/*")], ids=["well", "503", "reset"]
)
def test_gsm8k_reads_the_release_at_a_commit_of_the_hub(tmp_path: Path, fault: Fault | None) -> None:
    (tmp_path / "repo" / "main").mkdir(parents=True)
    release(1319).write_parquet(tmp_path / "repo" / "main" / "test-00000-of-00001.parquet")
    revision = "c" * 40
    with serving("openai/gsm8k", revision, tmp_path / "repo") as hub, pointing_at(hub, tmp_path / "hf"):
        if fault:
            hub.fail(fault)
        with stamina.set_testing(True, attempts=3):
            assert gsm8k.build(split="test", revision=revision).height == 1319
        asked = len(hub.requests)
        assert gsm8k.build(split="test", revision=revision).height == 1319
        assert len(hub.requests) == asked  # what was loaded once is read from the cache
        with pytest.raises(RemoteError, match=r"openai/gsm8k at d{12} could not be loaded: .* Check the network"):
            gsm8k.build(split="test", revision="d" * 40)


# -- mathematics ----------------------------------------------------------------------------------------------------


def test_mode_math_compares_structures_and_expressions_and_asks_once(make: Make, workspace: Workspace) -> None:
    golds = {"How far?": r"3\\sqrt{13}", "Where?": "(1, 2)", "Which?": "7/2", "Who?": "Evelyn"}
    texts = {
        "How far?": [r"It is \\boxed{\\sqrt{117}}", r"So \\boxed{3\\sqrt{14}}", "It is 3."],
        "Where?": [r"At \\boxed{\\left(1,2\\right)}", r"At \\boxed{(2,1)}", "Nowhere."],
        "Which?": [r"\\boxed{3.5}", r"\\boxed{\\frac{7}{2}}", r"\\boxed{\\frac{7}{3}}"],
        "Who?": ["The answer is Evelyn.", r"\\boxed{\\text{Evelyn}}", "The answer is Navin."],
    }
    workspace.write("m.jsonl", [{"question": q, "answer": a.replace("\\\\", "\\")} for q, a in golds.items()])
    workspace.write(
        "p.jsonl",
        [{"question": q, "completion": text.replace("\\\\", "\\")} for q, found in texts.items() for text in found],
    )
    make("m@1: {builder: questions_file, params: {path: m.jsonl, sha256: ?}}")
    make("p@1: {builder: samples_file, inputs: [m@1], params: {path: p.jsonl, sha256: ?}}")
    made = make("kept@1: {builder: rejection, inputs: [m@1, p@1], params: {mode: math, no_path: keep, select: all}}")
    assert made.verdicts is not None
    ids = {question_id(q): q for q in golds}
    found = {
        (ids[id], draw): (verdict, by)
        for id, draw, verdict, by in made.verdicts.select("question_id", "draw", "verdict", "compared_by").iter_rows()
    }
    assert found == {
        ("How far?", 0): ("kept", "symbolic"),
        ("How far?", 1): ("wrong_answer", "symbolic"),
        ("How far?", 2): ("no_answer", None),
        ("Where?", 0): ("kept", "structure"),
        ("Where?", 1): ("wrong_answer", "structure"),
        ("Where?", 2): ("no_answer", None),
        ("Which?", 0): ("kept", "number"),
        ("Which?", 1): ("kept", "number"),
        ("Which?", 2): ("wrong_answer", "number"),
        ("Who?", 0): ("kept", "text"),
        ("Who?", 1): ("kept", "structure"),
        ("Who?", 2): ("wrong_answer", None),
    }
    assert made.record.facts["checker"].startswith("math-verify ")
    # What was decided is read from the store: an eval of the same samples asks nothing.
    file = workspace.store.home / "decided.sqlite"
    with sqlite3.connect(file) as store:
        assert store.execute("select count(*), sum(equal) from decided").fetchone() == (2, 1)
        store.execute("update decided set equal = 1 - equal")
    scores = make("scores@1: {eval: gsm8k, inputs: [m@1, p@1], params: {mode: math, k: 3}}")
    assert scores.verdicts is not None
    told = {
        (ids[id], draw): right for id, draw, right in scores.verdicts.select("question_id", "draw", "right_answer").iter_rows()
    }
    assert (told["How far?", 0], told["How far?", 1]) == (False, True)


def test_standard_mode_asks_no_checker(make: Make, workspace: Workspace) -> None:
    workspace.write("s.jsonl", samples_of({0: [r"\\boxed{\\sqrt{225}}", "#### 15"]}))
    make("s@1: {builder: samples_file, inputs: [six@1], params: {path: s.jsonl, sha256: ?}}")
    made = make("kept@1: {builder: rejection, inputs: [six@1, s@1], params: {no_path: keep}}")
    assert made.verdicts is not None
    assert made.verdicts["verdict"].to_list() == ["no_answer", "kept"]
    assert not (workspace.store.home / "decided.sqlite").exists()
