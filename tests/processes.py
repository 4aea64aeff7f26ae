"""What other processes do in the tests of the store: register, query, build.

python -m tests.processes register HOME WRITER COUNT
"""

import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

import polars as pl

from registry.build.build import build_one
from registry.catalog import read as catalog
from registry.catalog.plan import needed, plan, select
from registry.content import ContentHash
from registry.maker import Options
from registry.names import ArtifactId, parse_id
from registry.query.api import open_registry
from registry.rows import TEXT
from registry.store.draft import Draft
from registry.store.record import Record
from registry.store.store import Store


def record_of(draft: Draft, text: str) -> Record:
    """Write one row of TEXT into a draft; return the record to publish it with."""
    frame = TEXT.fit(pl.DataFrame({"text": [text]}), "a test")
    frame.write_parquet(draft.folder / "rows.parquet")
    content = ContentHash(TEXT)
    content.add(frame.to_arrow())
    return Record(
        name=draft.id.name,
        version=draft.id.version,
        kind="dataset",
        maker="text",
        edition=1,
        inputs=[],
        params={},
        rows_are="TEXT",
        content=content.hexdigest(),
        rows=1,
        drops={},
        facts={},
        files=draft.files(),
        provenance={},
        built_at=datetime.now(UTC).replace(tzinfo=None),
    )


def register(store: Store, name: str, text: str) -> bool:
    """Publish an artifact of one row; return whether it is new."""
    with store.draft(parse_id(name)) as draft:
        return draft.publish(record_of(draft, text))


def wait_for(file: Path) -> None:
    """Wait until the starting shot: processes that start one by one would not meet."""
    print("ready", flush=True)
    while not file.exists():
        time.sleep(0.005)


def register_many(home: Path, writer: str, count: str) -> None:
    store = Store(home)
    wait_for(home.with_name("start"))
    for n in range(1, int(count) + 1):
        register(store, f"a{writer}@{n}", f"{writer} {n}")


def query(home: Path) -> None:
    """Count the artifacts and read one of them, again and again until the file `stop` is there."""
    wait_for(home.with_name("start"))
    seen = queries = 0
    last = False
    while not last:
        last = home.with_name("stop").exists()
        registry = open_registry(home)
        (count,) = registry.sql("select count(*) from artifacts").row(0)
        assert count >= seen, f"{count} after {seen}"
        seen, queries = count, queries + 1
        if count:
            name, version = registry.sql("select name, version from artifacts using sample 1").row(0)
            rows = registry.sql(f'select text from "{name}@{version}"').rows()
            assert rows == [(f"{name[1:]} {version}",)], rows
    print(seen, queries)


def hold(home: Path) -> None:
    """Begin to write an artifact, and never end."""
    draft = Store(home).draft(ArtifactId("held", 1))
    (draft.folder / "rows.parquet").write_bytes(b"half")
    print(draft.folder.name, flush=True)
    time.sleep(600)


def make(file: Path, name: str, chunk: str) -> None:
    """Build `name` of the catalog `file`, when a line comes in."""
    store = Store(file.with_name(".rft"))
    steps = plan(catalog.read(file), store)
    todo = needed(steps, select(steps, [name]))
    print("ready", flush=True)
    sys.stdin.readline()
    for step in todo:
        made = build_one(step.recipe, store, file.parent, options=Options(workers=1, chunk=int(chunk)))
        print(made.record.content, made.seconds, flush=True)


def read_only(home: Path, name: str) -> None:
    """Read an artifact in every way, without the right to write in the store."""
    registry = open_registry(home)
    if os.geteuid() == 0:  # nothing is forbidden to root; Python's own files may be its alone
        resources.files("registry")
        os.seteuid(65534)
    try:
        (home / "mine").mkdir()
    except PermissionError:
        pass
    else:
        raise AssertionError("the store can be written")
    artifact = registry.load(name)
    print(artifact.polars().height)
    print(registry.sql(f'select count(*) from "{name}"').item())
    print(artifact.sql("select count(*) from rows").item())
    print(registry.store.damage(artifact.stored, thorough=True))


if __name__ == "__main__":
    actions: dict[str, Callable[..., None]] = {
        "register": register_many,
        "query": query,
        "hold": hold,
        "make": make,
        "read_only": read_only,
    }
    actions[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:])
