"""The reasoning path of a response: which calculations it writes down.

    "48/2 = <<48/2=24>>24 ... <<48+24=72>>72"   ->   path "48/2=24|48+24=72", path_canonical "24+48=72|48/2=24"

- `path` is the reference script's key: the texts between << and >>, joined by "|", space characters removed.
  3+4=7 and 4+3=7 differ, and so do two orders of the same equations.
- `path_canonical` is equal for responses that do the same set of calculations, whatever their order, the order of the
  operands of + and *, and the way the numbers are written. It is standard mode's default.

Standard mode reads plain text ("48 / 2 = 24") in responses without any <<...>>; such equations make the path, and never
make a response's calculation bad. Without any equation standard mode has no path (null), paper mode the path "".
A response with more equations than MAX_READ is not read: both its paths are the texts themselves, and it is bad.
"""

import re

import polars as pl

from eval.grading.equations import read_standard
from eval.grading.rules import Rules
from registry.rows import PATH_STATS

ANNOTATED = r"<<[^>]*>>"
MAX_READ = 5_000  # characters of the different equations of one response

# A number, an operator and a number at least, then = and a number: 5 apples * 2 = 10, $3 + 4 = $7, 2(3 + 4) = 14;
# or a chain of such sides: 2 * 3 + 1 = 6 + 1 = 7.
_NUMBER = r"[$€£]?(?:\d+(?:,\d{3})*(?:\.\d+)?|\.\d+)%?"
_OPERAND = rf"[-−]?{_NUMBER}(?:[ ]?[A-WYZa-wyz][a-z]*)?[)]*"
_OPERATOR = r"[ \t]*(?:[-+*/×÷·−–xX]|\\times|\\div|\\cdot)[ \t]*"
_STEP = rf"(?:{_OPERATOR}[(]*|[(]+){_OPERAND}"
_EQUALS = r"[ \t]*=[ \t]*"
PLAIN = rf"[(]*{_OPERAND}(?:{_STEP})+{_EQUALS}(?:[(]*{_OPERAND}(?:{_STEP})*{_EQUALS})*[-−]?{_NUMBER}"
_UNIT = re.compile(r"(?<=[0-9%.)]) ?[A-WYZa-wyz][a-z]*")
_LATEX = re.compile(r"\\(times|div|cdot)")


def read_paths(responses: pl.Series, rules: Rules) -> pl.DataFrame:
    """Return `bad_equation` (some annotated equation fails), `path` and `path_canonical` for each response."""
    frame = responses.alias("response").to_frame()
    # ">" cannot stand inside an annotation, so the joined text says exactly which annotations there are.
    annotated = frame.select(pl.col("response").str.extract_all(ANNOTATED).list.join("").alias("equations"))["equations"]
    keys = {text: _annotated_keys(text, rules) for text in annotated.unique().drop_nulls() if text}
    result = pl.DataFrame(
        {
            "equations": list(keys),
            "bad_equation": [bad for bad, _, _ in keys.values()],
            "path": [path for _, path, _ in keys.values()],
            "path_canonical": [canonical for _, _, canonical in keys.values()],
        },
        schema={"equations": pl.String, "bad_equation": pl.Boolean, "path": pl.String, "path_canonical": pl.String},
    )
    paths = annotated.to_frame().join(result, on="equations", how="left", maintain_order="left").drop("equations")
    paths = paths.with_columns(pl.col("bad_equation").fill_null(False))
    if not rules.plain:
        return paths.with_columns(pl.col("path", "path_canonical").fill_null(""))
    rows = (annotated == "").arg_true()
    plain = frame["response"].gather(rows).str.extract_all(PLAIN).list.join("\n")
    read = {text: _plain_keys(text) for text in plain.unique().drop_nulls() if text}
    found = [read.get(text, (None, None)) for text in plain]
    return paths.with_columns(
        paths["path"].scatter(rows, pl.Series([path for path, _ in found], dtype=pl.String)),
        paths["path_canonical"].scatter(rows, pl.Series([canonical for _, canonical in found], dtype=pl.String)),
    )


def _annotated_keys(text: str, rules: Rules) -> tuple[bool, str, str]:
    equations = text[2:-2].split(">><<")
    path = "|".join(equations).replace(" ", "")
    different = set(equations)
    if sum(map(len, different)) > MAX_READ:  # no solution is that long: read nothing, and do not keep it
        return True, path, path
    readings = {equation: read_standard(equation) for equation in different}
    bad = not all(rules.holds(equation, reading) for equation, reading in readings.items())
    return bad, path, "|".join(sorted({reading.canonical for reading in readings.values()}))


def _plain_keys(text: str) -> tuple[str, str]:
    equations = text.split("\n")
    different = set(equations)
    if sum(map(len, different)) > MAX_READ:
        path = text.replace("\n", "|").replace(" ", "")
        return path, path
    arithmetic = {equation: _UNIT.sub("", _LATEX.sub(_operator, equation)) for equation in different}
    short = {equation: "".join(text.split()) for equation, text in arithmetic.items()}
    canonical = sorted({read_standard(text).canonical for text in arithmetic.values()})
    return "|".join(short[equation] for equation in equations), "|".join(canonical)


def _operator(match: re.Match[str]) -> str:
    return "/" if match[1] == "div" else "*"


def count_paths(verdicts: pl.DataFrame, human: pl.DataFrame) -> pl.DataFrame:
    """Return PATH_STATS: one row for each question of `human`, in its order, with zeros where nothing was sampled.

    `human` has question_id, path and path_canonical (null without a human solution or without a path). Paths are the
    distinct ones of accepted responses: right answer, and every equation holds.
    """
    accepted = verdicts.filter(pl.col("right_answer") & ~pl.col("bad_equation"))
    keys = ["question_id", "path", "path_canonical"]
    with_human = pl.concat([accepted.select(keys), human.select(keys)])
    counts = [
        verdicts.group_by("question_id").agg(
            draws=pl.len(), right_answers=pl.col("right_answer").sum(), kept=(pl.col("verdict") == "kept").sum()
        ),
        accepted.group_by("question_id").agg(
            accepted=pl.len(),
            paths=pl.col("path").drop_nulls().n_unique(),
            paths_canonical=pl.col("path_canonical").drop_nulls().n_unique(),
        ),
        with_human.group_by("question_id").agg(
            paths_with_human=pl.col("path").drop_nulls().n_unique(),
            paths_canonical_with_human=pl.col("path_canonical").drop_nulls().n_unique(),
        ),
    ]
    stats = human.select("question_id")
    for count in counts:
        stats = stats.join(count, on="question_id", how="left", maintain_order="left")
    return PATH_STATS.fit(stats.with_columns(pl.exclude("question_id").fill_null(0)), "the counts of paths")
