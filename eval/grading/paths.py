"""The reasoning path of a response: which calculations it writes down.

    "48/2 = <<48/2=24>>24 ... <<48+24=72>>72"   ->   path "48/2=24|48+24=72", path_canonical "24+48=72|48/2=24"

- `path` is the reference script's key: the texts between << and >>, joined by "|", space characters removed.
  3+4=7 and 4+3=7 differ, and so do two orders of the same equations.
- `path_canonical` is equal for responses that do the same set of calculations, whatever their order, the order of the
  operands of + and *, and the way the numbers are written. It is standard mode's default.

Standard mode reads plain text ("48 / 2 = 24") and LaTeX in responses without any <<...>> (eval/grading/steps.py), of a model that
thinks in its final part, if that calculates at all; such equations make the path, and never make a response's calculation bad.
`coverage` is then the share of the results that the text shows which are in the path; null for annotated responses.
Without any equation standard mode has no path (null), paper mode the path "".
A response with more equations than MAX_READ is not read: both its paths are the texts themselves, and it is bad.
"""

import polars as pl

from eval.grading.equations import canonical_step, read_standard
from eval.grading.places import final_part
from eval.grading.rules import Rules
from eval.grading.steps import steps
from registry.rows import PATH_STATS

ANNOTATED = r"<<[^>]*>>"
MAX_READ = 5_000  # characters of the different equations of one response


def read_paths(responses: pl.Series, rules: Rules) -> pl.DataFrame:
    """Return `bad_equation` (some annotated equation fails), `path`, `path_canonical` and `coverage` for each response."""
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
        return paths.with_columns(pl.col("path", "path_canonical").fill_null(""), coverage=pl.lit(None, pl.Float64))
    rows = ((annotated == "") & frame.select(may_show=_MAY_SHOW)["may_show"]).arg_true()
    texts = frame["response"].gather(rows)
    read = {text: _plain_keys(text) for text in texts.unique()}
    found = pl.DataFrame([read[text] for text in texts], schema=_PLAIN, orient="row")
    paths = paths.with_columns(coverage=pl.lit(None, pl.Float64))
    return paths.with_columns(paths[name].scatter(rows, found[name]) for name in _PLAIN)


_MAY_SHOW = pl.col("response").str.contains(r"[=≈]| is | equal|\\approx")
_PLAIN = {"path": pl.String, "path_canonical": pl.String, "coverage": pl.Float64}


def _annotated_keys(text: str, rules: Rules) -> tuple[bool, str, str]:
    equations = text[2:-2].split(">><<")
    path = "|".join(equations).replace(" ", "")
    different = set(equations)
    if sum(map(len, different)) > MAX_READ:  # no solution is that long: read nothing, and do not keep it
        return True, path, path
    readings = {equation: read_standard(equation) for equation in different}
    bad = not all(rules.holds(equation, reading) for equation, reading in readings.items())
    return bad, path, "|".join(sorted({reading.canonical for reading in readings.values()}))


def _plain_keys(text: str) -> tuple[str | None, str | None, float | None]:
    final = final_part(text) or text
    found = steps(final)
    if not found.equations and final is not text:
        found = steps(text)  # a model that calculates in its thoughts alone
    covered = found.shown / (found.shown + found.missed) if found.shown + found.missed else None
    if not found.equations:
        return None, None, covered
    path = "|".join(found.equations)
    different = set(found.equations)
    if sum(map(len, different)) > MAX_READ:
        return path, path, covered
    return path, "|".join(sorted({canonical_step(equation) for equation in different})), covered


def is_whole() -> pl.Expr:
    """Whether all results that a response shows are in its path, or there are none."""
    return pl.col("coverage").fill_null(1.0) >= 1


def count_paths(verdicts: pl.DataFrame, human: pl.DataFrame) -> pl.DataFrame:
    """Return PATH_STATS: one row for each question of `human`, in its order, with zeros where nothing was sampled.

    `human` has question_id, path and path_canonical (null without a human solution or without a path). Paths are the
    distinct ones of accepted responses: right answer, and every equation holds; a path that does not show all is none.
    """
    accepted = verdicts.filter(pl.col("right_answer") & ~pl.col("bad_equation")).with_columns(
        pl.when(is_whole()).then(pl.col("path", "path_canonical"))
    )
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
