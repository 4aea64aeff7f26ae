"""How and where a maker works: never part of the recipe, and nothing here may change what is made."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from registry.errors import UsageError

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
