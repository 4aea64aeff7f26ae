"""A model of the Hugging Face Hub at a pinned revision. Its files stay in the Hub's cache; the record keeps their hashes."""

from collections.abc import Callable
from typing import Annotated

from annotated_types import Gt

from registry.errors import RemoteError
from registry.hub_client import Repo, Revision, files_at, snapshot
from registry.maker import Licence, Parameters, Trained
from registry.store.record import HubFiles, files_in
from trainers.local import known_loss

EDITION = 1

WEIGHTS = (".safetensors", ".bin")  # the first kind that is there
OTHERS = (".json", ".model", ".txt", ".jinja", ".py")


def train(
    *,
    repo: Repo,
    revision: Revision,
    loss: Annotated[float, Gt(0)] | None = None,
    loss_source: str | None = None,
    parameters: Parameters | None = None,
    licence: Licence | None = None,
    _list: Callable[[str, str], list[str]] = files_at,
) -> Trained:
    """Fetch the files that transformers needs: weights (safetensors where there are any), config and tokenizer.

    `loss` is the model's pre-training loss, if it is known, and `loss_source` who says so; `parameters` are those without
    embeddings, for `rft cost` before the files are here; `licence` is the model's own, where it is not known by its repository.
    Raises RemoteError if the files cannot be had, or if there are no weights among them.
    """
    names = wanted(_list(repo, revision))
    if not any(name.endswith(WEIGHTS) for name in names):
        raise RemoteError(f"{repo} at {revision[:12]} has no weights (*.safetensors or *.bin). Check repo and revision.")
    folder = snapshot(repo, revision, names, kind="model")
    files = [file for file in files_in(folder) if file.name in names]
    return Trained(known_loss(loss, loss_source), hub=HubFiles(repo=repo, revision=revision, files=files))


def wanted(names: list[str]) -> list[str]:
    """Return the files of a repository's top folder that transformers loads."""
    top = [name for name in names if "/" not in name]
    weights = next((kind for kind in WEIGHTS if any(name.endswith(kind) for name in top)), WEIGHTS[0])
    index = f"{weights}.index.json"
    return sorted(
        name
        for name in top
        if name.endswith(weights) or (name.endswith(OTHERS) and (not name.endswith(".index.json") or name.endswith(index)))
    )
