"""The contract of a maker: what its signature may say, what it is given, and what it returns.

How and where it runs (`Options`, `Run`) is never part of the recipe, and changes nothing that is made.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal, Protocol, TypeVar

import polars as pl
from annotated_types import Gt
from pydantic import StringConstraints

from registry.errors import UsageError
from registry.rows import LOSS, QUESTIONS
from registry.store.record import HubFiles

T = TypeVar("T")
Progress = Callable[[int, int, str, str], None]  # done, of (0: nobody knows), what is counted, what else there is to say


def nothing(done: int, of: int, unit: str, says: str) -> None:
    """Report no progress."""


class Options:
    """What is said about how to build: by the options of a command, or by variables of the environment, RFT_<NAME>.

    Whoever is asked how reads what it knows, as a dataclass of its own with a default for everything:

        Options(workers=2).read(Workers)   ->   Workers(workers=2, chunk=0)
    """

    def __init__(self, **said: str | int | bool | None) -> None:
        self._said = {name: value for name, value in said.items() if value is not None}

    @classmethod
    def of_environment(cls, **said: str | int | bool | None) -> "Options":
        """Return what the environment says, and `said` where it says something."""
        found = {name.removeprefix("RFT_").lower(): text for name, text in os.environ.items() if name.startswith("RFT_")}
        return cls(**found | {name: value for name, value in said.items() if value is not None})

    def read(self, kind: type[T]) -> T:
        """Return the options that a dataclass has; UsageError if a number is none."""
        return kind(**{f.name: self._value(f.name, f.type) for f in fields(kind) if f.name in self._said})  # type: ignore[arg-type]

    def _value(self, name: str, kind: Any) -> str | int | bool:
        value = self._said[name]
        if not isinstance(value, str) or kind is str:
            return value
        if not value.isdecimal():
            raise UsageError(f"RFT_{name.upper()} is {value!r}; it must be a whole number from 0.")
        return bool(int(value)) if kind is bool else int(value)


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
Parameters = Annotated[float, Gt(0), About]  # of a model, without embeddings: what its use costs goes by them


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


Pair = tuple[str, str]  # a gold answer and another


@dataclass(frozen=True)
class Decided:
    """What a checker found of pairs that a maker could not decide alone: equal, not equal, or None (it could not tell either).

    A maker whose signature asks for it, by a keyword-only parameter annotated `Decided`, has a function `undecided` with the
    signature of its own that returns the pairs, and a `Checker` CHECKER beside it. The engine asks, and remembers.
    """

    pairs: Mapping[Pair, bool | None] = field(default_factory=dict)


class Checker(Protocol):
    """What decides pairs. `version` names it: what another version decided is not remembered for this one."""

    def version(self) -> str: ...
    def decide(self, pairs: Iterable[Pair], workers: int = 0) -> Iterator[tuple[Pair, bool | None]]: ...


class At:
    """Marks a parameter that says where, not what: a path relative to the catalog's folder. Only its last name is recorded.

    The line's `sha256` is that of the file, or is taken over the list of (path, sha256) of the folder's files.
    """


Location = Annotated[BinaryIO, At]  # a file: the maker gets it open
Folder = Annotated[Path, At]  # a folder: the maker gets its path
