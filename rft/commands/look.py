"""Commands that look at what is built: ls, show, lineage, head, sql, report."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rft.app import (
    CatalogFile,
    Home,
    Json,
    Name,
    Place,
    Quiet,
    SomeNames,
    app,
    print_json,
    print_table,
    say,
)

if TYPE_CHECKING:
    from registry.store.record import Record


@app.command()
def ls(
    pattern: Annotated[str | None, typer.Argument(metavar="[GLOB]", help="Only names like this.")] = None,
    catalog: CatalogFile = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """List the artifacts that are built."""
    from registry.query import index

    with index.connect(Place(catalog, home).store()) as connection:
        found = connection.execute(
            "select name, version, kind, maker, rows, bytes, strftime(built_at, '%Y-%m-%d %H:%M') from artifacts"
            " where $glob is null or name glob $glob or name || '@' || if(version = 0, 'dev', version::varchar) glob $glob order by name, version",
            {"glob": pattern},
        ).fetchall()
    if json:
        keys = ("name", "version", "kind", "maker", "rows", "bytes", "built_at")
        print_json([dict(zip(keys, row, strict=True)) for row in found])
        return
    from registry.names import ArtifactId
    from registry.text import size

    rows = [
        (str(ArtifactId(n, v)), kind, maker, None if kind == "model" else count, size(b), at)
        for n, v, kind, maker, count, b, at in found
    ]
    print_table(["artifact", "kind", "maker", "rows", "size", "built at (UTC)"], rows)
    if not rows:
        say(
            f"nothing that is built is called like {pattern}."
            if pattern
            else "nothing is built yet. `rft plan` lists what can be."
        )


@app.command()
def show(name: Name, catalog: CatalogFile = None, home: Home = None, json: Json = False) -> None:
    """Show the record of an artifact: recipe, counts, files, provenance."""
    registry = Place(catalog, home).registry()
    m = registry.store.require(registry.resolve(name)).record
    if json:
        print(m.model_dump_json(indent=1))
        return
    from registry.text import cell, escaped, fact, size

    pulled = m.provenance.get("published")
    pairs: list[tuple[str, Any]] = [
        ("artifact", str(m.id)),
        ("kind", m.kind),
        ("made by", f"{m.maker} (edition {m.edition})"),
        *((f"input {i}", f"{given.id}  {given.content[:12]}") for i, given in enumerate(m.inputs, 1)),
        *((f"  {key}", cell(value) if not isinstance(value, str) else value) for key, value in m.params.items()),
        *([("rows", f"{m.rows:,} {m.rows_are or ''}")] if m.kind != "model" else []),
        *((f"  {reason}", f"{n:,} not kept") for reason, n in m.drops.items()),
        *((key, fact(key, value)) for key, value in m.facts.items()),
        *([("pulled from", f"{pulled['repository']}, tag {pulled['tag']}, as {pulled['as']}")] if pulled else []),
        ("content", m.content),
        *(("file", f"{file.name}  {size(file.bytes)}  sha256 {file.sha256[:12]}") for file in m.files),
        ("built at", f"{m.built_at:%Y-%m-%d %H:%M:%S} UTC, in {cell(m.provenance.get('seconds'))} s"),
        ("commit", f"{(m.provenance.get('git_commit') or 'none')[:12]}{' (dirty)' if m.provenance.get('git_dirty') else ''}"),
    ]
    width = max(len(key) for key, _ in pairs)
    print(escaped("\n".join(f"{key.ljust(width)}  {value}" for key, value in pairs)))


@app.command()
def lineage(name: Name, catalog: CatalogFile = None, home: Home = None, json: Json = False) -> None:
    """Show what an artifact was made from, all the way up."""
    from registry.store import lineage as lines
    from registry.text import escaped

    registry = Place(catalog, home).registry()
    tree = lines.lineage(registry.store, registry.resolve(name))
    print_json(lines.flat(tree)) if json else print(escaped(lines.draw(tree)))


@app.command()
def head(
    name: Name,
    rows: Annotated[int, typer.Option("-n", min=1, help="How many rows.")] = 3,
    verdict: Annotated[str | None, typer.Option(help="Samples with this verdict, kept or not, with their text.")] = None,
    catalog: CatalogFile = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Print the first rows of an artifact, or the first samples that it gave a verdict to."""
    from registry.text import blocks

    artifact = Place(catalog, home).registry().load(name)
    frame = (artifact.graded(verdict) if verdict else artifact.polars()).head(rows)
    print_json(frame.to_dicts()) if json else print(blocks(frame.to_dicts()))


@app.command()
def sql(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="One SELECT.")],
    catalog: CatalogFile = None,
    home: Home = None,
    json: Json = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """Ask all artifacts a question in SQL. Reads artifacts, and nothing else; writes nothing.

    Tables: artifacts, params, facts, inputs, drops_by_reason, path_stats, scores; published_scores, published_paths, published_costs (the paper's). Views: "name@1" (rows),
    "name@1/verdicts", "name@1/drops", "name" (highest version), settings: the scores of models with base, k, share and loss; and checkers: the samples that the data's own label or a simpler mode judges otherwise.
    """
    frame = Place(catalog, home).registry().sql(query)
    if json:
        print_json(frame.to_dicts())
    elif csv:
        from csv import writer

        lines = writer(sys.stdout, lineterminator="\n")
        lines.writerow(frame.columns)
        lines.writerows(frame.iter_rows())
    else:
        print_table(frame.columns, list(frame.iter_rows()))


@app.command()
def report(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="A new folder, or one that holds a report: it is replaced.")
    ],
    names: SomeNames = None,
    catalog: CatalogFile = None,
    home: Home = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write pages that show artifacts and all they were made from; without names everything that is built.

    A folder of HTML that opens from the disk: an overview with the lineage, a page for each artifact with its recipe, counts,
    statistics, figures, questions with their paths side by side, and the SQL of the tables; and the paper's laws and tables with
    one's own numbers. No server, no scripts, nothing from elsewhere.
    """
    from rft.progress import bar
    from rft.publish.gate.licences import terms
    from rft.reports.site.write import check_folder, write

    check_folder(output)
    place = Place(catalog, home)
    registry = place.registry()
    ids = registry.select(names) if names else None

    def licences(record: "Record", ancestors: "Mapping[str, Record]") -> list[tuple[str | None, ...]]:
        return [(t.what, t.name, t.source, t.licence or "unknown", t.note) for t in terms(record, ancestors)]

    with bar("report", quiet=quiet) as progress:
        done = write(registry, place.catalog_if_any(), ids, output, licences, progress)
    print_json(done.as_dict()) if json else print(done.path)
