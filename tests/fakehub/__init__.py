"""A small Hugging Face Hub for tests, over HTTP on this machine: strict where the real one is, and told when to fail.

    with running() as hub, pointing_at(hub, tmp_path / "hf"):
        hub.fail(Fault("lost", on="POST */commit/*"), Fault("429", at=7, retry_after=0))
        ...  # huggingface_hub and datasets, or rft in a process with environment(hub, ...)
        assert hub.repo("someone/family").tags == {"demo-v1": commit}
        assert hub.count("POST */commit/*") == 2

It holds datasets and models in memory: commits, branches, tags, LFS objects. What it answers and refuses is what the clients'
sources (huggingface_hub 2.4, datasets 5.2), their tests and the Hub's documentation show of the real one. Not there: xet,
multipart uploads, pull requests, gated repositories, redirects to a content network.
"""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.fakehub.card import read_card
from tests.fakehub.faults import Fault
from tests.fakehub.repository import Repo, flipped
from tests.fakehub.server import TOKEN, Hub, User

__all__ = ["TOKEN", "Fault", "Hub", "Repo", "User", "environment", "flipped", "pointing_at", "read_card", "running", "serving"]


@contextmanager
def running(page: int = 10) -> Iterator[Hub]:
    """Yield an empty hub that answers until the block ends. Raises what crashed in it."""
    hub = Hub(page)
    thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
        thread.join()
        for connection in list(hub.connections):
            with suppress(OSError):  # the client was quicker
                connection.shutdown(socket.SHUT_RDWR)
    if hub.crashes:
        raise hub.crashes[0]


@contextmanager
def serving(repo: str, revision: str, folder: Path, kind: str = "dataset") -> Iterator[Hub]:
    """Yield a hub whose `repo` has one commit, `revision`, with the files of a folder; any token may read it."""
    with running() as hub:
        hub.users = None
        files = {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
        made = hub.repos[kind, repo] = Repo(repo, kind)
        made.commit(files, "first", id=revision)
        yield hub


def environment(hub: Hub, home: Path, token: str | None = TOKEN) -> dict[str, str]:
    """Return what the environment of a process must hold, besides its own, to use `hub` with its caches in `home`."""
    return {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(home),
        "HF_HUB_CACHE": str(home / "hub"),
        "HF_DATASETS_CACHE": str(home / "datasets"),
        "HF_TOKEN": token or "",
        "HF_TOKEN_PATH": str(home / "token"),
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }


class _Clock:
    """The module `time`, whose sleep only notes how long."""

    def __init__(self, waits: list[float]) -> None:
        self.sleep = waits.append

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


@contextmanager
def pointing_at(hub: Hub, home: Path, token: str | None = TOKEN) -> Iterator[list[float]]:
    """Point the huggingface_hub and datasets of this process at `hub` until the block ends, with their caches in `home`.

    Their retries do not sleep: yields the list of the seconds they would have slept.
    """
    import datasets.config
    import datasets.iterable_dataset
    import datasets.utils.file_utils
    import pytest
    from huggingface_hub import HfFileSystem, close_session, constants, file_download, hf_api
    from huggingface_hub.utils import _http

    hub_settings = {
        "ENDPOINT": hub.url,
        "HUGGINGFACE_CO_URL_TEMPLATE": hub.url + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_URL_HOSTS": constants.HF_URL_HOSTS | {"127.0.0.1"},
        "HF_HOME": str(home),
        "HF_HUB_CACHE": str(home / "hub"),
        "HF_ASSETS_CACHE": str(home / "assets"),
        "HF_TOKEN_PATH": str(home / "token"),
        "HF_STORED_TOKENS_PATH": str(home / "stored_tokens"),
        "HF_HUB_OFFLINE": False,
        "HF_HUB_DISABLE_XET": True,
        "HF_HUB_DISABLE_TELEMETRY": True,
        "HF_HUB_DISABLE_IMPLICIT_TOKEN": False,
    }
    datasets_settings = {
        "HF_ENDPOINT": hub.url,
        "HUB_DATASETS_URL": hub.url + "/datasets/{repo_id}/resolve/{revision}/{path}",
        "HF_CACHE_HOME": str(home),
        "HF_DATASETS_CACHE": home / "datasets",
        "HF_MODULES_CACHE": home / "modules",
        "DOWNLOADED_DATASETS_PATH": home / "datasets" / "downloads",
        "EXTRACTED_DATASETS_PATH": home / "datasets" / "downloads" / "extracted",
        "HF_HUB_OFFLINE": False,
    }
    waits: list[float] = []
    with pytest.MonkeyPatch.context() as patch:
        for module, settings in ((constants, hub_settings), (datasets.config, datasets_settings)):
            for name, value in settings.items():
                patch.setattr(module, name, value)
        for module in (_http, file_download, datasets.utils.file_utils, datasets.iterable_dataset):
            patch.setattr(module, "time", _Clock(waits))
        patch.setattr(hf_api.api, "endpoint", hub.url)
        for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_OIDC_RESOURCE"):
            patch.delenv(name, raising=False)
        if token:
            patch.setenv("HF_TOKEN", token)
        close_session()
        HfFileSystem.clear_instance_cache()
        try:
            yield waits
        finally:
            close_session()
            HfFileSystem.clear_instance_cache()
