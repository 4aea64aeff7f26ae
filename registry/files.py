"""Whole files: hashes, replacement by one rename, locks, removal, and what a full disk says."""

import errno
import fcntl
import hashlib
import json
import math
import os
import shutil
import stat
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from registry.errors import OutOfResources

NO_SPACE = "the disk is full. Free some space (`rft gc` shows what can go) and run the command again."


def sha256_file(path: Path) -> str:
    """Return the sha256 of a file's bytes as hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def no_space_is_an_error() -> Iterator[None]:
    """Turn a full disk or exhausted memory into OutOfResources."""
    try:
        yield
    except MemoryError as error:
        raise OutOfResources(
            "out of memory. Close other programs, or build with fewer questions at a time (RFT_CHUNK)."
        ) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OutOfResources(NO_SPACE) from error
        raise
    except Exception as error:
        # Libraries written in other languages have errors of their own: those of safetensors and of torch's writer.
        if "No space left on device" in str(error) or ("inline_container" in str(error) and "unexpected pos" in str(error)):
            raise OutOfResources(NO_SPACE) from error
        raise


def entries(folder: Path | str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return []


def read_json(file: Path) -> dict[str, Any]:
    try:
        read = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}


@contextmanager
def locked(path: Path, wait: float = math.inf, *, make: bool = True) -> Iterator[bool]:
    """Hold the lock of a file or a folder; yield whether it could be had within `wait` seconds.

    It is given up at the end, and when this process dies. A file that is not there is made, unless `make` is false: then
    there is no lock to be had.
    """
    try:
        handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR | (os.O_CREAT if make else 0), 0o644)
    except FileNotFoundError:
        if make:
            raise
        yield False
        return
    try:
        yield _flock(handle, time.monotonic() + wait)
    finally:
        os.close(handle)


def _flock(handle: int, until: float) -> bool:
    if until == math.inf:
        fcntl.flock(handle, fcntl.LOCK_EX)
        return True
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(0.02)
        else:
            return True


@contextmanager
def replaced(file: Path, *, durable: bool = False) -> Iterator[Path]:
    """Yield a path beside `file` to write to; it becomes `file` by one rename, or is gone if anything goes wrong.

    `durable`: its bytes are on the disk before it does.
    """
    scratch = file.with_name(f".{file.name}.{uuid.uuid4().hex[:8]}")
    try:
        yield scratch
        if durable:
            sync(scratch)
        scratch.replace(file)
    finally:
        scratch.unlink(missing_ok=True)


@contextmanager
def replaced_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder beside `folder` to write to; it becomes `folder` by a rename, or is gone if anything goes wrong.

    What was `folder` before is removed once the new one stands in its place.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch, old = (folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}") for _ in range(2))
    scratch.mkdir()
    try:
        yield scratch
        if not folder.exists():
            scratch.rename(folder)
            return
        folder.rename(old)
        try:
            scratch.rename(folder)
        except BaseException:
            old.rename(folder)
            raise
        remove_tree(old)
    finally:
        remove_tree(scratch)


def sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_tree(folder: Path) -> None:
    if folder.exists():
        for path in folder.rglob("*"):
            if path.is_dir():
                path.chmod(path.stat().st_mode | stat.S_IWUSR | stat.S_IXUSR)
        shutil.rmtree(folder)
