"""The figures that `rft plot` draws, by name. A new figure is one entry here, and a function of a registry and names."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from registry.errors import InputError, near
from registry.names import ArtifactId
from registry.query.api import Registry
from rft.reports.figures import lineage, paths, scores, training
from rft.reports.figures.drawing import Drawing


@dataclass(frozen=True)
class Figure:
    """`about`: what it shows; `of`: what its names are. `draw`: InputError if there is nothing to show."""

    about: str
    of: str
    draw: Callable[[Registry, Sequence[ArtifactId]], Drawing]


FIGURES = {
    "loss": Figure(
        "accuracy against the loss of pre-training (Figs. 1 and 2)", "models; without names all", scores.against_loss
    ),
    "share": Figure(
        "accuracy of SFT against the share of human data (section 3.2)", "models; without names all", scores.against_share
    ),
    "k": Figure("accuracy of RFT against draws of each question (Table 5)", "models; without names all", scores.against_k),
    "paths": Figure(
        "distinct paths against draws, with what twice as many would give (Table 2)",
        "rejection sets and unions",
        paths.against_k,
    ),
    "contributions": Figure("which sources found the paths of a set (Fig. 6)", "one set", paths.contributions),
    "processes": Figure(
        "different calculation processes on test questions (Fig. 7)", "evals; without names all", paths.processes
    ),
    "difficulty": Figure("questions by the share of right draws", "sets and evals; without names all", paths.difficulty),
    "lineage": Figure("what an artifact was made from", "one artifact", lineage.lineage),
    "curves": Figure("loss while training", "models; without names all", training.curves),
}


def draw(figure: str, registry: Registry, ids: Sequence[ArtifactId] = ()) -> Drawing:
    """Return a figure by its name; InputError if there is none of that name, or nothing that it could show."""
    if figure not in FIGURES:
        raise InputError(f"there is no figure {figure}; there are {', '.join(FIGURES)}.{near(figure, list(FIGURES))}")
    return FIGURES[figure].draw(registry, ids)
