"""The engine: a catalog of artifacts that should exist, a store of those that do, and SQL over all of them.

from registry import open_registry
reg = open_registry()
reg.load("gsm8k-rft-u13b@1").polars()
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from registry.query.api import Artifact, Registry, open_registry

__all__ = ["Artifact", "Registry", "open_registry"]


def __getattr__(name: str) -> Any:
    # Late, so that `rft --help` does not import polars and duckdb.
    if name in __all__:
        from registry.query import api as access

        return getattr(access, name)
    raise AttributeError(f"module 'registry' has no attribute {name!r}")
