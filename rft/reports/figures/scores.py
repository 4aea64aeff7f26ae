"""Accuracy against pre-training loss (Figs. 1 and 2), the share of human data (section 3.2) and k (Table 5), with the user's points."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from eval.fits.lines import FEWEST, fit
from registry.errors import InputError
from registry.names import ArtifactId
from registry.query.api import Registry
from rft.reports.figures.drawing import GREY, Drawing, doubling, drawing, legend, look
from rft.reports.laws import scores

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BASES = ("llama-7b", "llama2-7b", "llama-13b", "llama2-13b", "llama-33b", "llama-65b", "llama2-70b")
SHARES = (0.03125, 0.0625, 0.125, 0.25, 0.5, 1.0)
KS = (1, 3, 6, 12, 25, 50, 100)


@dataclass(frozen=True)
class Point:
    """A score of the user's models: the mean over those that differ only in their seed, and of their intervals.

    `lower`: how many others with the same base, setting, share and k have a lower score; the best is shown.
    """

    base: str
    setting: str
    loss: float | None
    share: float | None
    k: int | None
    value: float
    low: float
    high: float
    seeds: int
    n: int
    dataset: str
    lower: int


def points(registry: Registry, ids: Sequence[ArtifactId]) -> list[Point]:
    """Return the greedy scores (maj1@1, in percent) of the models `ids`, of all models without ids; of several tests, that with most."""
    query = "select * from settings where metric = 'maj1@1' and temperature = 0 and isfinite(value) order by all"
    found = registry.sql(query)
    if ids:
        wanted = pl.DataFrame(ids, schema={"name": pl.String, "version": pl.Int32}, orient="row")
        found = found.join(wanted, on=["name", "version"], how="semi", maintain_order="left")
    if not found.height:
        return []
    found = found.filter(pl.col("dataset") == found["dataset"].mode().sort()[0])
    same = found.group_by("base", "setting", "data", "share", "k", "loss", "epochs", "shots", maintain_order=True).agg(
        pl.col("value", "low", "high").mean() * 100, pl.col("n", "dataset").first(), seeds=pl.len()
    )
    point = ["setting", "base", "share", "k"]
    best = same.sort("value", descending=True).group_by(point, maintain_order=True).agg(pl.all().first(), lower=pl.len() - 1)
    return [Point(**row) for row in best.select(list(Point.__dataclass_fields__)).sort(point).to_dicts()]


def against_loss(registry: Registry, ids: Sequence[ArtifactId]) -> Drawing:
    """Figure 2: accuracy against the loss of pre-training, for ICL, SFT and RFT, with their lines over the range that they cover."""
    scored = [point for point in points(registry, ids) if point.share in (None, 1.0)]
    own = [point for point in scored if point.loss is not None]
    if scored and not own:
        raise InputError(f"{scored[0].base} has no pre-training loss: `loss` in its line says it.")
    _need(ids, own)
    names = dict.fromkeys(["icl", "sft", "rft", "rft-u13b", *(point.setting for point in own)])
    series = {
        name: scores(name, k=100) if name == "rft" else scores(name) if name != "sft" else scores(name, share=1.0)
        for name in names
    }
    counted = sum(frame.height for frame in series.values())
    made, (axes,) = drawing(
        f"Greedy accuracy (maj1@1) against the loss of pre-training. Hollow: the paper's {counted} points on GSM8K's test set (Tables 1 and 5, "
        "Figure 2; rft: k = 100), with least squares lines over the range that they cover." + _said(own),
        "Scatter plot: accuracy falls as pre-training loss rises; RFT lies above SFT, SFT above ICL.",
    )
    for place, (name, frame) in enumerate(series.items()):
        _hollow(axes, frame["loss"].to_list(), frame["value"].to_list(), place, name)
        mine = [(point.loss, point) for point in own if point.setting == name and point.loss is not None]
        _filled(axes, mine, place, f"{name}, yours")
        xs = [x for x, _ in mine]
        if len(set(xs)) >= FEWEST:
            line = fit(xs, [point.value for _, point in mine])
            axes.plot([line.start, line.end], [line.at(line.start), line.at(line.end)], color=look(place)["color"], lw=1.6)
    axes.set_xlabel("loss of pre-training, nats per token")
    axes.set_ylabel("accuracy, % of the test questions")
    axes.set_ylim(0, 100)
    legend(axes, loc="upper right", ncols=2)
    return made


def against_share(registry: Registry, ids: Sequence[ArtifactId]) -> Drawing:
    """Section 3.2: accuracy of SFT against the share of the human data, a line for each base."""
    own = [point for point in points(registry, ids) if point.setting == "sft" and point.share]
    _need(ids, own)
    paper = scores("sft", mark="P")
    best = paper.group_by("base", "share", maintain_order=True).agg(pl.col("value").max())
    made, (axes,) = drawing(
        f"Greedy accuracy (maj1@1) of SFT against the share of the human data. Grey: the paper's {best.height} points on GSM8K's test set (Table 5, "
        "the better of the two numbers of epochs)." + _said(own),
        "Line plot: accuracy grows by about the same number of points for each doubling of the data, less for better bases.",
    )
    for place, base in enumerate(BASES):
        line = best.filter(pl.col("base") == base).sort("share")
        axes.plot(line["share"], line["value"], color=GREY, lw=0.9, marker=look(place)["marker"], mfc="white", ms=4, label=base)
    _own_lines(axes, own, lambda point: point.share)
    doubling(axes, SHARES, [f"1/{round(1 / share)}" if share < 1 else "all" for share in SHARES])
    axes.set_xlabel("share of the human training questions")
    axes.set_ylabel("accuracy, % of the test questions")
    axes.set_ylim(0)
    legend(axes, loc="center left", bbox_to_anchor=(1, 0.5))
    return made


def against_k(registry: Registry, ids: Sequence[ArtifactId]) -> Drawing:
    """Table 5: accuracy of RFT against the draws of each question, a line for each base."""
    own = [point for point in points(registry, ids) if point.setting.startswith("rft") and point.k]
    _need(ids, own)
    paper = scores("rft")
    made, (axes,) = drawing(
        f"Greedy accuracy (maj1@1) of RFT against k, the draws of each training question. Grey: the paper's {paper.height} points on GSM8K's test set "
        "(Table 5); short lines at the left: SFT on the same questions." + _said(own),
        "Line plot: accuracy of RFT grows with the number of draws, more for weaker bases.",
    )
    sft = dict(scores("sft", share=1.0, mark="P").select("base", "value").iter_rows())
    for place, base in enumerate(paper["base"].unique(maintain_order=True)):
        line = paper.filter(pl.col("base") == base).sort("k")
        axes.plot(line["k"], line["value"], color=GREY, lw=0.9, marker=look(place)["marker"], mfc="white", ms=4, label=base)
        axes.plot([0.75, 0.92], [sft[base]] * 2, color=GREY, lw=1.6)
    _own_lines(axes, own, lambda point: point.k)
    doubling(axes, KS, [str(k) for k in KS])
    axes.set_xlabel("k, draws of each training question")
    axes.set_ylabel("accuracy, % of the test questions")
    legend(axes, loc="center left", bbox_to_anchor=(1, 0.5))
    return made


def _hollow(axes: "Axes", xs: Sequence[float], ys: Sequence[float], place: int, name: str) -> None:
    """Draw published points, and their line over the range that they cover."""
    if not xs:
        return
    how = look(place)
    axes.plot(xs, ys, ls="", marker=how["marker"], mfc="white", mec=how["color"], ms=5, label=name)
    if len(set(xs)) >= FEWEST:
        line = fit(xs, ys)
        axes.plot([line.start, line.end], [line.at(line.start), line.at(line.end)], color=how["color"], lw=0.9, ls=(0, (5, 2)))


def _filled(axes: "Axes", points: Sequence[tuple[float, Point]], place: int, name: str, ls: Any = "") -> None:
    """Draw the user's points with their intervals."""
    if points:
        xs, found = zip(*sorted(points, key=lambda pair: pair[0]), strict=True)
        values = [point.value for point in found]
        around = [[point.value - point.low for point in found], [point.high - point.value for point in found]]
        how = look(place)
        axes.errorbar(
            xs, values, yerr=around, color=how["color"], marker=how["marker"], ms=6, capsize=2.5, lw=1.4, label=name, ls=ls
        )


def _own_lines(axes: "Axes", own: Sequence[Point], x: Callable[[Point], float | None]) -> None:
    groups: dict[tuple[str, str], list[tuple[float, Point]]] = {}
    for point in own:
        if (at := x(point)) is not None:
            groups.setdefault((point.base, point.setting), []).append((at, point))
    for place, ((base, setting), points) in enumerate(groups.items()):
        _filled(axes, points, place, f"{base}, {setting}", ls="-")


def _need(ids: Sequence[ArtifactId], own: Sequence[Point]) -> None:
    if ids and not own:
        raise InputError(
            f"{', '.join(map(str, ids))}: no score that this figure shows. It shows greedy scores of models: a line of an eval gsm8k over "
            "samples of one at temperature 0 makes one. Without names it shows the scores of all models, and the paper's."
        )


def _said(own: Sequence[Point]) -> str:
    """Return what the caption says of the user's points."""
    if not own:
        return " There are no scores of your own."
    seeds = max(point.seeds for point in own)
    several = f" (means of up to {seeds} seeds)" if seeds > 1 else ""
    lower = sum(point.lower for point in own)
    beside = f" {lower} lower scores at the same points are not shown." if lower else ""
    return (
        f" Filled: {len(own)} of yours on {own[0].n:,} questions of {own[0].dataset}{several}, with 95 % bootstrap intervals over questions.{beside} "
        "Another test, other bases: compare shapes, not heights."
    )
