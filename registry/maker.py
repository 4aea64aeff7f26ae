"""The contract of a maker: what its signature may say, what it is given, and what it returns.

How and where it runs (`Options`, `Run`) is never part of the recipe, and changes nothing that is made.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal

import polars as pl
from pydantic import StringConstraints

from registry.errors import UsageError
from registry.rows import LOSS, QUESTIONS
from registry.store.record import HubFiles

Progress = Callable[[int, int, str, str], None]  # done, of (0: nobody knows), what is counted, what else there is to say


def nothing(done: int, of: int, unit: str, says: str) -> None:
    """Report no progress."""


@dataclass(frozen=True)
class Options:
    """What the options of a command and the environment variables RFT_WORKERS, RFT_ENGINE, ... say.

    `workers`, `chunk`: processes, and questions at a time, for makers that decide question by question (0: as fits).
    `engine`: vllm, openai or transformers (empty: vllm where it is installed, else transformers). `base_url`,
    `served_model`, `concurrency`: for the openai engine. `batch`: rows the transformers engine generates at once, and
    rows a trainer holds on a device at once (0: as fits). `checkpoint`: seconds between two checkpoints of a training.
    `deterministic`: train with deterministic algorithms on a GPU too.
    """

    workers: int = 0
    chunk: int = 0
    engine: str = ""
    base_url: str = ""
    served_model: str = ""
    concurrency: int = 64
    batch: int = 0
    checkpoint: int = 300
    deterministic: bool = False

    @classmethod
    def of_environment(cls, **given: Any) -> "Options":
        """Return RFT_<NAME> for every option, those in `given` instead; UsageError if a number is none."""
        found: dict[str, Any] = {}
        for option in fields(cls):
            variable = f"RFT_{option.name.upper()}"
            text = os.environ.get(variable)
            if text is None:
                continue
            if option.type is str:
                found[option.name] = text
            elif text.isdecimal():
                found[option.name] = bool(int(text)) if option.type is bool else int(text)
            else:
                raise UsageError(f"{variable} is {text!r}; it must be a whole number from 0.")
        return cls(**found | {name: value for name, value in given.items() if value is not None})


@dataclass(frozen=True)
class Run:
    """One build as a maker sees it, if its signature asks for it by a keyword-only parameter annotated `Run`.

    `folder`: a trainer puts the model's files here; what lies here is published, whole or not at all. `work`: a folder
    that outlives an interrupted build; the same line with the same inputs finds it again, and it goes when the artifact is
    published. `home`: the store's folder.
    """

    folder: Path
    work: Path
    home: Path
    options: Options = field(default_factory=Options)
    progress: Progress = nothing


# What a maker's signature says of its inputs and its result; the plan checks one against the other.
Questions = Annotated[pl.DataFrame, QUESTIONS]


class About:
    """Marks a parameter that says something about the source, for those who publish it. No row depends on it, so a line may
    gain it or change it after it was built."""


Role = Annotated[Literal["train", "validation", "test"], About]  # what questions are for: nobody may train on test questions
Licence = Annotated[str, StringConstraints(pattern="^[a-z0-9][a-z0-9.-]*$"), About]  # as the Hub names it: mit, cc-by-4.0


@dataclass(frozen=True)
class Input:
    """An artifact as a maker sees it: its id, its rows and tables (for the questions at hand) and its facts."""

    id: str
    rows: pl.DataFrame
    verdicts: pl.DataFrame | None = None
    path_stats: pl.DataFrame | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Tables:
    """What a maker may return in place of one frame: the rows, and the tables that are kept beside them.

    `facts` are small values about the whole that later makers need; they are recorded in artifact.json.
    """

    rows: pl.DataFrame
    verdicts: pl.DataFrame | None = None
    path_stats: pl.DataFrame | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Model:
    """A model as a maker sees it: its id (`name@version`), its content, and the folder that transformers loads it from.

    `facts` are what its trainer recorded: `loss` (the pre-training loss of its base), `parameters`, ...
    """

    id: str
    content: str
    folder: Path
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Trained:
    """What a trainer returns; the model's own files it has put into the `folder` of its Run.

    `loss`: LOSS rows, the view "name@v/loss". `drops`: DROPS rows, what was refused of the data and why. `hub`: for a
    model whose files stay in the Hub's cache: its repo, revision and files.
    """

    facts: Mapping[str, Any]
    loss: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=LOSS.schema))
    drops: pl.DataFrame | None = None
    hub: HubFiles | None = None


class At:
    """Marks a parameter that says where, not what: a path relative to the catalog's folder. Only its last name is recorded.

    The line's `sha256` is that of the file, or is taken over the list of (path, sha256) of the folder's files.
    """


Location = Annotated[BinaryIO, At]  # a file: the maker gets it open
Folder = Annotated[Path, At]  # a folder: the maker gets its path
