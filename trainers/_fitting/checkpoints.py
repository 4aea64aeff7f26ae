"""Checkpoints that are complete or not there."""

import json
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from registry.files import replaced, sync

log = logging.getLogger("rft")

MARK = "complete.json"  # written last into a checkpoint: without it, it is not one


def seal(checkpoint: Path, known: Mapping[str, Any]) -> None:
    """Mark a checkpoint as complete, with what is `known` at it, once all its files are on the disk."""
    files = _sizes(checkpoint)
    for path in [checkpoint / name for name in files]:
        sync(path)
    with replaced(checkpoint / MARK, durable=True) as mark:
        mark.write_text(json.dumps({**known, "files": files}))
    sync(checkpoint)


def last_checkpoint(work: Path, tidy: bool = True) -> Path | None:
    """Return the newest complete checkpoint; with `tidy`, remove those that are not."""
    whole = []
    for checkpoint in checkpoints_in(work):
        if _is_complete(checkpoint):
            whole.append(checkpoint)
        elif tidy:
            log.warning("%s is not complete: it was being written when a training was killed. Removed.", checkpoint.name)
            remove(checkpoint)
    return whole[-1] if whole else None


def _is_complete(checkpoint: Path) -> bool:
    try:
        return bool(json.loads((checkpoint / MARK).read_bytes())["files"] == _sizes(checkpoint))
    except (FileNotFoundError, ValueError):
        return False


def _sizes(checkpoint: Path) -> dict[str, int]:
    """Return the bytes of every file of a checkpoint but its mark."""
    files = [path for path in checkpoint.rglob("*") if path.is_file() and path.name != MARK]
    return {str(path.relative_to(checkpoint)): path.stat().st_size for path in files}


def checkpoints_in(work: Path) -> list[Path]:
    return sorted(work.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))


def remove(checkpoint: Path) -> None:
    (checkpoint / MARK).unlink(missing_ok=True)  # first: one that is half removed is not complete
    shutil.rmtree(checkpoint)
