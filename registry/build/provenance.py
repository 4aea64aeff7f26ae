"""Where an artifact came from: commit, versions, time. Nothing secret and no path of a home folder goes in."""

import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = (
    "rft-datasets",
    "polars",
    "duckdb",
    "pyarrow",
    "rapidfuzz",
    "datasets",
    "torch",
    "transformers",
    "tokenizers",
    "accelerate",
    "vllm",
)


def provenance(folder: Path, seconds: float) -> dict[str, Any]:
    """Return the facts recorded in artifact.json about how it was made; the commit is that of the catalog's `folder`."""
    return {
        **_git(folder),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "versions": _versions(),
        "seconds": round(seconds, 3),
    }


def _git(folder: Path) -> dict[str, Any]:
    try:
        commit = subprocess.run(
            ["git", "-C", folder, "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10, check=True
        ).stdout.strip()
        dirty = bool(
            subprocess.run(
                ["git", "-C", folder, "status", "--porcelain"], capture_output=True, text=True, timeout=10, check=True
            ).stdout
        )
    except (OSError, subprocess.SubprocessError):
        return {"git_commit": None, "git_dirty": None}  # no git, or the catalog is not in a repository
    return {"git_commit": commit, "git_dirty": dirty}


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
