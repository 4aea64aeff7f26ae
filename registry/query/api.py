"""Read what is registered, from Python: artifacts by name, and SQL over all of them."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl
import pyarrow as pa

from registry.catalog.read import default_home
from registry.errors import Drifted, InputError, NotFound, RftError, near
from registry.names import ArtifactId, is_glob, meant, parse_id
from registry.query import index
from registry.store.lineage import flat, lineage
from registry.store.record import Record, Stored
from registry.store.store import Store
from registry.tables import read

if TYPE_CHECKING:
    import datasets


@dataclass(frozen=True)
class Artifact:
    """A registered artifact, its files checked against what was written."""

    stored: Stored
    store: Store

    @property
    def id(self) -> str:
        return str(self.stored.id)

    @property
    def record(self) -> Record:
        """The record of where it came from (artifact.json)."""
        return self.stored.record

    def polars(self) -> pl.DataFrame:
        """Return the rows as a polars frame, with all columns that such rows have today."""
        rows = read(self.stored, "rows")
        if rows is None:
            raise NotFound(f"{self.id} is a {self.record.kind} and has no rows.")
        return rows

    def arrow(self) -> pa.Table:
        """Return the rows as an Arrow table."""
        return self.polars().to_arrow()

    def to_datasets(self) -> "datasets.Dataset":
        """Return the rows as a `datasets.Dataset`."""
        from datasets import Dataset

        return Dataset(self.arrow())

    def graded(self, verdict: str | None = None) -> pl.DataFrame:
        """Return the samples that this set or eval graded, with their text: VERDICTS and `response`.

        Only those with `verdict`, if one is given. Raises InputError if nothing was graded or no sample has that verdict,
        Drifted if a samples artifact is gone or is no longer the one that was graded.
        """
        verdicts = read(self.stored, "verdicts")
        if verdicts is None:
            raise InputError(f"{self.id} ({self.record.maker}) graded no samples. Rejection sets, unions and evals do.")
        if verdict is not None:
            known = sorted(verdicts["verdict"].unique())
            verdicts = verdicts.filter(pl.col("verdict") == verdict)
            if not verdicts.height:
                raise InputError(f"no sample of {self.id} has the verdict {verdict}; there are {', '.join(known)}.")
        used = {row["id"]: row["state"] for row in flat(lineage(self.store, self.stored.id))}
        if absent := [source for source in verdicts["source"].unique(maintain_order=True) if used.get(source) == "not here"]:
            raise NotFound(
                f"{self.id} was pulled, and verdicts hold no texts: those are in {', '.join(absent)}. `rft pull` fetches them if "
                "they were published too."
            )
        for source in verdicts["source"].unique(maintain_order=True):
            if used.get(source, "missing"):
                raise Drifted(
                    f"{source} is {used.get(source, 'missing')} since {self.id} graded it: its texts are not the graded ones."
                )
        key = ["source", "question_id", "model", "draw"]
        texts = [
            Registry(self.store.home).load(source).polars().select(*key[1:], "response", source=pl.lit(source))
            for source in verdicts["source"].unique(maintain_order=True)
        ]
        if not texts:
            return verdicts.with_columns(response=pl.lit(None, pl.String))
        return verdicts.join(pl.concat(texts), on=key, how="left", nulls_equal=True, maintain_order="left")

    def sql(self, query: str) -> pl.DataFrame:
        """Return the result of one SELECT over this artifact's tables: rows, verdicts, drops, path_stats.

        `artifact.sql("select origin, count(*) from rows group by origin")`
        """
        with _locked(self.store) as connection:
            return _select(connection, query, before=lambda: _own_views(connection, self))


def _own_views(connection: duckdb.DuckDBPyConnection, artifact: Artifact) -> None:
    connection.execute("use memory")
    for table, suffix in (("rows", ""), ("verdicts", "/verdicts"), ("drops", "/drops")):
        name = artifact.id + suffix
        known = connection.execute("select count(*) from duckdb_views() where view_name = ?", [name]).fetchone()
        if known != (0,):
            connection.execute(f'create temp view {table} as from registry."{name}"')
        elif table == "drops":
            connection.execute("create temp view drops as from registry._no_drops")
    id = artifact.stored.id
    connection.execute(
        f"create temp view path_stats as select * exclude (name, version) from registry.path_stats where name = '{id.name}' and version = {id.version}"
    )


class Registry:
    """The artifacts below one home folder."""

    def __init__(self, home: Path) -> None:
        self.store = Store(home)

    def __contains__(self, name: str) -> bool:
        try:
            return self.store.get(self.resolve(name)) is not None
        except RftError:
            return False

    def resolve(self, name: str) -> ArtifactId:
        """Return the id that `name` means: exact with a version, else the highest built one."""
        if "@" in name:
            return parse_id(name)
        id = self.store.highest(name)
        if id is None:
            known = sorted({built.name for built in self.store.stamps()})
            raise NotFound(
                f"no version of {name} is built. `rft build {name}` makes it if the catalog lists it.{near(name, known)}"
            )
        return id

    def select(self, names: Iterable[str]) -> list[ArtifactId]:
        """Return the ids that words mean: as `resolve`, or every built one that a glob matches, in order of name."""
        chosen: dict[ArtifactId, None] = {}
        for name in names:
            found = meant(name, sorted(self.store.stamps())) if is_glob(name) else [self.resolve(name)]
            if not found:
                raise NotFound(f"nothing that is built is called like {name}. `rft ls` lists what is.")
            chosen |= dict.fromkeys(found)
        return list(chosen)

    def load(self, name: str) -> Artifact:
        """Return a registered artifact by name.

        ``load("gsm8k-rft-u13b@1")`` is exact; without a version the highest built one is meant. Raises NotFound if
        it was never built, Corrupt if its files are not the ones that were written.
        """
        return Artifact(self.store.check(self.store.require(self.resolve(name))), self.store)

    def artifacts(self) -> pl.DataFrame:
        """Return the table `artifacts`: name, version, kind, maker, edition, content, rows, rows_are, bytes, built_at."""
        return self.sql("select * from artifacts order by name, version")

    def sql(self, query: str) -> pl.DataFrame:
        """Return the result of one SELECT over all artifacts; see `rft sql --help` for the tables and views.

        The query can read artifacts and nothing else, and can write nothing. Raises RftError for anything but one
        SELECT, or with DuckDB's message if the query is wrong.
        """
        with _locked(self.store) as connection:
            return _select(connection, query)


def open_registry(home: str | Path | None = None) -> Registry:
    """Return the registry at `home`; by default RFT_HOME, else `.rft` beside the nearest catalog.yaml."""
    return Registry(default_home(home))


@contextmanager
def _locked(store: Store) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a connection on which a query can read artifacts, and nothing else of this machine."""
    with index.connect(store) as connection:
        folder = str(store.artifacts).replace("'", "''")
        connection.execute("set autoinstall_known_extensions = false")
        connection.execute("set autoload_known_extensions = false")
        connection.execute(f"set allowed_directories = ['{folder}']")
        connection.execute("set enable_external_access = false")
        connection.execute("set lock_configuration = true")
        yield connection


def _select(connection: duckdb.DuckDBPyConnection, query: str, before: Any = None) -> pl.DataFrame:
    try:
        statements = connection.extract_statements(query)
    except duckdb.Error as error:
        quote = ' Put artifact names in double quotes: "gsm8k-train@1".' if "@" in query or "-" in query else ""
        raise RftError(f"SQL: {error}{quote}") from error
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        kinds = ", ".join(s.type.name for s in statements) or "nothing"
        raise RftError(
            f"SQL: exactly one SELECT is run here; this is {kinds}. Open registry.duckdb with DuckDB for anything else."
        )
    if before:
        before()
    index.empty_drops(connection, query)
    try:
        frame: pl.DataFrame = connection.sql(statements[0].query).pl()
    except duckdb.Error as error:
        hint = ""
        if isinstance(error, duckdb.IOException):
            hint = " `rft verify` says which artifact is damaged."
        raise RftError(f"SQL: {error}{hint}") from error
    return frame
