"""A model from a folder of files that transformers can load: config.json, *.safetensors, the tokenizer's files."""

import shutil
from pathlib import Path
from typing import Annotated

from annotated_types import Gt

from registry.errors import InputError
from registry.maker import Folder, Input, Licence, Parameters, Run, Trained
from registry.store.models import BESIDE
from registry.store.record import RECORD

EDITION = 1


def train(
    *made_from: Input,
    path: Folder,
    sha256: str,
    loss: Annotated[float, Gt(0)] | None = None,
    loss_source: str | None = None,
    parameters: Parameters | None = None,
    licence: Licence | None = None,
    run: Run,
) -> Trained:
    """Copy the folder's files, without those that an artifact has beside a model's own.

    `loss` is the model's pre-training loss, if it is known, and `loss_source` who says so; `parameters` are those without
    embeddings, for `rft cost` before the folder is here; `licence` is the model's own.

    What the model was `made_from`, elsewhere or earlier, is not read: it stands in the lineage, as the line's author says.
    Raises InputError if the folder holds no config.json.
    """
    if not (path / "config.json").is_file():
        raise InputError(f"{path.name} has no config.json, so it is no model that transformers can load. Name its folder.")
    ours = {RECORD, *BESIDE}  # of a folder that was an artifact somewhere
    shutil.copytree(path, run.folder, dirs_exist_ok=True, ignore=lambda at, names: ours & {*names} if Path(at) == path else ())
    return Trained(known_loss(loss, loss_source))


def known_loss(loss: float | None, source: str | None) -> dict[str, float | str]:
    """Return the facts about a pre-training loss that a line gives."""
    return {name: value for name, value in (("loss", loss), ("loss_source", source)) if value is not None}
