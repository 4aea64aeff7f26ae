"""Loss curves: what a model's training and held-out loss did."""

from collections.abc import Sequence

import polars as pl

from registry.errors import InputError
from registry.names import ArtifactId
from registry.query.api import Registry
from registry.tables import read
from rft.reports.figures.drawing import Drawing, drawing, legend, look

MOST = 7
BENDS = 200  # points of a drawn curve


def curves(registry: Registry, ids: Sequence[ArtifactId]) -> Drawing:
    """Loss against tokens trained on, of the training text and, where it was measured, of text held out."""
    trained = {
        id: loss
        for id in (ids or sorted(registry.store.stamps()))
        if (loss := read(registry.store.require(id), "loss")) is not None and loss.height
    }
    if without := [str(id) for id in ids if id not in trained]:
        raise InputError(f"{', '.join(without)}: no loss was recorded. This figure is of models that sft or pretrain trained.")
    if not trained:
        raise InputError("no model is trained here, and this figure is of their loss: a line with `trainer: sft` makes one.")
    if len(trained) > MOST:
        raise InputError(f"{len(trained)} models are too many for one figure. Name up to {MOST} of them.")
    made, (axes,) = drawing(
        "Loss against the tokens trained on: of the training text (lines, means over "
        f"stretches of the steps), and of text held out where it was measured (points). {len(trained)} models.",
        "Line plot: training loss falls with the tokens trained on.",
    )
    for place, (id, loss) in enumerate(trained.items()):
        how = look(place)
        train = loss.filter(split="train").sort("step")
        every = -(-train.height // BENDS)
        stretch = (pl.int_range(pl.len()) // every).alias("stretch")
        means = train.group_by(stretch, maintain_order=True).agg(pl.col("loss").mean(), pl.col("tokens").mean())
        axes.plot(means["tokens"], means["loss"], color=how["color"], ls=how["ls"], lw=1.3, label=str(id))
        held = loss.filter(split="held_out").sort("step")
        axes.plot(held["tokens"], held["loss"], ls="", marker=how["marker"], color=how["color"], ms=5)
    axes.set_xlabel("tokens trained on")
    axes.set_ylabel("loss, nats per token")
    legend(axes)
    return made
