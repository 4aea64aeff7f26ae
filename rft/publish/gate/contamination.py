"""Does a text that is to be published, and trained on, overlap with a test question?

Words are runs of letters, marks and digits (so numbers too) of the text in NFKC and lower case; nothing else counts, as for
the 13-grams of the GPT-3 paper (arXiv 2005.14165, appendix C: it ignores punctuation, white space and case, and looks at no
n-gram below 8 words). No n-gram crosses the border of a text. So defined, 94 of GSM8K's training questions share an 8-gram
with a test question, and 4 a 13-gram.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import polars as pl
import yaml

from registry.maker import Role
from registry.store.record import Record, Stored
from registry.text import cell, escaped, number
from rft.publish import Finding

SHORT, LONG = 8, 13
MOST_SHARED = 0.5  # of a test question's words in shared 8-grams; more stops
KIND = pl.Enum(["8-gram", "13-gram", "exact"])  # the worst last
FOUND = {
    "question_id": pl.String,
    "column": pl.String,
    "test_question": pl.String,
    "kind": KIND,
    "share": pl.Float64,
    "shared": pl.String,
}
ASKED = {"question_id": pl.String, "question": pl.String}
AT_ONCE = 5_000  # texts whose words are held at a time
MIX = 0x9E3779B97F4A7C15  # odd, with its bits well spread: 2**64 / golden ratio
COMPARED = {
    "TRAINING": ("question", "response"),
    "QUESTIONS": ("question", "response"),
    "SAMPLES": ("response",),
    "TEXT": ("text",),
}
KNOWN_OVERLAPS = Path(__file__).with_name("known_overlaps.yaml")
LISTED = 3  # pairs of a sort that a message names

Hash = Callable[[pl.Expr], pl.Expr]
Pair = tuple[str, str]  # the ids of a published question and of a test question


@dataclass(frozen=True)
class Known:
    """An overlap that was reviewed: as large as `share` it does not stop, and why."""

    share: float
    why: str


@dataclass(frozen=True)
class Compared:
    """What the comparison with one test set found.

    `texts` different texts were compared; `questions` of the set (rows of a TEXT) overlap with some test question. `exact`,
    `gram_13` and `gram_8` count pairs of a question and a test question, each once and by its worst overlap; `known` those
    of them that do not stop because they were reviewed.
    """

    test_set: str
    texts: int
    questions: int
    exact: int
    gram_13: int
    gram_8: int
    known: int


# -- the gate ---------------------------------------------------------------------------------------------------------------


def check_contamination(
    stored: Stored,
    rows: pl.DataFrame,
    role: Role | None,
    tests: Mapping[str, pl.DataFrame | None],
    *,
    known: Mapping[Pair, Known] | None = None,
) -> tuple[tuple[Compared, ...], tuple[Finding, ...]]:
    """Return the figures of each test set that is built, and a Finding for each, and for each that is not.

    `rows` are those of `stored`, `role` what its questions are for, `tests` the questions of each test set by its id (None:
    it is not built), `known` the reviewed overlaps, which are otherwise those of known_overlaps.yaml. Nothing is returned for
    an artifact without texts that are compared.
    """
    texts = texts_of(rows, stored.record.rows_are, role)
    if texts.is_empty():
        return (), ()
    if not tests:
        says = f"No set of test questions is known, so {stored.id} was compared with none. `role: test` in a line makes one; --against names one."
        return (), (Finding("contamination", "contamination/none", says, stops=False),)
    asked = {id: frame.select("question_id", "question") for id, frame in tests.items() if frame is not None}
    known = known_overlaps() if known is None else known
    found = _judged(overlaps(texts, pl.concat([pl.DataFrame(schema=ASKED), *asked.values()])), known)
    figures, findings = [], []
    for test_set in tests:
        if test_set not in asked:
            findings.append(_not_built(str(stored.id), test_set))
            continue
        own = found.join(asked[test_set], left_on="test_question", right_on="question_id", how="semi", maintain_order="left")
        figures.append(_figures(test_set, texts.height, own))
        findings.append(_finding(str(stored.id), figures[-1], own))
    return tuple(figures), tuple(findings)


def texts_of(rows: pl.DataFrame, rows_are: str | None, role: Role | None) -> pl.DataFrame:
    """Return the different texts of an artifact that are compared with test questions: question_id, column, text.

    Of TRAINING and QUESTIONS question and response, of SAMPLES the response, of TEXT the text, whose question_id is "row 1"
    and so on; nothing of SCORES. QUESTIONS and SAMPLES that are a test's own (`role`) are not compared; TRAINING always is.
    """
    own_test = role == "test" and rows_are in ("QUESTIONS", "SAMPLES")
    if rows_are == "TEXT":
        rows = rows.with_columns(question_id=pl.format("row {}", pl.int_range(1, pl.len() + 1)))
    return pl.concat(
        [
            pl.DataFrame(schema={"question_id": pl.String, "column": pl.String, "text": pl.String}),
            *(
                rows.select("question_id", column=pl.lit(column), text=column).drop_nulls("text").unique(maintain_order=True)
                for column in COMPARED.get(rows_are or "", ())
                if not own_test
            ),
        ]
    )


def role_of(record: Record, records: Callable[[str], Record | None]) -> Role | None:
    """Return what an artifact's questions are for: the `role` its line gives, else that of its first dataset, else its split.

    None if nothing says so: text that was made up, or questions whose record is not there.
    """
    while (says := record.params.get("role") if record.rows_are == "QUESTIONS" else None) is None and record.inputs:
        inputs = (records(given.id) for given in record.inputs)
        first = next((one for one in inputs if one is None or one.kind == "dataset"), None)
        if first is None:
            return None
        record = first
    if says is None and record.rows_are == "QUESTIONS":
        says = record.params.get("split") or ("train" if record.maker == "questions_file" else None)
    return cast(Role, says) if says in ("train", "validation", "test") else None


def known_overlaps() -> dict[Pair, Known]:
    """Return the reviewed overlaps of known_overlaps.yaml."""
    entries = yaml.safe_load(KNOWN_OVERLAPS.read_text(encoding="utf-8"))
    return {(entry["question"], entry["test"]): Known(entry["share"], entry["why"]) for entry in entries}


def _judged(found: pl.DataFrame, known: Mapping[Pair, Known]) -> pl.DataFrame:
    """Return `found` with `bad` (it would stop) and `known` (it would, and was reviewed)."""
    reviewed = pl.DataFrame(
        [(*pair, overlap.share) for pair, overlap in known.items()],
        schema={"question_id": pl.String, "test_question": pl.String, "most": pl.Float64},
        orient="row",
    )
    bad = (pl.col("kind") != "8-gram") | (pl.col("share") > MOST_SHARED)
    # What was reviewed is one question beside another. A response to it that holds more of the test question was not.
    fine = ((pl.col("kind") != "exact") & (pl.col("share") <= pl.col("most"))).fill_null(False)
    pair = ["question_id", "test_question"]
    return found.join(reviewed, on=pair, how="left", maintain_order="left").with_columns(bad=bad, known=bad & fine)


def _figures(test_set: str, texts: int, found: pl.DataFrame) -> Compared:
    pairs = found.unique(["question_id", "test_question"], keep="first", maintain_order=True)  # the worst is first
    exact, gram_13, gram_8 = (pairs.filter(pl.col("kind") == kind).height for kind in ("exact", "13-gram", "8-gram"))
    known = pairs.filter("known").height
    return Compared(test_set, texts, pairs["question_id"].n_unique(), exact, gram_13, gram_8, known)


def _not_built(id: str, test_set: str) -> Finding:
    name = f"not-built/{test_set}"
    return Finding(
        "contamination",
        name,
        f"{test_set} is a test set and is not built, so nobody knows whether {id} holds its questions. "
        f"`rft build {test_set}` makes it; or override {name}.",
        stops=True,
    )


def _finding(id: str, figures: Compared, found: pl.DataFrame) -> Finding:
    name = f"contamination/{figures.test_set}"
    counts = {"exact": figures.exact, "13-gram": figures.gram_13, "8-gram": figures.gram_8}
    pairs = ", ".join(f"{count:,} {kind}" for kind, count in counts.items() if count)
    bad, known, rest = (found.filter(chosen) for chosen in (pl.col("bad") & ~pl.col("known"), pl.col("known"), ~pl.col("bad")))
    compared = f"{number(figures.texts, 'text')} of {id} compared with the questions of {figures.test_set}"
    reviewed = f" ({figures.known:,} known)" if figures.known else ""
    lines = [f"{compared}: pairs that overlap: {pairs}{reviewed}." if pairs else f"{compared}: no overlap."]
    if bad.height:
        lines += [
            f"Test questions, or more than half of one, that would be trained on, in {number(bad.height, 'text')}:",
            *_listed(bad),
        ]
        lines += [
            f"Leave these questions or responses out of the set; or, if you have read them and disagree, override {name}."
        ]
    if known.height:
        lines += ["As much, but known and reviewed (known_overlaps.yaml):", *_listed(known)]
    if rest.height:
        lines += ["Less, which does not stop:", *_listed(rest)]
    return Finding("contamination", name, escaped("\n".join(lines)), stops=bad.height > 0)


def _listed(found: pl.DataFrame) -> list[str]:
    """Return the first pairs, a line each, and how many more there are."""
    lines = [
        f"  {row['column']} of {row['question_id']}, test question {row['test_question']}: {row['kind']}, "
        f'{row["share"]:.0%} of it: "{cell(row["shared"], 160)}"'
        for row in found.head(LISTED).iter_rows(named=True)
    ]
    return lines + ([f"  and {found.height - LISTED:,} more"] if found.height > LISTED else [])


# -- what overlaps ------------------------------------------------------------------------------------------------------------


def overlaps(texts: pl.DataFrame, questions: pl.DataFrame, *, _hash: Hash = pl.Expr.hash) -> pl.DataFrame:
    """Return which texts overlap with which test questions: question_id, column, test_question, kind, share, shared.

    `texts` has question_id, column and text, `questions` question_id and question; no text is null. There is one row for each
    (question_id, column, test_question) that overlaps, with the worst of its texts, and the worst row comes first: `kind` is
    exact (the same words, or the same question_id), 13-gram or 8-gram; `share` the part of the test question's words that lie
    in shared 8-grams (1.0 if exact); `shared` the longest run of shared words. A test question of 8 to 12 words has no
    13-gram, but a text that holds all of it has the share 1.0; one of fewer words is found only if it is exact, as so few
    stand together by chance.
    """
    texts = _normal(texts)
    tests = _normal(questions.select(test_question="question_id", text="question").unique("test_question", keep="first"))
    same_words = texts.filter(pl.col("words") != "").join(tests, on="words", coalesce=False)
    # A response to a test question is found by its question, if that is among the texts too.
    asked = texts.filter(pl.col("column") == "question")["question_id"].unique()
    ids = texts.filter((pl.col("column") == "question") | ~pl.col("question_id").is_in(asked.implode()))
    same_id = ids.join(tests, left_on="question_id", right_on="test_question", coalesce=False)
    exact = pl.concat([same_words, same_id]).with_columns(kind=pl.lit("exact", KIND), share=1.0, shared="words_right")
    test_grams = _grams(tests, _hash)
    near = [_shared(part, tests, test_grams, _hash) for part in texts.iter_slices(AT_ONCE)]
    key = ["question_id", "column", "test_question"]
    return (
        pl.concat([exact.select(*FOUND), *near])
        .sort(pl.col("shared").str.count_matches(" ", literal=True), "shared", descending=[True, False])
        .group_by(key)
        .agg(pl.col("kind", "share").max(), pl.col("shared").first())
        .sort("kind", "share", *key, descending=[True, True, False, False, False])
    )


def _normal(texts: pl.DataFrame) -> pl.DataFrame:
    """Return `texts`, numbered by `row`, with `words` (one space between them) in place of `text`."""
    words = pl.col("text").str.normalize("NFKC").str.to_lowercase().str.replace_all(r"[^\p{L}\p{M}\p{N}]+", " ")
    return texts.with_columns(words=words.str.strip_chars(" ")).drop("text").with_row_index("row")


def _grams(texts: pl.DataFrame, hash: Hash, among: pl.Series | None = None) -> pl.DataFrame:
    """Return the 8-grams of `texts`: row, at (its first word's place in the text), gram, hash; or only hashes `among`."""
    words = texts.select("row", word=pl.col("words").str.split(" ")).explode("word")
    rolled = words.select("row", hash=hash(pl.col("word")))
    for width in (1, 2, 4):  # from the hash of so many words that of twice as many; u64 wraps around
        rolled = rolled.with_columns(pl.col("hash") * pl.lit(MIX**width % 2**64, pl.UInt64) + pl.col("hash").shift(-width))
    chosen = pl.col("row") == pl.col("row").shift(1 - SHORT)  # the eighth word is of the same text
    if among is not None:
        chosen &= pl.col("hash").is_in(among.implode())
    grams = rolled.with_row_index("at").filter(chosen)
    gram = pl.concat_str([words["word"].gather(grams["at"] + place) for place in range(SHORT)], separator=" ")
    start = words["row"].search_sorted(grams["row"])
    return grams.with_columns(at=pl.col("at").cast(pl.Int64) - start, gram=gram)


def _shared(texts: pl.DataFrame, tests: pl.DataFrame, test_grams: pl.DataFrame, hash: Hash) -> pl.DataFrame:
    """Return the pairs of a text and a test question that share an 8-gram, as `overlaps` does."""
    # A hash only says where to look: grams are joined by their words.
    found = _grams(texts, hash, test_grams["hash"].unique()).join(test_grams, on="gram", suffix="_test")
    found = found.select("row", test="row_test", at="at_test", shift=pl.col("at") - pl.col("at_test"))
    runs = (
        found.sort("row", "test", "shift", "at")
        .group_by("row", "test", "shift", run=pl.col("at") - pl.int_range(pl.len()))
        .agg(first=pl.col("at").min(), length=pl.len() + SHORT - 1)
        .sort("length", "first", descending=[True, False])
        .unique(["row", "test"], keep="first", maintain_order=True)
    )
    fresh = pl.col("at").unique().sort().diff().fill_null(SHORT).clip(upper_bound=SHORT)  # words that no gram before it has
    words = pl.col("words_test").str.split(" ")
    return (
        runs.join(found.group_by("row", "test").agg(covered=fresh.sum()), on=["row", "test"])
        .join(texts, on="row")
        .join(tests.select("test_question", test="row", words_test="words"), on="test")
        .with_columns(
            kind=pl.when(pl.col("length") < LONG).then(pl.lit("8-gram")).otherwise(pl.lit("13-gram")).cast(KIND),
            share=pl.col("covered") / words.list.len(),
            shared=words.list.slice("first", "length").list.join(" "),
        )
        .select(*FOUND)
    )
