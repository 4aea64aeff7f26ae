"""Distinct reasoning paths: against k (Table 2), by source (Fig. 6), on test questions (Fig. 7); and how hard questions are."""

from collections.abc import Sequence
from itertools import pairwise

import polars as pl

from eval.grading.paths import is_whole
from eval.grading.rules import PATHS
from registry.errors import InputError
from registry.names import ArtifactId
from registry.query.api import Artifact, Registry
from registry.query.published import published
from registry.tables import read
from rft.reports.advise import advise
from rft.reports.figures.drawing import COLOURS, GREY, INK, Drawing, doubling, drawing, legend, look
from rft.reports.paths import KS, statistics

MOST = 7  # series that can be told apart
MOST_SETS, MOST_COMBINATIONS = 12, 20  # of an UpSet plot
BARS, FEW_DRAWS = 10, 16  # of the share of right draws; as many draws have each a point of their own


def against_k(registry: Registry, ids: Sequence[ArtifactId]) -> Drawing:
    """Table 2: distinct paths a question against k, the human's counted, and what twice the draws would give."""
    sets = _graded(registry, ids, "TRAINING") if ids else []
    if len(keys := {one.record.facts["key"]: one.id for one in sets}) > 1:
        said = " and ".join(f"{id} by the {key} key" for key, id in keys.items())
        raise InputError(f"{said}: their numbers of paths cannot be compared. Draw them apart.")
    alone = any(len(one.record.facts["sources"]) == 1 for one in sets)
    paper = published()["published_paths"].filter((pl.col("statistic") == "distinct") & (pl.col("temperature") == 0.7))
    made, (axes,) = drawing(
        "Distinct reasoning paths a question, the human's counted, against k, the draws of each question. Grey: the paper's "
        f"{paper.height} points on GSM8K's training set (Table 2, by lists of equations)."
        + "".join(f" {one.id}: {_questions(one):,} questions, {one.record.facts['key']} key." for one in sets)
        + (" Dashed: what is expected up to twice the draws, with a 95 % interval, of a set of one source." if alone else ""),
        "Line plot: the number of distinct paths grows with the number of draws, ever more slowly.",
    )
    for place, base in enumerate(paper["base"].unique(maintain_order=True)):
        line = paper.filter(pl.col("base") == base).sort("k")
        axes.plot(line["k"], line["value"], color=GREY, lw=0.9, marker=look(place)["marker"], mfc="white", ms=4, label=base)
    farthest = 100
    for place, artifact in enumerate(sets):
        found = statistics(artifact)
        column = f"{PATHS[artifact.record.facts['key']].replace('path', 'paths')}_with_human"
        ks, values = [row["k"] for row in found.at_k], [row[column] for row in found.at_k]
        axes.plot(ks, values, ms=6, lw=1.6, label=artifact.id, **look(place))
        farthest = max(farthest, ks[-1])
        if len(found.sources) == 1 and (more := advise(artifact).outlooks[0].expected).new is not None:
            n, last, to = more.questions, values[-1], more.to
            ends = [last + (end or 0) / n for end in (more.low, more.new, more.high)]
            axes.plot([ks[-1], to], [last, ends[1]], color=look(place)["color"], lw=1.4, ls=(0, (3, 2)))
            axes.fill_between([ks[-1], to], [last, ends[0]], [last, ends[2]], color=look(place)["color"], alpha=0.18, lw=0)
            farthest = max(farthest, to)
    ticks = [*KS, *(k for k in (200, 400, 800) if k <= farthest)]
    doubling(axes, ticks, [str(k) for k in ticks])
    axes.set_xlabel("k, draws of each question")
    axes.set_ylabel("distinct paths a question")
    axes.set_ylim(0)
    legend(axes, loc="upper left")
    return made


def contributions(registry: Registry, ids: Sequence[ArtifactId]) -> Drawing:
    """Figure 6: which sources found the paths of a set, as an UpSet plot: a bar for each combination of sources."""
    if len(ids) != 1:
        raise InputError("this figure is of one set: `rft plot contributions NAME`.")
    (artifact,) = _graded(registry, ids, "TRAINING")
    sources = [str(source) for source in artifact.record.facts["sources"]]
    if not 2 <= len(sources) <= MOST_SETS:
        raise InputError(
            f"{artifact.id} has {len(sources)} source{'s' * (len(sources) != 1)}. This figure is of sets of 2 to {MOST_SETS}: "
            "a union, or a rejection set over several samples."
        )
    paths = _accepted(artifact).group_by("question_id", "path").agg(by=pl.col("source").unique().sort())
    total = paths.height
    counts = paths.group_by("by").len().sort(["len", "by"], descending=[True, False])
    shown = counts.head(MOST_COMBINATIONS)
    rest = total - int(shown["len"].sum())
    made, (bars, grid) = drawing(
        f"The {total:,} distinct reasoning paths of {artifact.id} ({_questions(artifact):,} questions, {artifact.record.facts['key']} key; without "
        "the human's) by the sources that found them: dots are the sources, a bar the paths that those and no others found."
        + (f" {rest:,} paths of {counts.height - shown.height} rarer combinations are not shown." if rest else "")
        + " In the paper's Figure 6 (five models) LLaMA2-13B alone found 15.5 % of the paths, and 33B alone 6.5 %.",
        f"UpSet plot of {len(sources)} sources: the commonest combination has {shown['len'][0]:,} of {total:,} paths.",
        rows=(2.6, 0.32 * len(sources) + 0.2),
        high=3.2 + 0.32 * len(sources),
    )
    places = range(shown.height)
    drawn = bars.bar(places, shown["len"], color=COLOURS[0], width=0.7)
    bars.bar_label(drawn, [f"{n:,}\n{n / total:.1%}" for n in shown["len"]], size=7, color=INK, padding=2)
    bars.set_xticks([])
    bars.margins(y=0.2)
    bars.set_ylabel("paths")
    for place, by in enumerate(shown["by"].to_list()):
        inside = [row for row, source in enumerate(sources) if source in by]
        grid.plot([place] * len(sources), range(len(sources)), ls="", marker="o", ms=6, color="#d5dae0")
        grid.plot([place] * len(inside), inside, marker="o", ms=6, color=INK, lw=1.4)
    own = dict(paths.explode("by").group_by("by").len().iter_rows())
    grid.set_yticks(range(len(sources)), [f"{source} ({own.get(source, 0):,})" for source in sources], parse_math=False)
    grid.set_ylim(len(sources) - 0.5, -0.5)
    grid.set_xlim(bars.get_xlim())
    grid.set_xticks([])
    grid.grid(visible=False)
    grid.spines[["left", "bottom"]].set_visible(False)
    grid.tick_params(length=0)
    return made


def processes(registry: Registry, ids: Sequence[ArtifactId]) -> Drawing:
    """Figure 7: how many different calculation processes lead to the right answer of a test question."""
    from matplotlib.ticker import MaxNLocator

    evals = _graded(registry, ids, "SCORES")
    made, (axes,) = drawing(
        "Test questions by the number of different calculation processes among their right answers. "
        + "; ".join(f"{one.id}: {_questions(one):,} questions, {_draws(one)} draws of each" for one in evals)
        + ". In the paper's Figure 7 (100 draws at temperature 0.7) models after SFT have more questions with exactly one, models after RFT more with "
        "many; the heights of its bars are not printed.",
        "Histogram: questions by number of different calculation processes.",
    )
    for place, artifact in enumerate(evals):
        numbers = {row["paths"]: row["questions"] for row in statistics(artifact).histogram}
        share = [100 * numbers.get(n, 0) / sum(numbers.values()) for n in range(max(numbers) + 1)]
        axes.plot(range(len(share)), share, ms=5, lw=1.4, label=artifact.id, **look(place))
    axes.set_xlabel("different calculation processes of a question (0: none is right)")
    axes.set_ylabel("% of the questions")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylim(0)
    legend(axes)
    return made


def difficulty(registry: Registry, ids: Sequence[ArtifactId]) -> Drawing:
    """How hard the questions are: by the share of their draws that are right."""
    graded = _graded(registry, ids, None)
    made, (axes,) = drawing(
        "Questions by the share of their draws that have the right answer (pass rate): a point for each number of right draws, or of more than "
        f"{FEW_DRAWS} draws for each tenth, and for none and all. "
        + "; ".join(f"{one.id}: {_questions(one):,} questions, {_draws(one)} draws of each" for one in graded)
        + ".",
        "Line plot: questions by the share of right draws.",
    )
    for place, artifact in enumerate(graded):
        stats = read(artifact.stored, "path_stats")
        assert stats is not None
        drawn = stats.filter(pl.col("draws") > 0).select("draws", rate=pl.col("right_answers") / pl.col("draws"))
        xs, counts = _by_rate(drawn["rate"], drawn["draws"].unique().to_list())
        axes.plot(xs, [100 * n / max(drawn.height, 1) for n in counts], ms=5, lw=1.4, label=artifact.id, **look(place))
    axes.set_xlabel("pass rate, % of the draws of a question")
    axes.set_ylabel("% of the questions with draws")
    axes.set_ylim(0)
    legend(axes)
    return made


def _by_rate(rates: pl.Series, draws: Sequence[int]) -> tuple[list[float], list[int]]:
    """Return pass rates in percent, and how many questions have each: those there can be of few draws, else the middles of tenths."""
    if len(draws) == 1 and draws[0] <= FEW_DRAWS:
        each = [i / draws[0] for i in range(draws[0] + 1)]
        return [100 * rate for rate in each], [int((rates == rate).sum()) for rate in each]
    edges = [i / BARS for i in range(BARS + 1)]
    inner = [int(((rates > low) & (rates <= high) & (rates < 1)).sum()) for low, high in pairwise(edges)]
    middles = [(low + high) * 50 for low, high in pairwise(edges)]
    return [0, *middles, 100], [int((rates == 0).sum()), *inner, int((rates == 1).sum())]


def _graded(registry: Registry, ids: Sequence[ArtifactId], rows_are: str | None) -> list[Artifact]:
    """Return the artifacts `ids` with verdicts, of one shape of rows; without ids, all there are."""
    kinds = {"TRAINING": "rejection sets and unions", "SCORES": "evals", None: "rejection sets, unions and evals"}[rows_are]
    chosen = list(ids)
    if not chosen:
        found = registry.sql("select name, version, rows_are from artifacts order by all").iter_rows()
        known = [
            ArtifactId(name, version)
            for name, version, are in found
            if are in ((rows_are,) if rows_are else ("TRAINING", "SCORES"))
        ]
        chosen = [id for id in known if registry.store.require(id).file("verdicts.parquet")]
    if not chosen:
        raise InputError(f"no {kinds} are built, of which this figure is. `rft plan` shows what the catalog lists.")
    if len(chosen) > MOST:
        raise InputError(f"{len(chosen)} {kinds} are too many for one figure. Name up to {MOST} of them.")
    graded = [registry.load(str(id)) for id in chosen]
    for one in graded:
        if one.stored.file("verdicts.parquet") is None or (rows_are and one.record.rows_are != rows_are):
            raise InputError(f"{one.id} ({one.record.maker}): this figure is of {kinds}.")
    return graded


def _accepted(artifact: Artifact) -> pl.DataFrame:
    """Return question_id, source and path, by the artifact's key, of the accepted samples that show all of theirs."""
    verdicts = read(artifact.stored, "verdicts")
    assert verdicts is not None
    path = PATHS[artifact.record.facts["key"]]
    whole = verdicts.filter(pl.col("right_answer") & ~pl.col("bad_equation") & is_whole() & pl.col(path).is_not_null())
    return whole.select("question_id", "source", path=path)


def _questions(artifact: Artifact) -> int:
    stats = read(artifact.stored, "path_stats")
    assert stats is not None
    return stats.height


def _draws(artifact: Artifact) -> int:
    verdicts = read(artifact.stored, "verdicts")
    assert verdicts is not None
    return int(verdicts["draw"].max() or 0) + 1 if verdicts.height else 0  # type: ignore[arg-type]
