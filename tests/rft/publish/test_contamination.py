"""A text that overlaps with a test question is found, and why it stops is said."""

import re
import unicodedata
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.names import parse_id
from registry.rows import question_id
from registry.store.record import InputRecord
from rft.publish.gate.contamination import (
    KNOWN_OVERLAPS,
    Known,
    check_contamination,
    known_overlaps,
    overlaps,
    role_of,
    texts_of,
)
from tests.workspace import SIX, Workspace, samples_of

ROWING = (
    "On Monday a rowing club carried 14 boats down to the lake and on Tuesday it carried 9 more; "
    "if each boat needs 4 oars, how many oars did the club have to bring by Tuesday evening?"
)
STOCK = "if each boat needs 4 oars, how many"  # eight words of it
SHORT = "What is half of 36 more than 8 apples?"  # nine words
TINY = "What is 3 times 5?"


def texts(*found: str, column: Any = "response") -> Any:
    """Return texts of one question each: q0, q1, ..."""
    return pl.DataFrame(
        {"question_id": [f"q{n}" for n in range(len(found))], "column": column, "text": list(found)},
        schema={"question_id": pl.String, "column": pl.String, "text": pl.String},
    )


def questions(*found: str) -> Any:
    return pl.DataFrame(
        {"question_id": [question_id(question) for question in found], "question": list(found)},
        schema={"question_id": pl.String, "question": pl.String},
    )


def found(text: str, question: str = ROWING) -> Any:
    """Return (kind, share, shared words) of the overlap of a text and a question, or None."""
    rows = overlaps(texts(text), questions(question)).select("kind", "share", "shared").rows()
    return rows[0] if rows else None


# -- what is found ------------------------------------------------------------------------------------------------------


def test_the_same_words_are_exact_whatever_their_case_white_space_and_punctuation() -> None:
    for text in (ROWING, ROWING.upper(), ROWING.replace(" ", " \n "), re.sub("[,;?]", "", ROWING), f"«{ROWING}»"):
        kind, share, shared = found(text)
        assert (kind, share) == ("exact", 1.0)
        assert shared.split()[:5] == ["on", "monday", "a", "rowing", "club"]


def test_the_same_question_is_exact_by_its_id_whatever_the_text() -> None:
    sample = texts("6*7=42").with_columns(question_id=pl.lit(question_id(ROWING)))
    assert overlaps(sample, questions(ROWING))["kind"].to_list() == ["exact"]
    assert overlaps(texts("6*7=42"), questions(ROWING)).is_empty()


def test_a_question_inside_a_longer_text_shares_all_its_words() -> None:
    kind, share, shared = found(f"Let us see. {ROWING} There are 14+9=<<14+9=23>>23 boats.\n#### 92")
    assert (kind, share) == ("13-gram", 1.0)
    assert len(shared.split()) == 37


def test_a_question_with_a_few_words_changed_shares_its_longest_run() -> None:
    changed = ROWING.replace("Monday", "Friday").replace("9 more", "6 more")
    kind, share, shared = found(changed)
    assert kind == "13-gram"
    assert shared.startswith("more if each boat needs")
    assert share == pytest.approx((37 - 3) / 37)  # all but "on Monday" and 9
    assert len(shared.split()) == 19


def test_a_phrase_of_eight_words_is_an_8_gram_and_one_of_seven_is_nothing() -> None:
    assert found(f"Well, {STOCK} are there?") == ("8-gram", 8 / 37, "if each boat needs 4 oars how many")
    assert found("Well, each boat needs 4 oars, how many are there?") is None


def test_other_numbers_make_other_words() -> None:
    assert found(f"Well, {STOCK.replace('4', '5')} are there?") is None


def test_twelve_words_in_a_row_are_no_13_gram() -> None:
    words = re.findall(r"\w+", ROWING)
    assert found(" ".join(words[3:15]))[0] == "8-gram"
    assert found(" ".join(words[3:16]))[0] == "13-gram"


def test_two_runs_are_one_share_and_not_one_run() -> None:
    words = re.findall(r"\w+", ROWING)
    kind, share, shared = found(" ".join([*words[:8], "and", *words[10:20], "x", *words[4:12]]))
    assert kind == "8-gram"
    assert share == pytest.approx(20 / 37)  # the first twenty; those in two runs count once
    assert shared == " ".join(words[10:20]).lower()


def test_a_short_question_is_found_if_all_of_it_is_there_and_a_tiny_one_if_nothing_else_is() -> None:
    assert found(f"I ask: {SHORT} It is 22.", SHORT) == ("8-gram", 1.0, "what is half of 36 more than 8 apples")
    assert found("what is 3 TIMES 5", TINY) == ("exact", 1.0, "what is 3 times 5")
    assert found(f"I ask: {TINY} It is 15.", TINY) is None


def test_no_run_crosses_the_border_of_a_text_or_of_a_question() -> None:
    words = re.findall(r"\w+", ROWING)
    assert overlaps(texts(" ".join(words[:7]), " ".join(words[7:14])), questions(ROWING)).is_empty()
    halves = questions(" ".join(words[:7]), " ".join(words[7:14]))
    assert overlaps(texts(ROWING), halves).is_empty()


def test_letters_of_any_script_are_words_and_their_forms_are_one() -> None:
    question = "Сколько яблок у Éric, если у него 12 ящиков и в каждом हिन्दी 5?"
    same = unicodedata.normalize("NFD", question).upper().replace("12", "１２")
    assert found(same, question)[:2] == ("exact", 1.0)
    _, share, shared = found(f"Скажи: {question} Да.", question)
    assert (share, shared) == (1.0, "сколько яблок у éric если у него 12 ящиков и в каждом हिन्दी 5")


def test_text_without_a_word_overlaps_with_nothing() -> None:
    assert overlaps(texts("", "???", " \n"), questions("...", "?!", ROWING)).is_empty()


def test_nothing_overlaps_with_nothing() -> None:
    full = overlaps(texts(ROWING), questions(ROWING))
    for a, b in ((texts(), questions(ROWING)), (texts(ROWING), questions()), (texts(), questions())):
        assert overlaps(a, b).is_empty()
        assert overlaps(a, b).schema == full.schema


def test_of_several_responses_to_a_question_the_worst_counts() -> None:
    pool = texts(f"Well, {STOCK}?", ROWING + " So.", "Nothing.").with_columns(question_id=pl.lit("q"))
    rows = overlaps(pool, questions(ROWING, SHORT)).rows(named=True)
    assert [(row["question_id"], row["kind"], row["share"]) for row in rows] == [("q", "13-gram", 1.0)]


@pytest.mark.parametrize("hash", [lambda word: pl.lit(0, pl.UInt64), lambda word: word.str.len_bytes().cast(pl.UInt64)])
def test_words_whose_hashes_collide_are_told_apart(hash: Any) -> None:
    pool = texts(
        "one two six ten cat dog pig cow hen", f"Well, {STOCK} are there?", ROWING, "eight words of the same length as others"
    )
    asked = questions("two one six ten cat dog cow pig hen", ROWING, SHORT)
    collided = overlaps(pool, asked, _hash=hash)
    assert collided.equals(overlaps(pool, asked))
    assert collided.height == 2


# -- the same, slowly ---------------------------------------------------------------------------------------------------


def slow_words(text: Any) -> Any:
    text = unicodedata.normalize("NFKC", text).lower()
    return "".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in text).split()


def slow_overlap(text: Any, question: Any) -> Any:
    """Return (kind, share, length of the longest run) of a text and a question, by trying all pairs of places."""
    a, b = slow_words(text), slow_words(question)
    if a and a == b:
        return "exact", 1.0, len(b)
    covered, longest = set(), 0
    for i in range(len(a)):
        for j in range(len(b)):
            run = 0
            while i + run < len(a) and j + run < len(b) and a[i + run] == b[j + run]:
                run += 1
            if run >= 8:
                covered |= set(range(j, j + run))
                longest = max(longest, run)
    return ("13-gram" if longest >= 13 else "8-gram", len(covered) / len(b), longest) if longest else None


word = st.sampled_from(["a", "B", "é", "42"])
between = st.sampled_from([" ", ", ", "\n", "-", ". "])
loose = st.lists(st.tuples(word, between), max_size=30).map(lambda pairs: "".join(w + space for w, space in pairs))
whole = "a b 42 é a a b 42 42 b é a b b a é é 42 a b"
cut = st.tuples(st.integers(0, 20), st.integers(0, 20)).map(lambda ends: " ".join(whole.split()[min(ends) : max(ends)]))
text = st.lists(loose | cut, max_size=3).map(" x ".join)


@given(st.lists(text, max_size=4), st.lists(text, max_size=4, unique_by=question_id))
def test_the_overlaps_are_those_that_all_pairs_of_places_have(found_texts: Any, asked: Any) -> None:
    expected = {
        (f"q{n}", question_id(question)): overlap
        for n, found_text in enumerate(found_texts)
        for question in asked
        if (overlap := slow_overlap(found_text, question))
    }
    rows = overlaps(texts(*found_texts), questions(*asked)).rows(named=True)
    got = {(row["question_id"], row["test_question"]): (row["kind"], row["share"], len(row["shared"].split())) for row in rows}
    assert got.keys() == expected.keys()
    for pair, (kind, share, longest) in expected.items():
        assert got[pair] == (kind, pytest.approx(share), longest)
    words = {question_id(question): " ".join(slow_words(question)) for question in asked}
    assert all(f" {row['shared']} " in f" {words[row['test_question']]} " for row in rows)


# -- which texts, and what they are for -----------------------------------------------------------------------------------


@pytest.fixture
def exam(workspace: Workspace) -> Any:
    """A workspace with six@1 (to train on), exam@1 (a test set with the rowing club) and samples of six@1 that are not built."""
    workspace.write("exam.jsonl", [{"question": ROWING, "answer": "92"}, {"question": SHORT, "answer": "22"}])
    workspace.add(
        "exam@1: {builder: questions_file, params: {path: exam.jsonl, sha256: ?, role: test}}",
        "pool@1: {builder: samples_file, inputs: [six@1], params: {path: pool.jsonl, sha256: ?}}",
        "kept@1: {builder: rejection, inputs: [six@1, pool@1]}",
    )
    workspace.build("six", "exam")
    return workspace


def records(workspace: Workspace) -> Any:
    """Return what looks up a record by its id, or gives None."""

    def record(id: Any) -> Any:
        stored = workspace.store.get(parse_id(id))
        return stored.record if stored else None

    return record


def sampled(workspace: Workspace, *responses: Any) -> Any:
    """Build kept@1 from responses to the first question, each of which must be a right one."""
    workspace.write("pool.jsonl", samples_of({0: list(responses)}, model="toy"))
    workspace.add("pool@1: {builder: samples_file, inputs: [six@1], params: {path: pool.jsonl, sha256: ?}}")
    workspace.build("kept")
    assert workspace.made("kept@1").rows.height == 6 + len(responses)


def checked(workspace: Workspace, name: Any, tests: Any = ("exam@1",), **options: Any) -> Any:
    made, stored = workspace.made(name), workspace.stored(name)
    sets = {id: workspace.made(id).rows if records(workspace)(id) else None for id in tests}
    return check_contamination(stored, made.rows, role_of(made.record, records(workspace)), sets, **options)


def test_a_role_is_the_questions_own_or_comes_down_from_them(exam: Any) -> None:
    exam.add(
        "exam-pool@1: {builder: samples_file, inputs: [exam@1], params: {path: exam-pool.jsonl, sha256: ?}}",
        "exam-kept@1: {builder: rejection, inputs: [exam@1, exam-pool@1]}",
    )
    exam.write("exam-pool.jsonl", [{"question": ROWING, "completion": "23*4=<<23*4=92>>92\n#### 92"}])
    exam.add(
        "exam-pool@1: {builder: samples_file, inputs: [exam@1], params: {path: exam-pool.jsonl, sha256: ?}}",
        "half@1: {builder: fraction, inputs: [exam@1], params: {denominator: 2, seed: 1}}",
        "stories@1: {builder: story_problems, params: {split: validation, count: 3, seed: 1}}",
        "asked@1: {builder: story_problems, params: {split: train, count: 3, seed: 1, role: test}}",
        "read@1: {builder: story_text, params: {lines: 20, seed: 1}}",
        "both@1: {builder: union, inputs: [exam-kept@1]}",
    )
    exam.build("*-*", "half", "stories", "asked", "read", "both")
    roles = {"six": "train", "exam": "test", "exam-pool": "test", "exam-kept": "test", "half": "test", "both": "test"}
    roles |= {"stories": "validation", "asked": "test", "read": None}  # type: ignore[dict-item]
    record = records(exam)
    assert {name: role_of(record(f"{name}@1"), record) for name in roles} == roles
    of_gsm8k = record("six@1").model_copy(update={"maker": "gsm8k", "params": {"split": "test", "role": None}})
    assert role_of(of_gsm8k, record) == "test"
    assert role_of(record("half@1"), lambda id: None) is None
    assert role_of(record("half@1").model_copy(update={"inputs": []}), record) is None


def test_a_model_among_the_inputs_says_nothing_of_the_questions(exam: Any) -> None:
    six, asked = exam.stored("six@1").record, exam.stored("exam@1").record
    model = six.model_copy(update={"name": "model", "kind": "model", "rows_are": None})
    inputs = [InputRecord(id="model@1", content="0" * 64), InputRecord(id="exam@1", content=asked.content)]
    drawn = six.model_copy(update={"name": "drawn", "rows_are": "SAMPLES", "inputs": inputs})
    assert role_of(drawn, {"model@1": model, "exam@1": asked}.get) == "test"
    assert role_of(drawn, {"model@1": model}.get) is None


def test_what_is_trained_on_is_compared_and_what_is_tested_with_is_not(exam: Any) -> None:
    rows = exam.made("six@1").rows

    def columns(rows: Any, rows_are: Any, role: Any) -> Any:
        return sorted(set(texts_of(rows, rows_are, role)["column"]))

    samples = rows.select("question_id", "response", draw=0)
    for role in ("train", "validation", None):
        assert columns(rows, "QUESTIONS", role) == ["question", "response"]
        assert columns(samples, "SAMPLES", role) == ["response"]
    assert columns(rows, "QUESTIONS", "test") == columns(samples, "SAMPLES", "test") == []
    for role in ("train", "test"):
        assert columns(rows, "TRAINING", role) == ["question", "response"]
    text = pl.DataFrame({"text": ["One.", "Two.", "One."], "source": [None] * 3})
    assert texts_of(text, "TEXT", None).rows() == [
        ("row 1", "text", "One."),
        ("row 2", "text", "Two."),
        ("row 3", "text", "One."),
    ]
    assert texts_of(pl.DataFrame({"dataset": ["x"], "metric": ["maj1@1"], "n": [3]}), "SCORES", "test").is_empty()


def test_a_text_that_stands_in_many_rows_is_compared_once(exam: Any) -> None:
    rows = exam.made("six@1").rows
    twice = pl.concat([rows, rows.with_columns(response=pl.lit(None, pl.String))])
    assert texts_of(twice, "TRAINING", "train").height == 12


# -- the gate -----------------------------------------------------------------------------------------------------------------

RIGHT = "There are 4*6-9=<<4*6-9=15>>15 rolls left.\n#### 15"


def test_a_set_without_an_overlap_passes_and_says_what_it_was_compared_with(exam: Any) -> None:
    sampled(exam, RIGHT)
    (figures,), (finding,) = checked(exam, "kept@1")
    assert (figures.test_set, figures.texts, figures.questions, figures.exact) == ("exam@1", 13, 0, 0)
    assert (finding.gate, finding.name, finding.stops) == ("contamination", "contamination/exam@1", False)
    assert finding.says == "13 texts of kept@1 compared with the questions of exam@1: no overlap."


def test_a_test_question_in_a_response_stops_the_set_and_is_named(exam: Any) -> None:
    sampled(exam, RIGHT, f"{ROWING}\n6*4=<<6*4=24>>24 and 24-10+1=<<24-10+1=15>>15\n#### 15")
    (figures,), (finding,) = checked(exam, "kept@1")
    assert (figures.questions, figures.exact, figures.gram_13, figures.gram_8, figures.known) == (1, 0, 1, 0, 0)
    assert finding.stops
    line = f"response of {question_id(SIX[0]['question'])}, test question {question_id(ROWING)}: 13-gram, 100% of it: "
    assert f'{line}"on monday a rowing club' in finding.says
    assert "override contamination/exam@1" in finding.says


def test_a_test_question_among_the_questions_stops_the_set(exam: Any) -> None:
    exam.write("mixed.jsonl", [*SIX, {"question": f" {ROWING.replace(' ', '  ')}", "answer": "92"}])
    exam.add("mixed@1: {builder: questions_file, params: {path: mixed.jsonl, sha256: ?}}")
    exam.build("mixed")
    (figures,), (finding,) = checked(exam, "mixed@1")
    assert (figures.exact, finding.stops) == (1, True)


def test_a_stock_phrase_is_listed_and_does_not_stop(exam: Any) -> None:
    sampled(exam, f"Well, {STOCK}?\n{RIGHT}")
    (figures,), (finding,) = checked(exam, "kept@1")
    assert (figures.gram_8, figures.gram_13, finding.stops) == (1, 0, False)
    assert '8-gram, 22% of it: "if each boat needs 4 oars how many"' in finding.says


def test_most_of_a_short_question_stops(exam: Any) -> None:
    sampled(exam, f"{SHORT}\n{RIGHT}")
    (figures,), (finding,) = checked(exam, "kept@1")
    assert (figures.gram_8, finding.stops) == (1, True)


def test_a_set_made_from_test_questions_stops_and_the_test_questions_themselves_are_not_compared(exam: Any) -> None:
    exam.write("exam-pool.jsonl", [{"question": ROWING, "completion": "23*4=<<23*4=92>>92\n#### 92"}])
    exam.add(
        "exam-pool@1: {builder: samples_file, inputs: [exam@1], params: {path: exam-pool.jsonl, sha256: ?}}",
        "exam-kept@1: {builder: rejection, inputs: [exam@1, exam-pool@1]}",
    )
    exam.build("exam-kept")
    assert checked(exam, "exam@1") == checked(exam, "exam-pool@1") == ((), ())
    (figures,), (finding,) = checked(exam, "exam-kept@1")
    assert (figures.exact, figures.questions, finding.stops) == (1, 1, True)


def test_a_reviewed_pair_is_counted_and_does_not_stop_unless_more_is_shared(exam: Any) -> None:
    pair = (question_id(SIX[0]["question"]), question_id(ROWING))
    part = " ".join(ROWING.split()[:14])
    sampled(exam, f"{part}.\n{RIGHT}")
    for share, stops, known in ((0.38, False, 1), (0.37, True, 0)):  # 14 of 37 words
        (figures,), (finding,) = checked(exam, "kept@1", known={pair: Known(share, "the same lake")})
        assert (figures.gram_13, figures.known, finding.stops) == (1, known, stops)
        assert ("1 13-gram (1 known)." in finding.says) == bool(known)
    assert checked(exam, "kept@1")[1][0].stops
    other = {(pair[0], question_id(SHORT)): Known(1.0, "another pair")}
    assert checked(exam, "kept@1", known=other)[1][0].stops


def test_an_exact_overlap_stops_even_if_it_was_reviewed(exam: Any) -> None:
    exam.write("mixed.jsonl", [{"question": ROWING + "!", "answer": "92"}])
    exam.add("mixed@1: {builder: questions_file, params: {path: mixed.jsonl, sha256: ?}}")
    exam.build("mixed")
    reviewed = {(question_id(ROWING + "!"), question_id(ROWING)): Known(1.0, "the same")}
    assert checked(exam, "mixed@1", known=reviewed)[1][0].stops


def test_a_test_set_that_is_not_built_stops_and_says_how_to_build_it(exam: Any) -> None:
    exam.add("later@1: {builder: story_problems, params: {split: test, count: 3, seed: 1}}")
    figures, (built, missing) = checked(exam, "six@1", tests=("exam@1", "later@1"))
    assert [f.test_set for f in figures] == ["exam@1"]
    assert not built.stops
    assert (missing.gate, missing.name, missing.stops) == ("contamination", "not-built/later@1", True)
    assert "`rft build later@1`" in missing.says
    assert "override not-built/later@1" in missing.says
    figures, (missing,) = checked(exam, "six@1", tests=("later@1",))
    assert (figures, missing.stops) == ((), True)


def test_each_test_set_gets_its_own_pairs(exam: Any) -> None:
    exam.write("other.jsonl", [{"question": SHORT, "answer": "22"}, {"question": TINY, "answer": "15"}])
    exam.add("other@1: {builder: questions_file, params: {path: other.jsonl, sha256: ?, role: test}}")
    exam.build("other")
    sampled(exam, f"{ROWING} {SHORT}\n{RIGHT}")
    figures, findings = checked(exam, "kept@1", tests=("exam@1", "other@1"))
    assert [(f.test_set, f.gram_13, f.gram_8) for f in figures] == [("exam@1", 1, 1), ("other@1", 0, 1)]
    assert "rowing" in findings[0].says
    assert "rowing" not in findings[1].says


def test_a_message_names_a_few_pairs_counts_the_others_and_cannot_move_the_cursor(exam: Any) -> None:
    many = [{"question": f"{ROWING} It was in year {n}.", "answer": "92"} for n in range(20)]
    exam.write("many.jsonl", many)
    exam.add("many@1: {builder: questions_file, params: {path: many.jsonl, sha256: ?}}")
    exam.build("many")
    made = exam.made("many@1")
    hostile = made.rows.with_columns(question_id=pl.lit("\x1b[2J\u202e") + pl.col("question_id"))
    (figures,), (finding,) = check_contamination(exam.stored("many@1"), hostile, "train", {"exam@1": exam.made("exam@1").rows})
    assert figures.gram_13 == 20
    assert finding.says.count("13-gram, 100% of it") == 3
    assert "and 17 more" in finding.says
    assert "\\x1b[2J\\u202e" in finding.says
    assert "\x1b" not in finding.says


def test_the_reviewed_overlaps_are_ids_with_a_reason_and_hold_no_question() -> None:
    known = known_overlaps()
    assert known
    for pair, overlap in known.items():
        assert all(re.fullmatch("[0-9a-f]{16}", id) for id in pair)
        assert 0 < overlap.share < 1
        assert len(overlap.why.split()) > 8
    assert Path(KNOWN_OVERLAPS).read_text(encoding="utf-8").startswith("#")
