"""Path keys, and how many there are."""

import random
import re
from collections import defaultdict
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.grading.equations import passes_paper, read_standard
from eval.grading.paths import MAX_READ, count_paths, read_paths
from eval.grading.rules import RULES, Mode
from registry.rows import PATH_STATS
from tests.workspace import ROOT, least_seconds

BAKER = "48/2 = <<48/2=24>>24 in May, 48+24 = <<48+24=72>>72 together.\n#### 72"


def read(text: str | None, mode: Mode = "standard") -> Any:
    return read_paths(pl.Series([text], dtype=pl.String), RULES[mode]).row(0, named=True)


def path(text: str, mode: Mode = "standard") -> Any:
    return read(text, mode)["path"]


def canonical(text: str, mode: Mode = "standard") -> Any:
    return read(text, mode)["path_canonical"]


@pytest.mark.parametrize("mode", ["standard", "paper"])
def test_the_path_is_the_equations_in_their_order(mode: Mode) -> None:
    assert read(BAKER, mode) == {
        "bad_equation": False,
        "path": "48/2=24|48+24=72",
        "path_canonical": "24+48=72|48/2=24",
        "coverage": None,
    }


def test_the_order_of_operands_makes_another_path_and_the_same_canonical_path() -> None:
    assert path("<<3+4=7>>") != path("<<4+3=7>>")
    assert canonical("<<3+4=7>>") == canonical("<<4+3=7>>") == canonical("<<4.0 + $3 = 7.00>>")


def test_the_order_of_equations_makes_another_path_and_the_same_canonical_path() -> None:
    assert path("<<1+1=2>><<3+4=7>>") != path("<<3+4=7>><<1+1=2>>")
    assert canonical("<<1+1=2>><<3+4=7>>") == canonical("<<3+4=7>><<1+1=2>>")


def test_an_equation_written_twice_counts_once_in_the_canonical_path() -> None:
    assert path("<<1+1=2>><<1+1=2>>") == "1+1=2|1+1=2"
    assert canonical("<<1+1=2>><<1+1=2>>") == canonical("<<1+1=2>>")


def test_other_calculations_make_another_canonical_path() -> None:
    assert canonical("<<12*5=60>>") != canonical("<<6*10=60>>")
    assert canonical("<<12*5=60>>") != canonical("<<12*5=60>><<60/2=30>>")
    assert canonical("<<9-4=5>>") != canonical("<<4-9=-5>>")


def test_only_the_space_character_is_taken_out_of_the_path() -> None:
    assert path("<<1 +\t1\n= 2>>") == "1+\t1\n=2"
    assert canonical("<<1 +\t1\n= 2>>") == "1+1=2"


def test_an_annotation_may_hold_anything_but_its_end() -> None:
    assert path("<<a<<b>> <<>> <<c>d>> <<e>>") == "a<<b||e"
    assert path("<<1+1=2>", "paper") == ""


@pytest.mark.parametrize(
    ("text", "standard", "paper"),
    [
        ("<<1+1=2>>", False, False),
        ("<<1+1=3>>", True, True),
        ("<<1+1=2>><<1+1=3>>", True, True),
        ("<<3/4=3/4>>", False, True),
        ("<<2+2=4=5>>", True, False),
        ("<<>>", True, True),
        ("1+1=3", False, False),
        ("", False, False),
    ],
)
def test_one_equation_that_fails_makes_the_response_bad(text: str, standard: Any, paper: Any) -> None:
    assert read(text, "standard")["bad_equation"] is standard
    assert read(text, "paper")["bad_equation"] is paper


def test_without_equations_paper_mode_has_an_empty_path_and_standard_mode_none() -> None:
    assert read("seven", "paper") == {"bad_equation": False, "path": "", "path_canonical": "", "coverage": None}
    assert read("seven", "standard") == {"bad_equation": False, "path": None, "path_canonical": None, "coverage": None}


def test_a_missing_response_has_no_path_in_standard_mode() -> None:
    assert read(None) == {"bad_equation": False, "path": None, "path_canonical": None, "coverage": None}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("So 48 / 2 = 24 and 48+24=72.", "48/2=24|48+24=72"),
        ("He pays $3 + $4 = $7.", "3+4=7"),
        ("5 apples * 2 = 10", "5*2=10"),
        ("3 x 4 = 12", "3*4=12"),
        ("3x4=12", "3*4=12"),
        ("3 × 4 = 12", "3*4=12"),
        ("3 \\times 4 = 12, 12 \\div 2 = 6, 2 \\cdot 3 = 6", "3*4=12|12/2=6|2*3=6"),
        ("2*(3 + 4) = 14", "2*(3+4)=14"),
        ("2(3 + 4) = 14", "2*(3+4)=14"),
        ("20+10*21 = 20+210 = 230", "20+10*21=20+210=230"),
        ("(3 + 4) * 2 = 7 * 2 = 14 dollars", "(3+4)*2=7*2=14"),
        ("3 * 2 apples = 6 apples = 6", "3*2=6=6"),
        ("20% * 50 = 10", "20%*50=10"),
        ("20% of $50 = $10", "20%*50=10"),
        ("1,200 - 200 = 1,000", "1200-200=1000"),
        ("5 − 3 = 2", "5-3=2"),
        ("2 + 2 = 5", "2+2=5"),
        ("$10/hour * 10 hours/day = $100/day", "10*10=100"),
        ("(2/5) * $500/week = $200", "(2/5)*500=200"),
        ("15 \\text{ tricycles} \\times 3 = 45", "15*3=45"),
        ("\\frac{100}{5} = 20", "((100)/(5))=20"),
        ("$$\n40 \\times 2.50\n= 100.00\n$$", "40*2.50=100.00"),
        ("\\begin{align} 5 + 3 &= 8 \\\\ &= 4 * 2 \\end{align}", "5+3=8=4*2"),
        ("He has 80 (red) + 60 (blue) = 140 hats.", "80+60=140"),
        ("In 2020 he had 5 + 3 = 8 cars.", "5+3=8"),
        ("- 5 + 3 = 8", "5+3=8"),
        ("(5 + 3 = 8", "5+3=8"),
        ("Total = 5 + 3 = 8", "5+3=8"),
        ("His age in 3 years = 5 + 3 = 8", "5+3=8"),
        ("5 plus 3 is 8, and 8 times 2 equals 16", "5+3=8|8*2=16"),
        ("2x + 3 = 11, so 2x = 8 and x = 8 / 2 = 4", "2*x+3=11|2*x=8|8/2=4"),
        ("\\sqrt{16} + 2 = 6, 6 + 1 = 7", "6+1=7"),
        ("<think>2 + 2 = 4</think> So 3 + 3 = 6", "3+3=6"),
        ("<think>2 + 2 = 4</think> The answer is 4.", "2+2=4"),
        ("x = 5, 5 = 5, and so on", None),
        ("2 + the rest = 4", None),
    ],
)
def test_plain_equations_make_the_path_of_a_response_without_annotations(text: str, expected: Any) -> None:
    assert path(text) == expected
    assert path(text, "paper") == ""
    assert read(text)["bad_equation"] is False


def test_plain_and_annotated_equations_have_one_canonical_path() -> None:
    assert canonical("$48 / 2 clips = $24 and 24 + 48 = 72.0") == canonical(BAKER)
    assert canonical("3 \\times 4 = 12") == canonical("3 x 4 = 12") == canonical("<<4*3=12>>")


def test_plain_equations_are_not_read_beside_annotated_ones() -> None:
    assert path("1+1=2, 3+4 = <<3+4=7>>7") == "3+4=7"
    assert path("1+1=2 <<>>") == ""


def documented() -> list[tuple[str, str]]:
    page = (ROOT / "docs" / "grading.md").read_text().partition("## What a path is")[2]
    rows = re.findall(r"^\| `(.*)` \| (`.*`) \|$", page, re.MULTILINE)
    return [(text, found.strip("`").replace("`, `", "|")) for text, found in rows]


@pytest.mark.parametrize(("text", "expected"), documented())
def test_what_the_page_on_grading_says_of_a_path(text: str, expected: str) -> None:
    assert path(text) == expected


@pytest.mark.parametrize(
    ("text", "coverage"),
    [
        ("3 + 4 = 7, 7 * 2 = 14", 1.0),
        ("3 + 4 = 7, \\sqrt{16} + 2 = 6", 0.5),
        ("3 + 4 = 7, 4 * the rest = 20", 0.5),
        ("Let x = 5.", None),
        ("seven", None),
        ("<<3+4=7>>", None),
    ],
)
def test_coverage_is_the_share_of_the_results_shown_that_are_in_the_path(text: str, coverage: float | None) -> None:
    assert read(text)["coverage"] == coverage


PIECES = [
    "<<",
    ">>",
    "<",
    ">",
    "=",
    "1+1=2",
    "3+4=7",
    "4+3=7",
    " ",
    "\n",
    "\t",
    "|",
    "1/3=0.33",
    "2*3=6=6",
    "x",
    "$5",
    "é",
    "\0",
]


def random_texts(n: int) -> list[str]:
    dice = random.Random(7473)
    return ["".join(dice.choices(PIECES, weights=[6, 6] + [2] * 16, k=dice.randint(0, 14))) for _ in range(n)]


@pytest.mark.parametrize("mode", ["standard", "paper"])
def test_annotated_paths_are_those_of_a_plain_reading(mode: Mode) -> None:
    texts = random_texts(8_000)
    for text, row in zip(texts, read_paths(pl.Series(texts), RULES[mode]).iter_rows(named=True), strict=True):
        equations = re.findall(r"<<([^>]*)>>", text)
        if equations or mode == "paper":
            assert row["path"] == "|".join(equations).replace(" ", "")
            assert row["path_canonical"] == "|".join(sorted({read_standard(equation).canonical for equation in equations}))
            holds = passes_paper if mode == "paper" else (lambda equation: read_standard(equation).holds)
            assert row["bad_equation"] is not all(map(holds, equations))
        else:
            assert row["bad_equation"] is False


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(["48/2=24", "12*5=60", "1+1=2", "60-24=36"]), min_size=1), st.randoms(use_true_random=False))
def test_shuffled_equations_have_one_canonical_path(equations: list[str], dice: random.Random) -> None:
    shuffled = dice.sample(equations, len(equations))
    annotated = ["".join(f"<<{equation}>>" for equation in order) for order in (equations, shuffled)]
    assert canonical(annotated[0]) == canonical(annotated[1]) == canonical(", ".join(equations))


def test_more_equations_than_anyone_writes_are_not_read() -> None:
    within = "".join(f"<<{n}+1={n + 1}>>" for n in range(10, 10 + MAX_READ // 10))
    assert read(within, "paper")["bad_equation"] is False
    beyond = within + "".join(f"<<{n}+1={n + 1}>>" for n in range(10_000, 10_000 + MAX_READ // 10))
    for mode in ("standard", "paper"):
        raw = beyond[2:-2].replace(">><<", "|")
        assert read(beyond, mode) == {"bad_equation": True, "path": raw, "path_canonical": raw, "coverage": None}
    plain = beyond[2:-2].replace(">><<", "\n")
    assert read(plain) == {"bad_equation": False, "path": raw, "path_canonical": raw, "coverage": 1.0}


def test_an_equation_repeated_without_end_is_read_once() -> None:
    assert read("<<1+1=2>>" * 10_000, "paper")["bad_equation"] is False
    assert canonical("<<1+1=2>>" * 10_000) == canonical("1+1=2. " * 5_000) == "1+1=2"


MILLION = 1_000_000
HOSTILE = {
    "different equations": "".join(f"<<{n}={n}>>" for n in range(MILLION // 16)),
    "one equation": "<<1+1=2>>" * (MILLION // 9),
    "long equations": "".join("<<" + "1+" * 480 + f"{n}=481>>" for n in range(1000)),
    "as much as is read": "".join("<<" + "9**999+" * 130 + f"{n}=1>>" for n in range(5)),
    "one long equation": "<<" + "1+" * (MILLION // 2) + "1=2>>",
    "open annotations": "<<" * (MILLION // 2),
    "started annotations": "<<1" * (MILLION // 3),
    "closed annotations": ">" * MILLION,
    "empty annotations": "<<>>" * (MILLION // 4),
    "plain equations": "1+1=2 " * (MILLION // 6),
    "different plain equations": "".join(f"{n}+1={n} " for n in range(MILLION // 14)),
    "a plain chain": "1+" * (MILLION // 2) + "1=2",
    "plain links": "1+1=1+" * (MILLION // 6),
    "plain links and sums": ("1+1=1" + "+1" * 50 + " ") * (MILLION // 106),
    "a plain chain without an end": "1 + " * (MILLION // 4),
    "units": "1 a + " * (MILLION // 6),
    "parentheses": "(" * MILLION,
    "digits": "1" * MILLION,
    "other digits": "٣ + ٣ = ٣ " * (MILLION // 15),
    "soup": "".join(random.Random(1).choices("01+=$,.(% xa<>", k=MILLION)),
}


@pytest.mark.parametrize("mode", ["standard", "paper"])
@pytest.mark.parametrize("name", HOSTILE)
def test_no_response_takes_long(name: str, mode: Mode) -> None:
    text = pl.Series([HOSTILE[name]])
    assert least_seconds(lambda: read_paths(text, RULES[mode])) < 1.0  # benchmarks/hostile.py holds the real bound


def human(*rows: Any) -> pl.DataFrame:
    return pl.DataFrame(rows, schema={"question_id": pl.String, "path": pl.String, "path_canonical": pl.String}, orient="row")


def verdicts(*rows: Any) -> pl.DataFrame:
    columns = {"question_id": pl.String, "right_answer": pl.Boolean, "bad_equation": pl.Boolean, "verdict": pl.String}
    frame = pl.DataFrame(rows, schema={**columns, "path": pl.String, "path_canonical": pl.String}, orient="row")
    return frame.with_columns(coverage=pl.when(pl.col("path_canonical") != "half").then(1.0).otherwise(0.5))


def test_paths_are_counted_among_right_answers_with_sound_equations() -> None:
    counted = count_paths(
        verdicts(
            ("q1", True, False, "kept", "3+4=7", "3+4=7"),
            ("q1", True, False, "same_path", "3+4=7", "3+4=7"),
            ("q1", True, False, "same_path", "4+3=7", "3+4=7"),
            ("q1", True, True, "bad_equation", "3+4=8", "3+4=8"),
            ("q1", False, False, "wrong_answer", "3*4=12", "3*4=12"),
            ("q1", True, False, "no_path", None, None),
            ("q1", True, False, "partial_path", "3+4=7", "half"),
            ("q2", False, False, "no_answer", "1+1=2", "1+1=2"),
        ),
        human(("q3", "5+5=10", "5+5=10"), ("q1", "3+4=7", "3+4=7"), ("q2", None, None)),
    )
    assert counted.columns == list(PATH_STATS.columns)
    assert counted.rows() == [
        ("q3", 0, 0, 0, 0, 0, 1, 1, 0),
        ("q1", 7, 6, 5, 2, 1, 2, 1, 1),
        ("q2", 1, 0, 0, 0, 0, 0, 0, 0),
    ]


def test_the_human_path_is_counted_beside_the_sampled_ones() -> None:
    sampled = verdicts(("q", True, False, "kept", "3+4=7", "3+4=7"))
    assert count_paths(sampled, human(("q", "4+3=7", "3+4=7"))).row(0)[4:8] == (1, 1, 2, 1)
    assert count_paths(sampled, human(("q", "5+2=7", "2+5=7"))).row(0)[4:8] == (1, 1, 2, 2)


PATHS = st.sampled_from([("a", "x"), ("b", "x"), ("c", "y"), ("", ""), (None, None)])
ROWS = st.lists(st.tuples(st.sampled_from("pqr"), st.booleans(), st.booleans(), st.sampled_from(["kept", "same_path"]), PATHS))


@settings(max_examples=150, deadline=None)
@given(ROWS, st.lists(PATHS, min_size=3, max_size=3))
def test_the_counts_are_those_of_a_plain_count(rows: Any, human_paths: Any) -> None:
    expected = []
    for question, own in zip("pqr", human_paths, strict=True):
        mine = [row for row in rows if row[0] == question]
        accepted = [row[4] for row in mine if row[1] and not row[2]]
        distinct = [{keys[i] for keys in accepted} - {None} for i in (0, 1)]
        with_human = [distinct[i] | {own[i]} - {None} for i in (0, 1)]
        right, kept = sum(row[1] for row in mine), sum(row[3] == "kept" for row in mine)
        expected.append((question, len(mine), right, len(accepted), *map(len, distinct), *map(len, with_human), kept))
    frame = verdicts(*((*row[:4], *row[4]) for row in rows))
    counted = count_paths(frame, human(*((question, *own) for question, own in zip("pqr", human_paths, strict=True))))
    assert counted.rows() == expected


def test_equal_texts_get_equal_rows_wherever_they_stand() -> None:
    texts = random_texts(300)
    rows = defaultdict(set)
    for mode in ("standard", "paper"):
        for text, row in zip(texts * 2, read_paths(pl.Series(texts * 2), RULES[mode]).rows(), strict=True):
            rows[mode, text].add(row)
        assert read_paths(pl.Series(texts), RULES[mode]).rows() == [
            read_paths(pl.Series([text]), RULES[mode]).row(0) for text in texts
        ]
    assert all(len(found) == 1 for found in rows.values())
