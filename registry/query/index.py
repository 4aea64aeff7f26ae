"""`registry.duckdb`: a cache over the artifact.json files, so that SQL can ask about all artifacts at once.

Nothing is registered here: an opener compares the artifacts on disk with those inside and brings a copy up to date.
Tables: artifacts, params, facts, inputs, drops_by_reason, scores, and what the paper published (registry/query/published.py). Views: "name@v" (rows), "name@v/verdicts", "name@v/drops",
"name@v/loss", "name" (the highest built version), path_stats, settings (the user's models as the published ones are told apart), and checkers: the samples that somebody else judges otherwise
(the data's own label, or a simpler mode). Deleting the file loses nothing.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

import duckdb

from registry.errors import RftError
from registry.files import locked, replaced
from registry.names import DEV, ArtifactId
from registry.query.published import published
from registry.rows import DROPS, LOSS, ROW_SHAPES, SCORES, TABLES, Shape
from registry.store.record import Stored
from registry.store.store import Store
from registry.tables import columns_of, definition, parquet, select, wide

LAYOUT = 10  # raised when what this module makes changes; an older file is made anew
LOCK_SECONDS = 20.0
OVER_ALL = {  # a table of each artifact, and the view over all of them: the table has their names and versions before its own
    "path_stats": "path_stats as {}",
    "verdicts": "checkers as select * from ({}) where right_answer <> label or right_answer <> right_by_paper "
    "or right_answer <> right_by_standard",
}
TAKEN = (
    "artifacts",
    "inputs",
    "params",
    "facts",
    "scores",
    "settings",
    "checkers",
)  # the tables and views an artifact could be called like; there is always "scores@1"


def path(store: Store) -> Path:
    return store.home / "registry.duckdb"


@contextmanager
def connect(store: Store) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a read-only connection to an index that knows every artifact that exists now.

    If the index cannot be written (a store one may only read), a copy in memory is made instead.
    """
    connection = _current(store)
    try:
        yield connection
    finally:
        connection.close()


def refresh(store: Store) -> None:
    """Make the index anew from the artifact.json files; RftError if it cannot be written."""
    store.make_home()
    try:
        path(store).unlink(missing_ok=True)
    except OSError as error:
        raise RftError(f"{path(store)} cannot be written ({error.strerror}).") from error
    _current(store).close()


def _current(store: Store) -> duckdb.DuckDBPyConnection:
    file = path(store)
    stamps = store.stamps()
    connection = _open(file)
    if connection is not None:
        if _inside(connection, store) == stamps:
            return connection
        connection.close()
    try:
        store.home.mkdir(parents=True, exist_ok=True)
        with locked(file.with_name(file.name + ".lock"), LOCK_SECONDS) as ours:
            connection = _open(file)
            known = _inside(connection, store) if connection is not None else None
            if connection is not None and not ours and known is not None:
                return connection  # someone else is at it; what is there is a true, if older, picture
            if connection is not None:
                connection.close()
            if not ours:
                return _in_memory(store, stamps)
            stamps = store.stamps()
            if known != stamps:
                _write(store, file, stamps, known)
    except (OSError, duckdb.IOException):  # nothing can be written, or an artifact went away meanwhile
        return _in_memory(store, store.stamps())
    connection = _open(file)
    return connection if connection is not None else _in_memory(store, stamps)


def _open(file: Path) -> duckdb.DuckDBPyConnection | None:
    if not file.exists():
        return None
    # Attached to a database of our own: what a caller sets (or locks) stays with this connection.
    connection = duckdb.connect()
    try:
        connection.execute(f"attach '{_quoted(str(file))}' as registry (read_only)")
        connection.execute("use registry")
    except duckdb.Error:
        connection.close()
        return None  # not a database, or one of a newer DuckDB: it is only a cache
    return connection


def _inside(connection: duckdb.DuckDBPyConnection, store: Store) -> dict[ArtifactId, int] | None:
    """Return the stamps of the artifacts in the index, or None if it is of another layout or another folder."""
    try:
        about = connection.execute("select layout, artifacts from _about").fetchone()
        if about != (_layout(), str(store.artifacts)):
            return None
        rows = connection.execute("select name, version, stamp from _stamps").fetchall()
    except duckdb.Error:
        return None
    return {ArtifactId(name, version): stamp for name, version, stamp in rows}


def _write(store: Store, file: Path, stamps: dict[ArtifactId, int], known: dict[ArtifactId, int] | None) -> None:
    for left in file.parent.glob(".registry.*"):  # by a writer that was killed; the lock says there is no other
        left.unlink()
    with replaced(file) as scratch:
        if known is not None:
            # A copy: readers of the old file keep it until they close, and a crash here leaves it as it was.
            scratch.write_bytes(file.read_bytes())
        with duckdb.connect() as connection:
            connection.execute(f"attach '{_quoted(str(scratch))}' as registry (storage_version 'v1.0.0')")
            connection.execute("use registry")
            _update(connection, store, stamps, known)


def _in_memory(store: Store, stamps: dict[ArtifactId, int]) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("attach ':memory:' as registry")
    connection.execute("use registry")
    _update(connection, store, stamps, None)
    return connection


def _update(
    connection: duckdb.DuckDBPyConnection, store: Store, stamps: dict[ArtifactId, int], known: dict[ArtifactId, int] | None
) -> None:
    connection.execute("begin")
    if known is None:
        connection.execute((resources.files("registry.query") / "index.sql").read_text())
        connection.execute(f"create table scores (name varchar, version integer, {definition(SCORES.schema)})")
        connection.execute(f"create table _no_drops ({definition(DROPS.schema)})")
        for name, frame in published().items():
            connection.register("_published", frame.to_arrow())
            connection.execute(f"create table {name} as from _published")
            connection.unregister("_published")
        connection.execute((resources.files("registry.query") / "settings.sql").read_text())
        connection.execute("insert into _about values (?, ?)", [_layout(), str(store.artifacts)])
    gone = [id for id, stamp in (known or {}).items() if stamps.get(id) != stamp]
    new = [id for id, stamp in stamps.items() if (known or {}).get(id) != stamp]
    # A damaged artifact has rows but no stamp: it is new to every opener, and written anew.
    listed = {ArtifactId(*row) for row in connection.execute("select name, version from artifacts").fetchall()}
    for id in {*gone, *listed.intersection(new)}:
        for table in ("artifacts", "_stamps", "params", "facts", "inputs", "drops_by_reason", "scores"):
            connection.execute(f"delete from {table} where name = ? and version = ?", list(id))
        for suffix in ("", "/verdicts", "/drops", "/loss"):
            connection.execute(f"drop view if exists {_name(str(id) + suffix)}")
    _insert(connection, store, new, stamps)
    _latest(connection, store, {id.name for id in (*gone, *new)})
    for table, view in OVER_ALL.items():
        _over_all(connection, store, table, view)
    connection.execute("commit")


def _insert(connection: duckdb.DuckDBPyConnection, store: Store, new: list[ArtifactId], stamps: dict[ArtifactId, int]) -> None:
    readable = {id: stored for id in new if (stored := store.readable(id)) is not None}
    # A damaged artifact is listed, without views: `rft verify` says what is wrong with it, and SQL on the others goes on.
    sound = {id: stored for id, stored in readable.items() if store.damage(stored) is None}
    records = [stored.record for stored in readable.values()]
    tables: dict[str, list[tuple[Any, ...]]] = {
        "artifacts": [
            (
                m.name,
                m.version,
                m.kind,
                m.maker,
                m.edition,
                m.content,
                m.rows,
                m.rows_are,
                m.bytes,
                m.built_at.replace(tzinfo=None),
            )
            for m in records
        ],
        "params": [(m.name, m.version, param, text) for m in records for param, text in _texts(m.params)],
        "facts": [(m.name, m.version, fact, text) for m in records for fact, text in _texts(m.facts)],
        "inputs": [
            (m.name, m.version, position, given.id, given.content) for m in records for position, given in enumerate(m.inputs)
        ],
        "drops_by_reason": [(m.name, m.version, reason, rows) for m in records for reason, rows in m.drops.items()],
        # The stamp was taken before the record was read: if it was replaced in between, the next opener reads it again.
        # A damaged artifact gets none, so every opener looks whether it is whole by now.
        "_stamps": [
            (*id, stamps[id], stored.file("rows.parquet") is not None, *(_columns(stored, table) for table in OVER_ALL))
            for id, stored in sound.items()
        ],
    }
    for table, rows in tables.items():
        for start in range(0, len(rows), 500):
            part = rows[start : start + 500]
            marks = ", ".join(f"({', '.join('?' * len(row))})" for row in part)
            connection.execute(f"insert into {table} values {marks}", [value for row in part for value in row])
    for id, stored in sound.items():
        for suffix, query in _views(stored):
            connection.execute(f"create or replace view {_name(str(id) + suffix)} as {query}")
        if stored.record.rows_are == "SCORES" and (scores := select(stored, "rows")):
            connection.execute(f"insert into scores select ?, ?, * from ({scores})", list(id))


def _texts(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield those that are one word or number, as texts."""
    for name, value in values.items():
        if isinstance(value, bool | int | float | str):
            yield name, str(value).lower() if isinstance(value, bool) else str(value)


def _columns(stored: Stored, table: str) -> str:
    """Return the columns of an artifact's table as a query lists them, or an empty string if it has no such table."""
    if stored.file(f"{table}.parquet") is None:
        return ""
    return ", ".join(wide(TABLES[table], columns_of(stored.record, table)))


def _views(stored: Stored) -> Iterator[tuple[str, str]]:
    for suffix, table in (("", "rows"), ("/verdicts", "verdicts"), ("/loss", "loss")):
        if query := select(stored, table):
            yield suffix, query
    refused, verdicts = select(stored, "drops"), stored.file("verdicts.parquet")
    parts = [refused] if refused else []
    if verdicts and stored.record.rows_are == "TRAINING":
        parts.append(
            "select source, question_id, model, draw, null::bigint as line, verdict as reason, null::varchar as detail "
            f"from {parquet([verdicts])} where verdict <> 'kept'"
        )
    if parts:
        yield "/drops", " union all by name ".join(parts)


def empty_drops(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    """Make "name@v/drops" empty where `query` names it and nothing was dropped.

    The index has no view for it: thousands of empty views would slow down every opening.
    """
    for name in set(re.findall(r'"([^"/]+)/drops"', query)):
        known = connection.execute("select view_name from duckdb_views() where view_name in (?, ?)", [name, f"{name}/drops"])
        if known.fetchall() == [(name,)]:
            connection.execute(f"create temp view {_name(f'{name}/drops')} as from registry._no_drops")


def _latest(connection: duckdb.DuckDBPyConnection, store: Store, names: set[str]) -> None:
    """Point bare names at their highest versions that have rows; a name that is also a table's is left to the table."""
    highest: dict[str, int] = dict(
        connection.execute("select name, max(version) from _stamps where has_rows group by name").fetchall()
    )
    for name in names.difference(TAKEN):
        id = ArtifactId(name, highest.get(name, DEV))
        if name in highest and (store.folder(id) / "rows.parquet").exists():
            connection.execute(f"create or replace view {_name(name)} as from {_name(str(id))}")
        else:
            connection.execute(f"drop view if exists {_name(name)}")


def _over_all(connection: duckdb.DuckDBPyConnection, store: Store, table: str, view: str) -> None:
    """Make the view of one table over all artifacts that have it."""
    rows = connection.execute(f"select name, version, {table} from _stamps where {table} <> '' order by all").fetchall()
    alike: dict[str, list[Path]] = {}  # the files of each list of columns
    for name, version, columns in rows:
        if (file := store.folder(ArtifactId(name, version)) / f"{table}.parquet").exists():
            alike.setdefault(columns, []).append(file)
    # One list of files, opened as the first of them is, for each list of columns; the folder of a file says whose counts they are.
    parts = [f"select null::varchar as name, null::integer as version, {_nulls(TABLES[table])} where false"]
    parts += [
        f"""
        select
          split_part(filename, '/', -3) as name,
          case split_part(filename, '/', -2) when 'dev' then {DEV} else split_part(filename, '/', -2)::integer end as version,
          {columns}
        from {parquet(files, ", filename = true")}
        """
        for columns, files in alike.items()
    ]
    connection.execute(f"create or replace view {view.format(' union all by name '.join(parts))}")


def _layout() -> str:
    """Return what the tables and views of an index depend on: the shapes of rows, and the files that say the rest."""
    shapes = [(shape.name, list(shape.schema)) for shape in (*ROW_SHAPES.values(), *TABLES.values(), LOSS)]
    files = [
        (resources.files("registry.query") / name).read_bytes() for name in ("index.sql", "settings.sql", "published.yaml")
    ]
    return f"{LAYOUT} {hashlib.sha256(repr((shapes, files)).encode()).hexdigest()[:12]}"


def _nulls(shape: Shape) -> str:
    return ", ".join(wide(shape, []))


def _quoted(text: str) -> str:
    return text.replace("'", "''")


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
