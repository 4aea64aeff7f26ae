"""What lines of the catalog cost: draws, tokens, FLOPs, GPU hours, bytes and money, before they are built and beside what they took.

FLOPs are those of the paper's Appendix E (eval/fits/costs.py). GPU hours are FLOPs / (the device's peak x utilisation).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from eval.fits.costs import Transformer, generation, published_utilisation, training
from eval.fits.devices import DEVICES, Device, device_of
from registry.catalog.plan import Step
from registry.errors import NotFound, UsageError, near
from registry.graph import Graph
from registry.names import ArtifactId, meant, parse_id
from registry.store.store import Store
from registry.text import number, size, table
from rft.reports.expected import SPENDING, Expectations, Figure, Line

TABLE_4 = {"samples": "rft inference", "sft": "sft", "pretrain": "pre-training"}  # whose GPU hours say the utilisation
BYTES = {"samples": 2, "sft": 16, "pretrain": 16}  # on the GPUs for a parameter: bf16; fp32 weights, gradients, Adam's moments


@dataclass(frozen=True)
class Terms:
    """What the user says: the device, its utilisation (a share of its peak), and prices: of a GPU hour, and of a million tokens of
    prompts and of completions, where a server draws. Raises UsageError if they do not go together."""

    device: str | None = None
    utilisation: float | None = None
    price: float | None = None
    price_in: float | None = None
    price_out: float | None = None

    def __post_init__(self) -> None:
        for name in ("price", "price_in", "price_out"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise UsageError(f"--{name.replace('_', '-')} is {value:g}; a price is a number from 0.")
        if self.utilisation is not None and not 0 < self.utilisation <= 1:
            raise UsageError(
                f"--utilisation is {self.utilisation:g}; it is a share of the peak, above 0 and up to 1, like 0.4."
            )
        if self.device and device_of(self.device) is None:
            names = [device.name for device in DEVICES]
            raise UsageError(f"--device {self.device} is not known.{near(self.device, names)} There are {', '.join(names)}.")
        if (self.price_in is None) != (self.price_out is None):
            raise UsageError(
                "--price-in and --price-out go together: the price of a million tokens of prompts, and of completions."
            )
        if self.device is None and (self.price is not None or self.utilisation is not None):
            word = "--price is that of a GPU hour" if self.price is not None else "--utilisation is a share of a device's peak"
            raise UsageError(f"{word}: name the --device too.")

    @property
    def gpu(self) -> Device | None:
        return device_of(self.device) if self.device else None


@dataclass(frozen=True)
class Spent:
    """What a line takes, or took. `prompt_tokens`: read, of all draws; `tokens`: drawn, or trained on. `hours`: of one GPU.
    `utilisation`: share of the device's peak."""

    draws: float | None
    prompt_tokens: float | None
    tokens: float | None
    flops: float | None
    hours: float | None
    utilisation: float | None
    bytes: float | None
    money: float | None
    device: str | None


@dataclass(frozen=True)
class Cost:
    """One line that samples or trains. `gpus`: the fewest that hold it. `sources`: where the plan's figures are from; `unknown`:
    why there is no plan. `measured`: what it took, once it is built. `reused`: draws that were there before; in what time, nobody
    knows."""

    id: str
    maker: str
    planned: Spent
    gpus: int | None
    sources: list[str]
    unknown: list[str]
    measured: Spent | None
    reused: int


@dataclass(frozen=True)
class Costs:
    """All that `rft cost` prints. `total`: of the planned lines whose figures are known."""

    costs: list[Cost]
    total: Spent
    assumed: list[str]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def costs(ids: Iterable[ArtifactId], steps: Mapping[ArtifactId, Step], store: Store, folder: Path, terms: Terms) -> Costs:
    """Return the costs of those of the lines `ids` that sample or train; `folder` is the catalog's."""
    known = Expectations(steps, store, folder)
    lines = [line for id in ids if (line := known.line(id)) and line.maker in SPENDING]
    found = [_cost(line, known, terms) for line in lines]
    return Costs(found, _total([one.planned for one in found]), _assumed(found, terms))


def of_draws(
    sources: Mapping[str, float], steps: Mapping[ArtifactId, Step], store: Store, folder: Path, terms: Terms
) -> dict[str, Spent]:
    """Return what so many draws of each source would take, at what its own are planned with; without those of which nobody knows."""
    found = {}
    for one in costs(map(parse_id, sources), steps, store, folder, terms).costs:
        if one.planned.draws and one.planned.tokens is not None:
            times = sources[one.id] / one.planned.draws
            names = ("draws", "prompt_tokens", "tokens", "flops", "hours", "bytes", "money")
            scaled = {name: value * times for name in names if (value := getattr(one.planned, name)) is not None}
            found[one.id] = replace(one.planned, **scaled)
    return found


def all_for(names: Iterable[str], steps: Mapping[ArtifactId, Step], store: Store) -> list[ArtifactId]:
    """Return what words mean, of the catalog and of the store, with everything that it is made from, inputs first.

    Raises NotFound for a word that means nothing.
    """
    known = Expectations(steps, store, Path())
    ids = list(dict.fromkeys([*steps, *store.stamps()]))
    chosen: list[ArtifactId] = []
    for name in names:
        found = meant(name, ids)
        if not found:
            raise NotFound(f"{name} is neither in the catalog nor built.{near(name, map(str, ids))}")
        chosen += found
    return Graph({id: line.inputs for id in ids if (line := known.line(id))}).order(*chosen)


def _cost(line: Line, known: Expectations, terms: Terms) -> Cost:
    model, amount, prompt, new, made, like = known.of(line)
    figures: tuple[Figure[Any], ...] = (model, amount, prompt, new)
    unknown = [figure.source for figure in figures if figure.value is None]
    sources = [] if unknown else [figure.source for figure in figures if figure.source]
    flops = hours = utilisation = gpus = None
    if model.value and amount.value and prompt.value is not None and new.value is not None:
        flops = _flops(line, model.value, amount.value, prompt.value, new.value)
    if gpu := terms.gpu:
        utilisation, source = _utilisation(line, like and _measured(like, known), terms)
        hours = flops and flops / (gpu.peak * utilisation) / 3600
        sources += [source] if hours and source else []
        gpus = math.ceil(BYTES[line.maker] * model.value.parameters / gpu.memory) if model.value else None
    draws = amount.value if line.maker == "samples" else None
    read = draws and prompt.value and draws * prompt.value
    drawn = amount.value and new.value and amount.value * new.value
    planned = Spent(draws, read, drawn, flops, hours, utilisation, made, None, gpu.name if gpu else None)
    planned, measured = replace(planned, money=_money(planned, terms)), _measured(line, known)
    measured = measured and replace(measured, money=_money(measured, terms))
    reused = line.stored.record.facts.get("draws_reused", 0) if line.stored else 0
    why, unknown = list(dict.fromkeys(sources)), list(dict.fromkeys(unknown))
    return Cost(str(line.id), line.maker, planned, gpus, why, unknown, measured, reused)


def _flops(line: Line, model: Transformer, amount: float, prompt: float, new: float) -> float:
    if line.maker == "samples":
        return amount * generation(model, round(prompt), round(new))
    return training(model.parameters, amount * new)


def _utilisation(line: Line, like: Spent | None, terms: Terms) -> tuple[float, str]:
    """Return the user's, else what a similar line had on the same device, else the paper's; and who says so, if not the user."""
    if terms.utilisation is not None:
        return terms.utilisation, ""
    if like and like.utilisation and like.device and device_of(like.device) == terms.gpu:
        return like.utilisation, "utilisation as measured there"
    return published_utilisation(TABLE_4[line.maker]), ""


def _money(spent: Spent, terms: Terms) -> float | None:
    if terms.price_in is not None and terms.price_out is not None and spent.draws is not None:
        if spent.prompt_tokens is None or spent.tokens is None:
            return None
        return (spent.prompt_tokens * terms.price_in + spent.tokens * terms.price_out) / 1e6
    if terms.price is None or spent.hours is None or device_of(spent.device or "") != terms.gpu:
        return None
    return spent.hours * terms.price


def _measured(line: Line, known: Expectations) -> Spent | None:
    """Return what a built line took by its record; the FLOPs are by the formula."""
    if line.stored is None:
        return None
    record, facts = line.stored.record, line.stored.record.facts
    sampling = line.maker == "samples"
    draws = facts["draws_made"] + facts["draws_reused"] if sampling and "draws_made" in facts else None
    read, new, model = facts.get("prompt_tokens"), facts.get("tokens"), known.size(line.model).value
    flops = None
    if model and new is not None and not sampling:
        flops = training(model.parameters, new)
    elif model and draws and read and new is not None:
        flops = _flops(line, model, draws, read / draws, new / draws)
    device = ", ".join(facts.get("engines", [])) if sampling else facts.get("device")
    seconds = None if facts.get("draws_reused") else facts.get("seconds")
    hours = seconds * _gpus(device) / 3600 if seconds is not None and device else None
    gpu = device_of(device) if device else None
    utilisation = flops / (hours * 3600 * gpu.peak) if flops and hours and gpu else None
    return Spent(draws, read, new, flops, hours, utilisation, record.bytes, None, device)


def _gpus(device: str) -> int:
    """Return how many devices a record means: "2 x NVIDIA H200"."""
    first, found, _ = device.partition(" x ")
    return int(first) if found and first.isdecimal() else 1


def _total(planned: Sequence[Spent]) -> Spent:
    def total(name: str) -> float | None:
        values = [value for one in planned if (value := getattr(one, name)) is not None]
        return sum(values) if values else None

    names = ("draws", "prompt_tokens", "tokens", "flops", "hours", "bytes", "money")
    return Spent(**{name: total(name) for name in names}, utilisation=None, device=None)


def _assumed(found: Sequence[Cost], terms: Terms) -> list[str]:
    gpu = terms.gpu
    if gpu is None:
        return []
    said = [f"{gpu.name}: {gpu.peak / 1e12:,.0f} TFLOP/s of dense bf16, {size(round(gpu.memory))} ({gpu.source})"]
    if terms.utilisation is not None:
        return [*said, f"utilisation {terms.utilisation:g}, as you say"]
    makers = dict.fromkeys(one.maker for one in found if "utilisation as measured there" not in one.sources)
    return said + [
        f"assumed: {maker} at {published_utilisation(TABLE_4[maker]):.0%} of the peak, what the paper's 7B had by the GPU hours of its "
        "Table 4; --utilisation says another"
        for maker in makers
    ]


# -- for people ---------------------------------------------------------------------------------------------------------


def report(found: Costs) -> str:
    """Return the costs as a table, a line for each plan and one below it for what it took, and what they rest on."""
    if not found.costs:
        return "nothing of this samples or trains: it costs no GPU."
    rows = []
    for one in found.costs:
        because = "unknown: " + "; ".join(one.unknown) if one.unknown else "; ".join(one.sources)
        rows.append([one.id, "planned", *_cells(one.planned), one.gpus and f"from {one.gpus}", because])
        if one.measured:
            rows.append(["", "measured", *_cells(one.measured), None, _how(one.measured, one.reused)])
    without = sum(bool(one.unknown) for one in found.costs)
    note = f"without {number(without, 'line')} that nobody knows" if without else ""
    rows.append(["total", "planned", *_cells(found.total), None, note])
    columns = [
        "line",
        "",
        "draws",
        "prompt tokens",
        "tokens",
        "FLOPs",
        "hours",
        "bytes",
        "money",
        "GPUs",
        "tokens and all else",
    ]
    shown = [i for i in range(len(columns)) if i < 2 or any(row[i] not in (None, "") for row in rows)]
    cells = [[row[i] if row[i] is not None else "-" for i in shown] for row in rows]
    return "\n".join(
        [table([columns[i] for i in shown], cells, longest=1000), *([""] if found.assumed else []), *found.assumed]
    )


def _cells(spent: Spent) -> list[str | None]:
    def text(value: float | None, form: str) -> str | None:
        return None if value is None else format(value, form)

    return [
        text(spent.draws, ",.0f"),
        text(spent.prompt_tokens, ",.0f"),
        text(spent.tokens, ",.0f"),
        text(spent.flops, ".2e"),
        None if spent.hours is None else f"{spent.hours:,.1f}" if spent.hours >= 10 else f"{spent.hours:.2g}",
        None if spent.bytes is None else size(round(spent.bytes)),
        text(spent.money, ",.2f"),
    ]


def _how(spent: Spent, reused: int) -> str:
    share = f", {spent.utilisation:.1%} of its peak" if spent.utilisation else ""
    before = f"; {number(reused, 'draw')} had been made before" if reused else ""
    return f"on {spent.device}{share}{before}" if spent.device else ""
