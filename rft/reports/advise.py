"""Where the next draws pay: how many new paths more draws of each source would give, by how hard the questions are for it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from eval.fits.unseen import Unseen, unseen
from eval.grading.paths import is_whole
from eval.grading.rules import PATHS
from registry.errors import InputError
from registry.names import parse_id
from registry.query.api import Artifact
from registry.tables import read
from registry.text import table
from rft.reports.costs import Spent

STOPS = (1, 2, 4, 8, 16)  # distinct paths of a question at which its draws could have ended
BANDS = 5  # of the share of right answers: up to 20 %, 40 %, ...


@dataclass(frozen=True)
class Outlook:
    """What more draws of one source are expected to give, over all its questions or those of one band of difficulty.

    `band`: the share of right draws, low and high end; null for all questions. `draws`: of each question so far (the most).
    `unsolved`: questions without a right answer. `expected`: new distinct paths, with their interval.
    """

    source: str
    band: tuple[float, float] | None
    draws: int
    unsolved: int
    expected: Unseen


@dataclass(frozen=True)
class Stop:
    """What a source's draws would have been, had those of each question ended with its path number `paths`: how many, and with how many paths."""

    source: str
    paths: int
    draws: int
    of_draws: int
    kept: int
    of_paths: int


@dataclass(frozen=True)
class Unsolved:
    """Questions without a right answer of a source (null: of any), and how many of them the other sources solve."""

    source: str | None
    questions: int
    by_others: int


@dataclass(frozen=True)
class Advice:
    """All that `rft advise` prints: an outlook for each source and then for each band of its questions, what earlier stops would have
    saved, and who leaves which questions unsolved."""

    id: str
    key: str
    to: int
    outlooks: list[Outlook]
    stops: list[Stop]
    unsolved: list[Unsolved]
    temperatures: dict[str, float]  # of sources that say it
    spent: dict[str, Spent]  # what the further draws of a source would take, of all its questions; without those nobody knows

    def more(self) -> dict[str, float]:
        """Return how many draws it takes, of each source, up to `to` of every question."""
        whole = (one for one in self.outlooks if one.band is None)
        return {one.source: float((self.to - one.draws) * one.expected.questions) for one in whole if self.to > one.draws}

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def advise(artifact: Artifact, k: int | None = None, to: int | None = None) -> Advice:
    """Return what draws up to `to` (default: twice as many) would add to those below `k` (default: all there are).

    Paths are the distinct ones of accepted samples, by the artifact's key, of each source by itself. Raises InputError if
    nothing was graded, `k` is above the draws there are, or `to` is not above it.
    """
    verdicts = read(artifact.stored, "verdicts")
    if verdicts is None or not verdicts.height:
        raise InputError(f"{artifact.id} ({artifact.record.maker}) graded no samples. Rejection sets, unions and evals do.")
    key = artifact.record.facts["key"]
    most = int(verdicts["draw"].max()) + 1  # type: ignore[arg-type]
    if k is not None and k > most:
        raise InputError(f"--k {k}: no source of {artifact.id} has more than {most} draws.")
    k = k or most
    to = 2 * k if to is None else to
    if to <= k:
        raise InputError(f"--predict {to} must be above the {k} draws that it is predicted from.")
    accepted = pl.col("right_answer") & ~pl.col("bad_equation") & is_whole()
    drawn = verdicts.filter(pl.col("draw") < k).with_columns(path=pl.when(accepted).then(PATHS[key]))
    outlooks = []
    for (source,), found in drawn.group_by("source", maintain_order=True):
        questions = found.group_by("question_id", maintain_order=True).agg(
            draws=pl.len(), right=pl.col("right_answer").mean(), paths=pl.col("path").drop_nulls()
        )
        band = (pl.col("right") * BANDS).floor().clip(0, BANDS - 1).cast(pl.Int32)
        outlooks.append(_outlook(str(source), None, questions, to))
        for (number,), part in questions.sort(band, maintain_order=True).group_by(band, maintain_order=True):
            low = int(str(number)) / BANDS
            outlooks.append(_outlook(str(source), (low, low + 1 / BANDS), part, to))
    temperatures = {
        source: float(stored.record.params["temperature"])
        for source in drawn["source"].unique(maintain_order=True)
        if (stored := artifact.store.readable(parse_id(source))) and stored.record.params.get("temperature") is not None
    }
    return Advice(artifact.id, key, to, outlooks, _stops(drawn), _unsolved(drawn), temperatures, {})


def _stops(drawn: pl.DataFrame) -> list[Stop]:
    """Return what fewer draws would have given; only stops that save some of them."""
    asked = drawn.group_by("source", "question_id", maintain_order=True).agg(draws=pl.len())
    firsts = drawn.drop_nulls("path").group_by("source", "question_id", "path").agg(pl.col("draw").min())
    nth = firsts.sort("draw").with_columns(place=pl.col("draw").cum_count().over("source", "question_id"))
    found = []
    for paths in STOPS:
        ends = nth.filter(pl.col("place") == paths).select("source", "question_id", end=pl.col("draw") + 1)
        made = asked.join(ends, on=["source", "question_id"], how="left").with_columns(pl.min_horizontal("end", "draws"))
        kept = nth.group_by("source").agg(kept=(pl.col("place") <= paths).sum(), of_paths=pl.len())
        sums = made.group_by("source", maintain_order=True).agg(
            pl.col("end").fill_null(pl.col("draws")).sum(), pl.col("draws").sum()
        )
        for source, draws, of, held, all_ in sums.join(kept, on="source", how="inner", maintain_order="left").iter_rows():
            if draws < of:
                found.append(Stop(source, paths, draws, of, held, all_))
    return sorted(found, key=lambda stop: (stop.source, stop.paths))


def _unsolved(drawn: pl.DataFrame) -> list[Unsolved]:
    solved = drawn.group_by("question_id", "source", maintain_order=True).agg(solved=pl.col("right_answer").any())
    any_ = solved.group_by("question_id").agg(pl.col("solved").any())
    found = [Unsolved(None, any_.height - int(any_["solved"].sum()), 0)]
    sources = solved["source"].unique(maintain_order=True).to_list()
    if len(sources) > 1:
        by_any = solved.join(any_, on="question_id", suffix="_by_any").filter(~pl.col("solved"))
        for source in sources:
            here = by_any.filter(pl.col("source") == source)
            found.append(Unsolved(source, here.height, int(here["solved_by_any"].sum())))
    return found


def _outlook(source: str, band: tuple[float, float] | None, questions: pl.DataFrame, to: int) -> Outlook:
    counts = [(draws, _counted(paths)) for draws, paths in questions.select("draws", "paths").iter_rows()]
    unsolved = questions.filter(pl.col("right") == 0).height
    return Outlook(source, band, max(draws for draws, _ in counts), unsolved, unseen(counts, to))


def _counted(paths: list[str]) -> Mapping[str, int]:
    return {path: paths.count(path) for path in dict.fromkeys(paths)}


# -- for people ---------------------------------------------------------------------------------------------------------


def report(found: Advice) -> str:
    """Return the advice as text: a sentence for each source, the best first, then the table by difficulty."""
    whole = [one for one in found.outlooks if one.band is None]
    whole.sort(key=lambda one: -(one.expected.new or 0) / one.expected.questions)
    lines = [f"{found.id}: from so many draws of each question to {found.to} ({found.key} key)"]
    for one in whole:
        e = one.expected
        if e.new is None or e.low is None or e.high is None:
            lines.append(f"  {one.source}: I do not know: {e.why}.")
            continue
        each, low, high = (value / e.questions for value in (e.new, e.low, e.high))
        warmth = f" at temperature {found.temperatures[one.source]:g}" if one.source in found.temperatures else ""
        lines.append(
            f"  {_more(found.to - one.draws)} from {one.source}{warmth}: about {each:.2f} new paths a question ({low:.2f} to {high:.2f}), "
            f"{e.new:,.0f} in all{_price(found.spent.get(one.source), e.new)}"
        )
    rows = [
        [
            one.source,
            "all" if one.band is None else f"{one.band[0]:.0%} to {one.band[1]:.0%}",
            one.expected.questions,
            one.unsolved,
            one.draws,
            one.expected.seen,
            "-" if one.expected.new is None else f"{one.expected.new:,.0f}",
            one.expected.why
            if one.expected.low is None or one.expected.high is None
            else f"{one.expected.low:,.0f} to {one.expected.high:,.0f}",
            f"{one.expected.at_least:,.0f}",
        ]
        for one in found.outlooks
    ]
    columns = ["source", "right", "questions", "unsolved", "draws", "paths seen", "new", "95 % interval", "unseen at least"]
    parts = ["\n".join(lines), table(columns, rows)]
    if found.stops:
        saved = [
            [
                stop.source,
                stop.paths,
                stop.draws,
                f"{stop.draws / stop.of_draws:.1%}",
                stop.kept,
                f"{stop.kept / stop.of_paths:.1%}",
            ]
            for stop in found.stops
        ]
        stops = table(["source", "paths", "draws", "of all", "paths kept", "of all"], saved)
        parts.append(f"had the draws of a question ended with so many distinct paths\n{stops}")
    unsolved = [[one.source or "all together", one.questions, one.by_others] for one in found.unsolved]
    parts.append("questions without a right answer, by source\n" + table(["source", "unsolved", "solved by others"], unsolved))
    return "\n\n".join(parts)


def _price(spent: Spent | None, new: float) -> str:
    """Return what it takes: tokens, and hours and money if they are known."""
    if spent is None or spent.tokens is None:
        return ""
    said = f", for {spent.tokens:,.0f} tokens"
    if spent.hours is not None:
        said += f", {spent.hours:,.2g} GPU hours"
    if spent.money is not None:
        said += f", {spent.money:,.2f}" + (f" ({spent.money / new:,.3g} a path)" if new else "")
    return said


def _more(draws: int) -> str:
    return f"{draws:,} more draw{'s' if draws != 1 else ''}"
