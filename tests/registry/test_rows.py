"""Row shapes, the identity of a question, and the hash of content."""

import unicodedata
from itertools import pairwise
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.content import ContentHash
from registry.errors import InputError
from registry.rows import QUESTIONS, SAMPLES, TRAINING, Column, Shape, question_id

PAIR = Shape("PAIR", {"a": Column(pl.String, "one"), "b": Column(pl.String, "other")})
EVERY = Shape(
    "EVERY",
    {
        name: Column(kind, name)
        for name, kind in {
            "text": pl.String,
            "small": pl.Int32,
            "large": pl.Int64,
            "real": pl.Float64,
            "yes": pl.Boolean,
        }.items()
    },
)


def content(frame: pl.DataFrame, shape: Shape, cuts: tuple[int, ...] = ()) -> str:
    hashed = ContentHash(shape)
    edges = [0, *sorted(cuts), frame.height]
    for start, end in pairwise(edges):
        hashed.add(frame.slice(start, end - start).to_arrow())
    return hashed.hexdigest()


def pair(*rows: tuple[str | None, str | None]) -> str:
    return content(pl.DataFrame(list(rows), schema=PAIR.schema, orient="row"), PAIR)


# -- content --------------------------------------------------------------------------------------------------------

ROWS = st.lists(
    st.tuples(
        st.none() | st.text(max_size=4),
        st.none() | st.integers(-(2**31), 2**31 - 1),
        st.none() | st.integers(-(2**63), 2**63 - 1),
        st.none() | st.floats(allow_nan=False),
        st.none() | st.booleans(),
    ),
    max_size=20,
)


def every(rows: list[Any]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=EVERY.schema, orient="row")


@settings(deadline=None, max_examples=60)
@given(ROWS, st.lists(st.integers(0, 20), max_size=4))
def test_content_does_not_depend_on_how_the_rows_are_cut(rows: list[Any], cuts: list[int]) -> None:
    frame = every(rows)
    within = tuple(min(cut, frame.height) for cut in cuts)
    assert content(frame, EVERY, within) == content(frame, EVERY)


@settings(deadline=None, max_examples=60)
@given(ROWS, ROWS)
def test_other_rows_have_other_content(a: list[Any], b: list[Any]) -> None:
    same = every(a).equals(every(b))  # -0.0 equals 0.0 and has other bytes
    if same and not any(row[3] == 0.0 for row in a):
        assert content(every(a), EVERY) == content(every(b), EVERY)
    elif not same:
        assert content(every(a), EVERY) != content(every(b), EVERY)


def test_content_does_not_depend_on_how_arrow_holds_the_text() -> None:
    values = ["ab", None, "", "a text that is longer than twelve bytes", "ß"]
    hashes = set()
    for kind in (pa.string(), pa.large_string(), pa.string_view()):
        padded = pa.chunked_array([pa.array(["xx", *values[:2]], kind)[1:], pa.array([], kind), pa.array(values[2:], kind)])
        hashed = ContentHash(PAIR)
        hashed.add(pa.table({"a": padded, "b": padded}))
        hashes.add(hashed.hexdigest())
    assert len(hashes) == 1


def test_content_is_the_same_after_a_file(tmp_path: Any) -> None:
    frame = every([("a", 1, None, 0.5, True), (None, 2, 3, None, False)] * 50)
    pq.write_table(frame.to_arrow(), tmp_path / "a.parquet", row_group_size=7)
    hashed = ContentHash(EVERY)
    hashed.add(pq.read_table(tmp_path / "a.parquet"))
    assert hashed.hexdigest() == content(frame, EVERY)
    assert content(pl.read_parquet(tmp_path / "a.parquet"), EVERY) == content(frame, EVERY)


def test_content_depends_on_the_order_of_rows() -> None:
    assert pair(("a", "1"), ("b", "2")) != pair(("b", "2"), ("a", "1"))


def test_a_null_is_not_an_empty_text() -> None:
    assert len({pair((None, "x")), pair(("", "x")), pair(("x", None)), pair(("x", ""))}) == 4


def test_a_null_is_not_a_zero_or_a_false() -> None:
    frames = [every([("", 0, 0, 0.0, False)]), every([("", None, 0, 0.0, False)]), every([("", 0, 0, 0.0, None)])]
    assert len({content(frame, EVERY) for frame in frames}) == 3


@pytest.mark.parametrize(
    "rows",
    [
        [("a", "bc")],
        [("abc", "")],
        [("", "abc")],
        [("abc", None)],
        [("ab", ""), ("", "c")],
        [("a", "c"), ("b", "")],
        [("ab", "c"), ("", "")],
        [("ab", "c"), (None, None)],
        [],
    ],
)
def test_text_that_moves_between_rows_and_columns_is_other_content(rows: list[Any]) -> None:
    assert pair(*rows) != pair(("ab", "c"))


def test_content_depends_on_the_names_and_types_of_columns() -> None:
    shapes = [
        PAIR,
        Shape("PAIR", {"a": Column(pl.String, ""), "c": Column(pl.String, "")}),
        Shape("PAIR", {"a": Column(pl.String, "")}),
    ]
    frame = pl.DataFrame({"a": ["x"], "b": ["y"], "c": ["y"]})
    assert len({content(frame, shape) for shape in shapes}) == 3
    numbers = [Shape("N", {"n": Column(kind, "")}) for kind in (pl.Int32, pl.Int64, pl.Float64)]
    assert len({content(pl.DataFrame({"n": [0]}, schema=shape.schema), shape) for shape in numbers}) == 3


def test_what_is_outside_a_shape_is_not_content() -> None:
    row = {"question_id": "a", "draw": 0, "response": "r", "model": "m"}
    one = SAMPLES.fit(pl.DataFrame([row | {"seed": 1, "tokens": 5, "engine": "vllm", "finish_reason": "stop"}]), "one")
    two = SAMPLES.fit(pl.DataFrame([row | {"seed": 2}]), "two")
    assert content(one, SAMPLES) == content(two, SAMPLES)
    assert content(one, SAMPLES) != content(SAMPLES.fit(pl.DataFrame([row | {"model": "n"}]), "three"), SAMPLES)


def test_the_content_of_two_rows_is_what_it_was() -> None:
    assert pair(("ab", None), ("", "c")) == "a92c4629aec538ccf0acca7af3ef44b159f85209d1f0be691e72ea1e0def1a68"


# -- the identity of a question -------------------------------------------------------------------------------------


def test_an_id_is_16_hex_digits_of_sha256() -> None:
    assert question_id("What is 1+1?") == "31adf3e245f99d7b"


@pytest.mark.parametrize(
    "written",
    [
        "What  is 1+1?",
        " What is\t1+1?\n",
        "What is\r\n1+1?",
        "What\u00a0is\u20031+1?",
        "\n\nWhat\n\nis\n\n1+1?",
    ],
)
def test_white_space_makes_no_other_question(written: str) -> None:
    assert question_id(written) == question_id("What is 1+1?")


@pytest.mark.parametrize(
    "written", ["what is 1+1?", "What is 1 +1?", "Whatis 1+1?", "What is 1+1", "What is １+1?", "What is 1+1?\u200b"]
)
def test_other_letters_make_another_question(written: str) -> None:
    assert question_id(written) != question_id("What is 1+1?")


def test_composed_and_decomposed_letters_make_one_question() -> None:
    written = "Wie viele Äpfel hat José? \u1e69"
    forms = {unicodedata.normalize(form, written) for form in ("NFC", "NFD")}
    assert len(forms) == 2
    assert len({question_id(form) for form in forms}) == 1
    assert question_id("x²") != question_id("x2")  # NFC, not NFKC: the power stays


@given(st.text(max_size=30))
@settings(deadline=None)
def test_any_text_has_an_id(text: str) -> None:
    assert len(question_id(text)) == 16
    assert question_id(" " + unicodedata.normalize("NFC", text) + "\n") == question_id(text)


# -- fitting rows to a shape ----------------------------------------------------------------------------------------


def test_columns_are_put_in_order_and_missing_optional_ones_are_null() -> None:
    frame = pl.DataFrame({"answer": ["1"], "more": [1], "question": ["q"], "question_id": ["i"]})
    fitted = QUESTIONS.fit(frame, "here")
    assert fitted.schema == pl.Schema(QUESTIONS.schema)
    assert fitted.rows() == [("i", "q", None, "1", None)]


def test_numbers_are_cast_where_they_fit() -> None:
    frame = pl.DataFrame({"question_id": ["i"], "draw": [3], "response": ["r"]}, schema_overrides={"draw": pl.Int64})
    assert SAMPLES.fit(frame, "here")["draw"].dtype == pl.Int32


def test_rows_without_a_required_column_are_refused() -> None:
    with pytest.raises(
        InputError, match=r"^here: QUESTIONS rows need the columns answer, question_id; these have question, x\.$"
    ):
        QUESTIONS.fit(pl.DataFrame({"question": ["q"], "x": [1]}), "here")


def test_a_null_in_a_required_column_is_refused() -> None:
    frame = pl.DataFrame({"question_id": ["i", "j", "k"], "question": ["q", None, None], "answer": ["1", "2", "3"]})
    with pytest.raises(InputError, match=r"^here: 2 of 3 QUESTIONS rows have no question\.$"):
        QUESTIONS.fit(frame, "here")


@pytest.mark.parametrize("draw", [["x"], [2**31], [[1]]])
def test_a_type_that_does_not_fit_is_refused(draw: list[Any]) -> None:
    with pytest.raises(InputError, match=r"^here: not SAMPLES rows: "):
        SAMPLES.fit(pl.DataFrame({"question_id": ["i"], "draw": draw, "response": ["r"]}), "here")


def test_no_rows_fit_every_shape() -> None:
    for shape in (QUESTIONS, SAMPLES, TRAINING):
        assert shape.fit(pl.DataFrame(schema=shape.schema), "here").height == 0


def test_a_column_that_came_later_counts_only_where_it_holds_a_value() -> None:
    wide = Shape("PAIR", {**PAIR.columns, "late": Column(pl.Int64, "", later=True)})
    frame = pl.DataFrame({"a": ["x", "y"], "b": [None, "z"]})
    known, unknown = (wide.fit(frame.with_columns(late=pl.Series([None, n], dtype=pl.Int64)), "here") for n in (3, None))
    assert content(unknown, wide) == content(PAIR.fit(frame, "here"), PAIR)
    assert content(known, wide) != content(unknown, wide)
    for cut in (0, 1, 2):
        assert content(known, wide, (cut,)) == content(known, wide)
