"""The paper's relations as lines: accuracy against pre-training loss, human data and draws, from the published scores and the user's own.

Accuracy is in points (percent of the test questions). What a line covers is said with it; nothing is said beyond.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from eval.fits.lines import FEWEST, Difference, Line, apart, fit, resampled, slopes_apart
from registry.names import ArtifactId
from registry.query.api import Registry
from registry.query.published import published
from rft.reports.models import scaling
from rft.reports.table import Table

RFT_SETTINGS = ("rft", "rft-u13b", "rft-u33b")
SHARES = (0.125, 0.25, 0.5, 1.0)  # over which the paper calls the relation log-linear (section 3.2)


@dataclass(frozen=True)
class Law:
    """One line: whose points (`of`: published, or yours), of what (`who`), what it says of accuracy (`against`), and the fit."""

    of: str
    who: str
    against: str
    line: Line
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Laws:
    """All that `rft laws` prints. `missing`: sentences that say why a line could not be fitted."""

    laws: list[Law]
    claims: list["Claim"]
    missing: list[str]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Claim:
    """Something that the paper says of its lines, the number that it rests on with a 95 % interval, and whether that bears it out."""

    claim: str
    number: str
    found: Difference
    holds: bool


def laws(registry: Registry, ids: Sequence[ArtifactId] = ()) -> Laws:
    """Return the lines through the published scores and, of the models `ids`, through the user's own."""
    own, missing = _own(registry, ids)
    of_paper = [*_against_loss(), *_against_size(), *_against_share(), *_against_k(), *_against_paths(), *_against_strength()]
    return Laws([*of_paper, *own], list(_claims(of_paper)), missing)


def scores(setting: str, **where: Any) -> pl.DataFrame:
    """Return the published greedy scores of a setting, `value` in percent, without the baselines that the paper compares with."""
    frame = published()["published_scores"].filter(
        (pl.col("setting") == setting) & (pl.col("metric") == "maj1@1") & (pl.col("source") != "Table 3")
    )
    for column, value in where.items():
        frame = frame.filter(pl.col(column) == value)
    return frame.with_columns(value=pl.col("value") * 100)


def _line(frame: pl.DataFrame, x: str = "x") -> Line:
    return fit(frame[x].to_list(), frame["value"].to_list())


def _against_loss() -> Iterable[Law]:
    """Figures 1 and 2: the dotted lines are least squares over SFT (GPT-3 and GPT-4 among them) and ICL."""
    sft = scores("sft", share=1.0)
    yield Law("published", "sft", "loss", _line(sft, "loss"), "with GPT-3 and GPT-4, as Figure 2 has it")
    yield Law("published", "sft, LLaMA", "loss", _line(sft.filter(pl.col("base").str.starts_with("llama")), "loss"))
    yield Law("published", "icl", "loss", _line(scores("icl"), "loss"))
    for setting in RFT_SETTINGS:
        found = scores(setting) if setting != "rft" else scores("rft", k=100)
        yield Law("published", setting if setting != "rft" else "rft, k = 100", "loss", _line(found, "loss"))


def _against_size() -> Iterable[Law]:
    """The same scores against what else could predict them: the paper's first claim is that loss does it better."""
    costs = published()["published_costs"].filter((pl.col("what") == "pre-training") & (pl.col("unit") == "FLOPs"))
    flops = costs.select("base", "parameters", flops="value")
    for setting, found in (("sft, LLaMA", scores("sft", share=1.0)), ("icl", scores("icl"))):
        found = found.join(flops, on="base", how="inner", maintain_order="left")
        for column, words in (("parameters", "log10 parameters"), ("flops", "log10 pre-training FLOPs")):
            yield Law("published", setting, words, _line(found.with_columns(x=pl.col(column).log10())))


def _against_share() -> Iterable[Law]:
    """Section 3.2: accuracy per doubling of the human data, the better of the two numbers of epochs."""
    best = scores("sft").filter(pl.col("share").is_in(SHARES) & (pl.col("mark") == "P"))
    best = best.group_by("base", "share", maintain_order=True).agg(pl.col("value").max(), pl.col("loss").first())
    icl = dict(scores("icl").select("base", "value").iter_rows())
    for (base,), found in best.sort("loss", "share", descending=[True, False]).group_by("base", maintain_order=True):
        line = _line(found.with_columns(x=pl.col("share").log(2)))
        passes = min(
            (share for share, value in found.select("share", "value").iter_rows() if value > icl[str(base)]), default=None
        )
        said = (
            "never passes its own ICL there"
            if passes is None
            else f"passes its own ICL ({icl[str(base)]}) from 1/{round(1 / passes)} on"
        )
        yield Law("published", str(base), "log2 share of human data", line, said)


def _against_k() -> Iterable[Law]:
    """Table 5: the gain of RFT over SFT per doubling of the draws."""
    for base, found in _gains():
        yield Law("published", base, "log2 k: gain over sft", _line(found.with_columns(x=pl.col("k").cast(pl.Float64).log(2))))


def _against_paths() -> Iterable[Law]:
    """Tables 2 and 5: the same gain against distinct paths per question."""
    paths = published()["published_paths"].filter((pl.col("statistic") == "distinct") & (pl.col("temperature") == 0.7))
    for base, found in _gains():
        joined = found.join(paths.select("base", "k", x="value"), on=["base", "k"], how="inner", maintain_order="left")
        yield Law("published", base, "distinct paths per question: gain over sft", _line(joined))


def _against_strength() -> Iterable[Law]:
    """Section 3.3: what RFT gains over SFT against the loss of the base: better models gain less."""
    sft = dict(scores("sft", share=1.0, mark="P").select("base", "value").iter_rows())
    for setting in RFT_SETTINGS[1:]:
        found = scores(setting)
        gain = found.with_columns(value=pl.col("value") - pl.col("base").replace_strict(sft, return_dtype=pl.Float64))
        yield Law("published", setting, "loss: gain over sft", _line(gain, "loss"))


def _claims(laws: Iterable[Law]) -> Iterable[Claim]:
    """Yield what the paper says of its lines; a claim holds if the whole interval lies on its side of zero."""
    line = {(law.who, law.against): law.line for law in laws}
    settings = {name: dict(scores(name, **({"share": 1.0, "mark": "P"} if name == "sft" else {})).select("base", "value").iter_rows())
                for name in ("icl", "sft", "rft-u13b")}  # fmt: skip
    for more, less in (("rft-u13b", "sft"), ("sft", "icl")):
        both = [base for base in settings[more] if base in settings[less]]
        found = apart([settings[more][base] for base in both], [settings[less][base] for base in both])
        yield Claim(f"{more} lies above {less}", f"points, mean of {len(both)} bases", found, found.low > 0)
    for flat, steep in (("rft-u13b", "sft, LLaMA"), ("sft, LLaMA", "icl")):
        found = slopes_apart(line[flat, "loss"], line[steep, "loss"])
        yield Claim(f"{flat} depends less on loss than {steep}", "points per unit of loss", found, found.low > 0)
    for setting in RFT_SETTINGS[1:]:
        gain = line[setting, "loss: gain over sft"]
        yield Claim(
            f"better models gain less from {setting}",
            "points of gain per unit of loss",
            Difference(gain.slope, gain.low, gain.high),
            gain.low > 0,
        )


def _gains() -> Iterable[tuple[str, pl.DataFrame]]:
    sft = dict(scores("sft", share=1.0, mark="P").select("base", "value").iter_rows())
    for (base,), found in scores("rft").group_by("base", maintain_order=True):
        if found.height >= FEWEST:
            yield str(base), found.with_columns(value=pl.col("value") - sft[str(base)])


def _own(registry: Registry, ids: Sequence[ArtifactId]) -> tuple[list[Law], list[str]]:
    """Return the lines of accuracy against loss through the user's models, one for each kind of training set and questions."""
    groups: dict[tuple[str, str], list[tuple[float, np.ndarray]]] = {}
    missing = []
    for row in scaling(registry, ids):
        if row.right is None or row.questions is None:
            missing.append(f"{row.models[0]} has no score: a line of an eval gsm8k over samples of it would make one.")
        elif row.loss is None:
            missing.append(f"{row.models[0]} has no pre-training loss: `loss` in the line of its base says it.")
        else:
            how = "sft" if row.paths is None or row.paths <= 1 else "rft"
            groups.setdefault((how, row.questions), []).append((row.loss, row.right))
    found = []
    for (how, questions), points in groups.items():
        if len({loss for loss, _ in points}) < FEWEST:
            missing.append(
                f"{how} on {questions}: {len(points)} points with {len({x for x, _ in points})} losses; a line takes {FEWEST}."
            )
        else:
            line = resampled(*zip(*points, strict=True))
            found.append(Law("yours", how, "loss", line, f"on {questions}; interval from questions and seeds"))
    return found, missing


# -- for people ---------------------------------------------------------------------------------------------------------


def report(found: Laws) -> str:
    """Return the lines as tables, then what the paper says of them, and what is missing."""
    return "\n\n".join([*map(str, tables(found)), *found.missing])


def tables(found: Laws) -> list[Table]:
    """Return a table for each thing that accuracy is put against, and one of claims."""
    made = []
    for against in dict.fromkeys(law.against for law in found.laws):
        rows = [
            [
                law.of,
                law.who,
                law.line.n,
                f"{law.line.intercept:.2f} {'-' if law.line.slope < 0 else '+'} {abs(law.line.slope):.2f} x",
                f"{law.line.low:.1f} to {law.line.high:.1f}",
                f"{law.line.r:.3f}",
                f"{law.line.r2:.3f}",
                None if law.line.left_out is None else f"{law.line.left_out:.1f}",
                f"{law.line.start:.4g} to {law.line.end:.4g}",
                law.note,
            ]
            for law in found.laws
            if law.against == against
        ]
        columns = ["points", "of", "n", "accuracy", "slope, 95 %", "r", "R2", "left out", "x", "note"]
        shown = len(columns) if any(row[-1] for row in rows) else len(columns) - 1
        made.append(Table(f"accuracy against {against}", columns[:shown], [row[:shown] for row in rows]))
    claims = [
        [c.claim, f"{c.found.value:.1f}", f"{c.found.low:.1f} to {c.found.high:.1f}", c.number, c.holds] for c in found.claims
    ]
    columns = ["claim", "by", "95 % interval", "what is counted", "holds"]
    return [*made, *([Table("what the paper says of them", columns, claims)] if claims else [])]
