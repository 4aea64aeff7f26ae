"""What the paper asks of its models: how accuracy goes with pre-training loss, training set and distinct reasoning paths.

model      loss   trained on        rows   paths per question   maj1@1   95 % interval
mini-sft   1.042  mini-train        2,048                1.00    71.2%   68.4% to 73.9%
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import polars as pl

from eval.grading.rules import PATHS
from eval.gsm8k import interval
from registry.names import ArtifactId, parse_id
from registry.query.api import Registry
from registry.store.record import Record


@dataclass(frozen=True)
class Row:
    """A model, or several that differ in their seed only, what it was trained on, and its greedy score on one set of
    questions, asked and graded in one way (`how`).

    `models`: their ids. `loss`: the pre-training loss of the base, in nats per token. `paths`: distinct reasoning paths per
    question of the training set, by the set's own key, human solutions counted. `maj1`: greedy accuracy, the mean over
    `models`; `each`: of every one. `low`, `high`: a 95 % bootstrap interval of `maj1` over test questions; it does not
    cover the choice of the seed, of which `each` gives an impression.
    """

    models: tuple[str, ...]
    base: str | None
    loss: float | None
    dataset: str | None
    rows: int | None
    paths: float | None
    steps: int | None
    questions: str | None
    how: str | None
    maj1: float | None
    low: float | None
    high: float | None
    each: tuple[float, ...]
    right: np.ndarray | None = field(repr=False, compare=False)  # whether each answer is, models by questions

    def as_dict(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if name != "right"}


def scaling(registry: Registry, ids: Iterable[ArtifactId]) -> list[Row]:
    """Return a row for each of the models `ids` and each way it was scored, in the order of `ids`."""
    wanted = [registry.store.require(id).record for id in ids]
    groups: dict[str, list[Record]] = {}
    for model in (m for m in wanted if m.kind == "model"):
        recipe = {name: value for name, value in model.params.items() if name != "seed"}
        groups.setdefault(repr((model.maker, model.inputs, recipe)), []).append(model)
    right = _greedy(registry)
    rows = []
    for models in groups.values():
        scored = sorted({asked for m in models for asked in right.get(str(m.id), {})})
        rows += [_row(registry, models, asked, right) for asked in scored or [("", "")]]
    return rows


Asked = tuple[str, str]  # which questions, and how if not as usual


def _outdated(registry: Registry, samples: Record) -> bool:
    """Return whether samples were drawn from a model, or of questions, that are no longer what they were (@dev)."""
    now = ((registry.store.get(parse_id(given.id)), given.content) for given in samples.inputs[:2])
    return any(stored is not None and stored.record.content != content for stored, content in now)


def _how(samples: Record, scored: Record) -> str:
    """Return in words how a model was asked and graded, where that may differ from one eval to another."""
    said = {**{name: samples.params.get(name) for name in ("prompt", "shots", "max_tokens")}}
    said |= {name: scored.params.get(name) for name in ("mode", "tolerance")}
    return ", ".join(f"{name} {value}" for name, value in said.items() if value)


def _greedy(registry: Registry) -> dict[str, dict[Asked, np.ndarray]]:
    """Return model -> how it was asked which questions -> whether its greedy answer is right, question by question."""
    found: dict[str, dict[Asked, np.ndarray]] = {}
    for id in sorted(registry.store.stamps()):
        stored = registry.store.readable(id)
        if stored is None or stored.record.kind != "eval" or len(stored.record.inputs) < 2:
            continue
        questions, samples = (given.id for given in stored.record.inputs[:2])
        drawn, file = registry.store.get(parse_id(samples)), stored.file("verdicts.parquet")
        if file is None or drawn is None or drawn.record.params.get("temperature") != 0 or _outdated(registry, drawn.record):
            continue
        asked_how = _how(drawn.record, stored.record)
        verdicts = pl.read_parquet(file).filter(pl.col("draw") == 0)
        asked = registry.load(questions).polars().select("question_id").sort("question_id")
        for (model,), draws in verdicts.group_by("model", maintain_order=True):
            joined = asked.join(
                draws.select("question_id", "right_answer"), on="question_id", how="left", maintain_order="left"
            )
            found.setdefault(str(model), {})[questions, asked_how] = (
                joined["right_answer"].fill_null(False).cast(pl.Float64).to_numpy()
            )
    return found


def _row(registry: Registry, models: list[Record], asked: Asked, right: dict[str, dict[Asked, np.ndarray]]) -> Row:
    first = models[0]
    base, dataset = (first.inputs[0].id, first.inputs[1].id) if first.maker == "sft" else (None, None)
    rows, paths = _training_set(registry, dataset) if dataset else (None, None)
    scored = [right[str(m.id)][asked] for m in models if asked in right.get(str(m.id), {})]
    mean = np.mean(scored, axis=0) if scored else np.array([])
    low, high = interval(mean, 0) if scored else (None, None)
    return Row(
        models=tuple(str(m.id) for m in models),
        base=base,
        loss=first.facts.get("loss"),
        dataset=dataset,
        rows=rows,
        paths=paths,
        steps=first.facts.get("steps"),
        questions=asked[0] or None,
        how=asked[1] or None,
        maj1=float(mean.mean()) if scored else None,
        low=low,
        high=high,
        each=tuple(float(one.mean()) for one in scored),
        right=np.array(scored) if scored else None,
    )


def _training_set(registry: Registry, name: str) -> tuple[int | None, float | None]:
    if name not in registry:
        return None, None  # it was removed
    artifact = registry.load(name)
    rows = artifact.polars()
    if artifact.record.rows_are != "TRAINING":
        return rows.height, 1.0 if rows.height else None
    path = PATHS[artifact.record.facts.get("key", "canonical")]
    per_question = rows.group_by("question_id").agg(pl.col(path).n_unique())[path]
    return rows.height, float(per_question.mean()) if rows.height else None  # type: ignore[arg-type]


# -- for people ---------------------------------------------------------------------------------------------------------


def side_by_side(found: Sequence[Row]) -> tuple[list[str], list[list[Any]]]:
    """Return the columns and rows of a table of models; the last two columns only where they say something."""
    rows = [
        (
            r.models[0] + (f" and {len(r.models) - 1} more" if len(r.models) > 1 else ""),
            None if r.loss is None else f"{r.loss:.3f}",
            r.dataset,
            r.rows,
            r.paths,
            r.steps,
            None if r.maj1 is None else f"{r.maj1:.1%}",
            None if r.low is None or r.high is None else f"{r.low:.1%} to {r.high:.1%}",
            " ".join(f"{one:.1%}" for one in r.each) if len(r.each) > 1 else "",
            f"{r.questions} ({r.how})" if r.questions else "",
        )
        for r in found
    ]
    columns = [
        "model",
        "loss",
        "trained on",
        "rows",
        "paths/question",
        "steps",
        "maj1@1",
        "95 % interval",
        "each seed",
        "asked",
    ]
    ways = {(r.questions, r.how) for r in found if r.questions}
    shown = [*range(8), *([8] if any(row[8] for row in rows) else []), *([9] if len(ways) > 1 else [])]
    return [columns[i] for i in shown], [[row[i] for i in shown] for row in rows]
