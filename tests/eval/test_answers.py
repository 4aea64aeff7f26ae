"""Reading answers and comparing them, in both modes."""

import random
import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import polars as pl
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.grading import answers
from eval.grading.grade import is_right, vote_keys
from eval.grading.numbers import MAX_DIGITS, number, value
from eval.grading.rules import PAPER, RULES, STANDARD, Mode
from tests.workspace import CASE_FILES, ROOT, least_seconds

CASES = yaml.safe_load((CASE_FILES / "answers.yaml").read_text())


def read(texts: Sequence[str | None], mode: Mode) -> Any:
    return RULES[mode].read_answers(pl.Series(texts, dtype=pl.String))


def right(answer: str | None, gold: str | None, mode: Mode, **options: Any) -> Any:
    return is_right(pl.Series([answer], dtype=pl.String), pl.Series([gold], dtype=pl.String), RULES[mode], **options)[0]


@pytest.mark.parametrize("case", CASES["responses"], ids=lambda case: ascii(case["text"]))
class TestResponses:
    def test_standard_mode_reads_what_the_table_says(self, case: dict[str, Any]) -> None:
        assert read([case["text"]], "standard").row(0) == (case["standard"], case.get("answer_from"), case.get("cut", False))

    def test_paper_mode_reads_what_the_table_says(self, case: dict[str, Any]) -> None:
        assert read([case["text"]], "paper").row(0) == (case["paper"], "hash" if case["paper"] else None, False)


@pytest.mark.parametrize("case", CASES["numbers"], ids=lambda case: ascii(case["text"]))
def test_a_number_alone_is_read_as_the_table_says(case: dict[str, Any]) -> None:
    assert number(case["text"], whole=True) == case["number"]


@pytest.mark.parametrize("mode", ["standard", "paper"])
def test_a_column_is_read_as_its_responses_are_one_by_one(mode: Mode) -> None:
    texts = [case["text"] for case in CASES["responses"]]
    texts = [*texts, None, *reversed(texts)]
    assert read(texts, mode).rows() == [row for text in texts for row in read([text], mode).rows()]


@pytest.mark.parametrize("mode", ["standard", "paper"])
def test_no_response_has_no_answer(mode: Mode) -> None:
    assert read([None], mode).rows() == [(None, None, False)]
    assert read([], mode).rows() == []


# Texts made of what matters to the readers.
PIECES = [
    "#### ",
    "####",
    "#",
    "\\boxed{",
    "}",
    "{",
    "The answer is ",
    "answer is: ",
    "\n",
    " ",
    "$",
    ",",
    ".",
    "-",
    "%",
    "*",
    "/",
    "\0",
]
PIECES += [
    "1",
    "23",
    "450",
    "1,000",
    "0.5",
    "x",
    "=",
    "\\frac{1}{2}",
    "\\text{",
    "**",
    "#### 7",
    "\\boxed{8}",
    " 000",
    "½",
    "٣",
]


def texts_of_pieces(n: int, pieces: Any = PIECES) -> list[str]:
    dice = random.Random(1319)
    return ["".join(dice.choices(pieces, k=dice.randint(0, 12))) for _ in range(n)]


def script_reading(text: str) -> Any:
    """The reference script's reading, in plain Python."""
    found = re.search(r"#### (\-?[0-9\.\,]+)", text.split("\0")[0])
    answer = found[1].replace(",", "") if found else ""
    try:
        float(answer)
    except ValueError:
        return None
    return answer


def test_paper_mode_reads_random_texts_as_the_script_does() -> None:
    texts = texts_of_pieces(20_000)
    answers = read(texts, "paper")["answer"].to_list()
    assert answers == [script_reading(text) for text in texts]
    assert sum(answer is not None for answer in answers) > 2_000


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="#0123456789., -\n\0٣－x", max_size=30))
def test_paper_mode_reads_any_text_as_the_script_does(text: str) -> None:
    for whole in (text, "#### " + text):
        assert read([whole], "paper")["answer"][0] == script_reading(whole)


PLACES = {
    "hash": ["#### {}", "So it is.\n#### **{}**", "#### ${}"],
    "boxed": [r"So $\boxed{{{}}}$.", r"\fbox{{{}}}", r"\boxed{{x = {}}}"],
    "phrase": ["The answer is {}.", "**Answer:** {}", "A: {}", "The answer is:\n{}", "The answer is {} pears, because."],
    "tag": ["[ANS] {}<|endoftext|>", "<answer>{}</answer>", '{{"reasoning": "5 + 2", "answer": "{}"}}'],
    "line": ["So it is.\n**{}**", "### {}", "He has 2 + 3 = {} pears."],
}


@settings(max_examples=300, deadline=None)
@given(st.integers(-(10**7), 10**7), st.data())
def test_a_number_is_read_at_every_place_and_the_last_place_counts(n: int, data: Any) -> None:
    form = data.draw(st.sampled_from(sorted(PLACES)))
    ending = data.draw(st.sampled_from(PLACES[form])).format(n)
    earlier = data.draw(
        st.sampled_from(["", "He has 7.\n", "The answer is 7.\n\n", "\\boxed{7}\n\n", "<think>\n#### 7\n</think>\n"])
    )
    if ending.startswith("{") or (form == "line" and ending.startswith("He")):
        earlier = ""  # JSON is the whole of a text, and a closing sentence counts where nothing else does
    assert read([earlier + ending], "standard").row(0) == (str(n), form, False)


@settings(max_examples=300, deadline=None)
@given(st.integers(2, 999), st.sampled_from([" or ", " to ", ":", "-", "; ", ", ", " feet ", " and "]), st.integers(2, 999))
def test_one_of_two_numbers_is_never_the_answer(a: int, between: str, b: int) -> None:
    for text in (f"#### {a}{between}{b}", f"\\boxed{{{a}{between}{b}}}", f"The answer is {a}{between}{b}."):
        (answer, _, _) = read([text], "standard").row(0)
        assert answer is None or value(answer) is None or a == b  # a box may say one number twice


def documented() -> list[tuple[str, str]]:
    """Return the texts of docs/grading.md and what is read in them ("-": no answer)."""
    page = (ROOT / "docs" / "grading.md").read_text()
    rows = re.findall(r"^\| `(.*)` \| (?:`(.*)`|(-|cut)) \| .* \|$", page, re.MULTILINE)
    return [(text.replace("⏎", "\n"), answer or none) for text, answer, none in rows]


@pytest.mark.parametrize(("text", "expected"), documented())
def test_what_the_page_on_grading_says_of_a_text(text: str, expected: str) -> None:
    answer, _, cut = read([text], "standard").row(0)
    assert ("cut" if cut else answer if answer and value(answer) is not None else "-") == expected


def test_usual_endings_are_read_as_all_the_rest_of_the_text_would_say(monkeypatch: pytest.MonkeyPatch) -> None:
    dice = random.Random(0)
    ends = [
        "#### 5",
        "The answer is 7.",
        "So, the answer is $4.",
        "\\boxed{9}",
        "$\\boxed{3}$.",
        "####  1,000",
        "</think>\nthe answer is: 6",
    ]
    between = ["\n", " ", ". ", "\n\n", ", ", " and ", "\nQuestion 2: ", "\n\nQ: "]
    known = [text for text, _ in documented()]
    texts = pl.Series([dice.choice(known) + dice.choice(between) + dice.choice(ends) for _ in range(3_000)])
    fast = STANDARD.read_answers(texts)
    assert fast["answer"].null_count() < 1_500
    monkeypatch.setattr(answers, "_USUAL", dict.fromkeys(answers._USUAL, r"(\z.)"))
    assert STANDARD.read_answers(texts).equals(fast)


def test_the_page_on_grading_has_many_texts() -> None:
    assert len(documented()) >= 60


@pytest.mark.parametrize(
    ("text", "pattern", "expected"),
    [
        ("RESULT=18;", r"RESULT=(\d+)", ("18", "pattern", False)),
        ("RESULT=18; RESULT=20; #### 3", r"RESULT=(\d+)", ("20", "pattern", False)),
        ("#### 3", r"RESULT=(\d+)", ("3", "hash", False)),
        ("=> 1,200 dollars", r"=> (.*)", ("1200", "pattern", False)),
    ],
)
def test_a_pattern_is_tried_first(text: str, pattern: str, expected: tuple[str, str, bool]) -> None:
    assert STANDARD.read_answers(pl.Series([text]), pattern).row(0) == expected


NUMBERS = st.one_of(
    st.integers(-(10**12), 10**12).map(str),
    st.decimals(-(10**6), 10**6, places=3).map(str),
    st.builds("{}/{}".format, st.integers(-99, 99), st.integers(1, 99)),
)


@settings(max_examples=200, deadline=None)
@given(NUMBERS)
def test_an_answer_equals_itself(answer: str) -> None:
    assert right(answer, answer, "standard", tolerance=0.0)
    assert right(answer, answer, "standard", tolerance=0.5, strict=True)
    assert not right(answer, answer, "standard", tolerance=0.0, strict=True)
    if "/" not in answer:
        assert right(answer, answer, "paper", tolerance=0.0)
        assert right(answer, answer, "paper", tolerance=1e-4, strict=True)


@settings(max_examples=300, deadline=None)
@given(NUMBERS, NUMBERS, st.sampled_from([0.0, 0.1, 1e-4, 3.0, 1e6]), st.booleans())
def test_standard_mode_compares_exact_fractions(answer: str, gold: str, tolerance: float, strict: bool) -> None:
    difference, margin = abs(Fraction(answer) - Fraction(gold)), Fraction(str(tolerance))
    expected = difference < margin if strict else difference <= margin
    assert right(answer, gold, "standard", tolerance=tolerance, strict=strict) is expected
    assert right(gold, answer, "standard", tolerance=tolerance, strict=strict) is expected


@pytest.mark.parametrize(
    ("answer", "gold", "tolerance", "lax", "strict"),
    [
        ("1.1", "1", 0.1, True, False),  # the doubles differ by more than 0.1
        ("0.9", "1", 0.1, True, False),
        ("1.1000001", "1", 0.1, False, False),
        ("1.0999999", "1", 0.1, True, True),
        ("1/3", "0.3333", 1e-4, True, True),
        ("18.00", "18", 0.0, True, False),
        ("3/4", "0.75", 0.0, True, False),
        ("9007199254740993", "9007199254740992", 0.0, False, False),  # equal as doubles
    ],
)
def test_a_difference_may_be_the_tolerance_or_must_stay_below_it(
    answer: str | None, gold: str | None, tolerance: float, lax: bool, strict: bool
) -> None:
    assert right(answer, gold, "standard", tolerance=tolerance) is lax
    assert right(answer, gold, "standard", tolerance=tolerance, strict=True) is strict


def test_paper_mode_compares_doubles() -> None:
    assert right("9007199254740993", "9007199254740992", "paper", tolerance=0.0)
    assert right("10.", "10.0", "paper", tolerance=0.0)
    assert not right("0.3", "0.30000000000000004", "paper", tolerance=0.0)
    assert right("18.00009", "18", "paper", tolerance=1e-4, strict=True)
    assert not right("0.0001", "0", "paper", tolerance=1e-4, strict=True)


def test_infinite_doubles_are_equal_in_rejection_and_differ_in_evals() -> None:
    huge = "9" * 400
    assert right(huge, huge, "paper", tolerance=0.0)
    assert not right(huge, huge, "paper", tolerance=1e-4, strict=True)  # their difference is not a number


@pytest.mark.parametrize("mode", ["standard", "paper"])
def test_no_answer_is_wrong_and_the_order_is_kept(mode: Mode) -> None:
    answers, gold = pl.Series(["1", None, "2", "1", "x", None]), pl.Series(["1", "1", "3", "2", "1", None])
    assert is_right(answers, gold, RULES[mode], tolerance=0.0).to_list() == [True, False, False, False, False, False]
    assert is_right(answers, gold, RULES[mode], tolerance=1.0).to_list() == [True, False, True, True, False, False]


@settings(max_examples=200, deadline=None)
@given(st.fractions(min_value=0, max_denominator=200), st.integers(0, 50))
def test_a_fraction_a_mixed_number_and_latex_have_one_value(fraction: Any, whole: Any) -> None:
    top, bottom = fraction.as_integer_ratio()
    assert value(number(f"{top}/{bottom}")) == fraction  # type: ignore[arg-type]
    assert value(number(f"\\frac{{{top}}}{{{bottom}}}")) == fraction  # type: ignore[arg-type]
    assert value(number(f"-{whole} {top}/{bottom}")) == -(whole + fraction)  # type: ignore[arg-type]


@settings(max_examples=200, deadline=None)
@given(st.integers(-(10**12), 10**12))
def test_currency_thousands_signs_and_digits_do_not_change_a_number(n: int) -> None:
    marked = f"{'−' if n < 0 else ''}$ {abs(n):,}.00 %"
    foreign = str(n).translate(str.maketrans("0123456789-", "٠١٢٣٤٥٦٧٨٩−"))
    assert value(number(marked)) == value(number(foreign)) == value(number(f"{n:,}".replace(",", "\u202f"))) == n  # type: ignore[arg-type]


@settings(max_examples=500, deadline=None)
@given(st.text(max_size=30) | st.text(alphabet="0123456789.,/ -−$%\\frac{}½²①٣", max_size=30))
def test_what_the_normaliser_returns_has_a_value_and_stays_as_it_is(text: str) -> None:
    answer = number(text)
    if answer is not None:
        assert value(answer) is not None
        assert number(answer) == answer


def test_an_answer_of_too_many_digits_is_none() -> None:
    assert number("9" * MAX_DIGITS) == "9" * MAX_DIGITS
    assert number("9" * (MAX_DIGITS + 1)) is None
    assert value("9" * (MAX_DIGITS + 1)) is None
    assert read(["#### " + "9" * 5_000], "standard")["answer"].str.len_chars().item() == MAX_DIGITS  # the text, without a value
    assert read(["#### " + "9" * 5_000], "paper").row(0) == ("9" * 5_000, "hash", False)


def test_paper_mode_votes_for_texts_and_standard_mode_for_values() -> None:
    answers = pl.Series(["10", "10.", "10.0", None, "1/2", ".5", "1/3"])
    assert vote_keys(answers, PAPER).to_list() == answers.to_list()
    assert vote_keys(answers, STANDARD).to_list() == ["10", "10", "10", None, "0.5", "0.5", "1/3"]


@settings(max_examples=200, deadline=None)
@given(NUMBERS, NUMBERS)
def test_two_answers_have_one_vote_if_they_have_one_value(a: int, b: int) -> None:
    one, other = vote_keys(pl.Series([a, b]), STANDARD)
    assert (one == other) is (Fraction(a) == Fraction(b))


MILLION = 1_000_000
HOSTILE = {
    "digits": "#### " + "1" * MILLION,
    "commas": "#### " + "1," * (MILLION // 2),
    "points": "#### " + "1." * (MILLION // 2),
    "many answers": "#### 1 " * (MILLION // 7),
    "marks": "#" * MILLION,
    "spaces": "####" + " " * MILLION + "1",
    "groups": "#### 1" + " 000" * (MILLION // 4),
    "boxes": "\\boxed{" * (MILLION // 7),
    "full boxes": "\\boxed{1}" * (MILLION // 9),
    "an open box": "\\boxed{" + "x" * MILLION,
    "phrases": "é answer is " * (MILLION // 12),
    "phrases with answers": "é answer is 1 " * (MILLION // 14),
    "fractions": "#### \\frac{1}{" * (MILLION // 14),
    "NUL characters": "\0" * MILLION,
    "other letters": "é" * (MILLION // 2),
    "other digits": "#### " + "٣" * (MILLION // 2),
}


@pytest.mark.parametrize("mode", ["standard", "paper"])
@pytest.mark.parametrize("name", HOSTILE)
def test_no_response_takes_long(name: str, mode: Mode) -> None:
    text = pl.Series([HOSTILE[name]])

    def grade() -> None:
        is_right(RULES[mode].read_answers(text)["answer"], pl.Series(["1"]), RULES[mode], tolerance=0.0)

    assert least_seconds(grade) < 1.0  # benchmarks/hostile.py holds the real bound
