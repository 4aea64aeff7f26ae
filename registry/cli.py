"""The command `rft`. Data goes to stdout, talk to stderr; heavy modules are imported inside the command that needs them."""

import json as json_module
import logging
import os
import signal
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from registry.errors import InputError, RftError, UsageError

if TYPE_CHECKING:
    from registry.access import Registry
    from registry.catalog import Catalog
    from registry.plan import Step
    from registry.run import Built
    from registry.store import Store

app = typer.Typer(
    help="Build, register and query datasets of reasoning paths.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

CatalogFile = Annotated[
    Path | None, typer.Option("--catalog", metavar="FILE", help="The catalog; default: the nearest catalog.yaml upwards.")
]
Home = Annotated[
    Path | None, typer.Option("--home", metavar="DIR", help="The store; default: RFT_HOME, else .rft beside the catalog.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]
Names = Annotated[
    list[str], typer.Argument(metavar="NAME...", help="name@1, a name (its highest version), or a glob in quotes.")
]
SomeNames = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME...]", help="name@1, a name (its highest version), or a glob in quotes.")
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="name@1, or a name (its highest built version).")]


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"rft {version('rft-datasets')}")
        raise typer.Exit


@app.callback()
def options(
    catalog: CatalogFile = None,
    home: Home = None,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    # These two may stand before the command's name as well as after it.
    Place.before_command = (catalog, home)


class Place:
    """Where a command works: the catalog and the store that its options, the environment or the folder name."""

    before_command: tuple[Path | None, Path | None] = (None, None)

    def __init__(self, catalog: Path | None, home: Path | None) -> None:
        self.catalog_option = catalog or self.before_command[0]
        self.home_option = home or self.before_command[1]

    @property
    def catalog_file(self) -> Path:
        from registry import catalog

        return self.catalog_option or catalog.find(Path.cwd())

    def catalog(self) -> "Catalog":
        from registry import catalog

        return catalog.read(self.catalog_file)

    def catalog_if_any(self) -> "Catalog | None":
        """Return the catalog, or None where there is none: a store may be used without."""
        from registry.errors import NotFound

        try:
            file = self.catalog_file
        except NotFound:
            return None
        from registry import catalog

        return catalog.read(file)

    def home(self) -> Path:
        from registry.catalog import default_home

        return default_home(self.home_option, self.catalog_option)

    def store(self) -> "Store":
        from registry.store import Store

        return Store(self.home())

    def registry(self) -> "Registry":
        from registry.access import Registry

        return Registry(self.home())

    def plan(self) -> "tuple[Catalog, Store, dict[Any, Step]]":
        from registry.plan import plan

        catalog, store = self.catalog(), self.store()
        return catalog, store, plan(catalog, store)


def say(text: str) -> None:
    """Print talk: progress, notes, what was done."""
    from registry.text import escaped

    print(escaped(text), file=sys.stderr)


class Said(logging.Handler):
    """Says what is logged, beside the progress of a build."""

    def emit(self, record: logging.LogRecord) -> None:
        say(f"note: {record.getMessage()}")


def print_json(value: Any) -> None:
    print(json_module.dumps(value, ensure_ascii=False, indent=1, default=_as_json))


def _as_json(value: Any) -> Any:
    if value.__class__.__name__ == "Decimal":  # so do DuckDB's sums of whole numbers arrive
        return int(value) if value == int(value) else float(value)
    return str(value)


def print_table(columns: list[str], rows: list[Any], longest: int = 60) -> None:
    from registry.text import table

    print(table(columns, rows, longest))


def print_lines(rows: Iterable[tuple[str, ...]]) -> None:
    """Print rows without a header, in columns."""
    from registry.text import aligned

    print(aligned(rows))


# -- the catalog ----------------------------------------------------------------------------------------------------

FIRST_CATALOG = """\
# The artifacts that should exist, one line each. `rft plan` compares this file with what is built, `rft build NAME` builds.
datasets:
  gsm8k-train@1:       {builder: gsm8k, params: {split: train, revision: "cc7b047b6e5bb11b4f1af84efc572db110a51b3c"}}
  gsm8k-test@1:        {builder: gsm8k, params: {split: test, revision: "cc7b047b6e5bb11b4f1af84efc572db110a51b3c"}}
  gsm8k-train-1of8@1:  {builder: fraction, inputs: [gsm8k-train@1], params: {denominator: 8, seed: 42}}
"""


@app.command()
def init(catalog: CatalogFile = None, home: Home = None) -> None:
    """Write a first catalog.yaml."""
    place = Place(catalog, home)
    file = place.catalog_option or Path.cwd() / "catalog.yaml"
    try:
        with file.open("x", encoding="utf-8") as new:
            new.write(FIRST_CATALOG)
    except FileExistsError:
        raise InputError(f"{file} is there already; nothing was written.") from None
    say(f"wrote {file}\nnext: rft plan, then rft build gsm8k-train, or rft import FILE --as NAME for questions of your own")


@app.command()
def plan(names: SomeNames = None, catalog: CatalogFile = None, home: Home = None, json: Json = False) -> None:
    """Say for each line of the catalog what state it is in, and why.

    Exit code 6 if a line is edited, drifted or corrupt.
    """
    from registry.plan import select

    _, _, steps = Place(catalog, home).plan()
    shown = select(steps, names) if names else list(steps.values())
    if json:
        print_json(
            [{"id": str(s.id), "state": s.state, "why": s.why, "note": s.note, "line": s.recipe.entry.where} for s in shown]
        )
    else:
        rows = [(s.state, s.id, s.recipe.maker.name, s.why or s.note) for s in shown]
        print_table(["state", "artifact", "maker", "why"], rows, longest=1000)
    if any(step.state in ("edited", "drifted", "corrupt") for step in shown):
        raise typer.Exit(6)


@app.command()
def build(
    names: SomeNames = None,
    all_: Annotated[bool, typer.Option("--all", help="Everything in the catalog.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be built, and build nothing.")] = False,
    engine: Annotated[
        str | None, typer.Option(help="What generates samples: vllm, openai or transformers (RFT_ENGINE).")
    ] = None,
    base_url: Annotated[
        str | None, typer.Option(metavar="URL", help="The OpenAI-compatible server of the engine openai (RFT_BASE_URL).")
    ] = None,
    served_model: Annotated[
        str | None, typer.Option(metavar="NAME", help="What that server calls the model (RFT_SERVED_MODEL).")
    ] = None,
    catalog: CatalogFile = None,
    home: Home = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make what is missing, inputs first."""
    from registry.plan import needed, select
    from registry.progress import bar
    from registry.run import build as make
    from registry.run import keep_log, preview, rank
    from registry.running import Options

    if not names and not all_:
        raise UsageError("name what to build, or say --all. `rft plan` lists the names.")
    lines, store, steps = Place(catalog, home).plan()
    targets = list(steps.values()) if all_ else select(steps, names or [])
    todo = needed(steps, targets)
    options = Options.of_environment(engine=engine, base_url=base_url, served_model=served_model)
    if dry_run:
        print_json([str(step.id) for step in todo]) if json else print("\n".join(str(step.id) for step in todo))
        for step in todo:
            if shown := preview(step.recipe, store, lines.folder, options):
                say(f"\n{step.id}: {shown}")
        return
    if swept := store.sweep():
        say(f"removed what {swept} interrupted build{'s' * (swept > 1)} left behind")
    keep_log(store)
    quiet = quiet or rank() > 0  # of processes that a launcher started, one speaks
    if not quiet:
        logging.getLogger("rft").addHandler(Said(logging.WARNING))
    done: list[dict[str, Any]] = []
    for place, step in enumerate(todo, 1):
        try:
            with bar(f"{step.id}", quiet=quiet) as progress:
                built = make(step.recipe, store, lines.folder, options=options, progress=progress)
        except RftError:
            if len(todo) > 1:
                say(f"{len(done)} of {len(todo)} built; what follows was not tried")
            raise
        done.append(_built(built))
        if not quiet:
            _say_built(built, place, len(todo))
    there = sum(step.state == "ok" for step in targets)
    if not quiet:
        say(f"{len(done)} built, {there} {'was' if there == 1 else 'were'} there already")
    if json:
        print_json(done)


def _built(built: "Built") -> dict[str, Any]:
    m = built.manifest
    return {
        "id": str(m.id),
        "rows": m.rows,
        "drops": m.drops,
        "content": m.content,
        "new": built.new,
        "seconds": round(built.seconds, 3),
        "notes": m.facts.get("notes", []),
    }


def _say_built(built: "Built", number: int, of: int) -> None:
    m = built.manifest
    same = "" if built.new else "  (another build had just registered the same)"
    size = (
        f"loss {m.facts['loss']:.3f}"
        if m.kind == "model" and "loss" in m.facts
        else m.kind
        if m.kind == "model"
        else f"{m.rows:,} rows"
    )
    say(f"[{number}/{of}] {m.id}  {size}  {built.seconds:.1f} s{same}")
    if m.drops:
        say(
            "      not kept: "
            + ", ".join(f"{n:,} {reason}" for reason, n in sorted(m.drops.items(), key=lambda item: -item[1]))
        )
    for note in m.facts.get("notes", []):
        say(f"      note: {note}")


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="JSON lines or Parquet, plain or .gz.")],
    name: Annotated[str, typer.Option("--as", metavar="NAME", help="The artifact's name; the next free version is taken.")],
    questions: Annotated[
        str | None,
        typer.Option(
            "--questions", metavar="NAME", help="FILE holds samples of these questions; without it FILE holds questions."
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="The model that made the samples, where rows do not say.")
    ] = None,
    unmatched: Annotated[str, typer.Option(help="Samples of other questions: refuse or ignore.")] = "refuse",
    role: Annotated[str | None, typer.Option(help="What the questions are for: train, validation or test.")] = None,
    licence: Annotated[str | None, typer.Option(help="The file's licence, as the Hub calls it: mit, cc-by-4.0.")] = None,
    max_refused: Annotated[float, typer.Option(min=0, max=1, help="The share of rows that may be refused.")] = 0.05,
    rejection: Annotated[
        str | None, typer.Option(metavar="NAME", help="Also write a line for a rejection set of these samples.")
    ] = None,
    score: Annotated[
        str | None, typer.Option("--eval", metavar="NAME", help="Also write a line for an eval of these samples.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show everything, write nothing.")] = False,
    catalog: CatalogFile = None,
    home: Home = None,
) -> None:
    """Add a file of questions or samples to the catalog.

    Hashes the file, shows three rows and what will be refused, and writes the line; `rft build NAME` registers it.
    """
    from registry.intake import import_file

    place = Place(catalog, home)
    if questions is None and (model or rejection or score or unmatched != "refuse"):
        raise UsageError("--model, --unmatched, --rejection and --eval are about samples: name their --questions too.")
    if questions and role:
        raise UsageError("--role is about questions: FILE holds samples of --questions.")
    params: dict[str, Any] = {
        name: value for name, value in {"model": model, "role": role, "licence": licence}.items() if value
    }
    if unmatched != "refuse":
        params["unmatched"] = unmatched
    if max_refused != 0.05:
        params["max_refused"] = max_refused
    report = import_file(
        place.catalog(), place.store(), file, name, questions, params, rejection=rejection, score=score, write=not dry_run
    )
    print(report.preview)
    say(
        ("would write" if dry_run else "wrote")
        + f" to {place.catalog_file.name}:\n"
        + "\n".join(f"  {line}" for line in report.lines)
    )
    say(f"next: rft build {' '.join(report.names)}")


# -- what is registered -----------------------------------------------------------------------------------------------


@app.command()
def ls(
    pattern: Annotated[str | None, typer.Argument(metavar="[GLOB]", help="Only names like this.")] = None,
    catalog: CatalogFile = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """List the artifacts that are built."""
    from registry import index

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
    m = registry.store.require(registry.resolve(name)).manifest
    if json:
        print(m.model_dump_json(indent=1))
        return
    from registry.text import cell, escaped, size

    pulled = m.provenance.get("published")
    pairs: list[tuple[str, Any]] = [
        ("artifact", str(m.id)),
        ("kind", m.kind),
        ("made by", f"{m.maker} (edition {m.edition})"),
        *((f"input {i}", f"{given.id}  {given.content[:12]}") for i, given in enumerate(m.inputs, 1)),
        *((f"  {key}", cell(value) if not isinstance(value, str) else value) for key, value in m.params.items()),
        *([("rows", f"{m.rows:,} {m.rows_are or ''}")] if m.kind != "model" else []),
        *((f"  {reason}", f"{n:,} not kept") for reason, n in m.drops.items()),
        *((key, _fact(key, value)) for key, value in m.facts.items()),
        *([("pulled from", f"{pulled['repository']}, tag {pulled['tag']}, as {pulled['as']}")] if pulled else []),
        ("content", m.content),
        *(("file", f"{file.name}  {size(file.bytes)}  sha256 {file.sha256[:12]}") for file in m.files),
        ("built at", f"{m.built_at:%Y-%m-%d %H:%M:%S} UTC, in {cell(m.provenance.get('seconds'))} s"),
        ("commit", f"{(m.provenance.get('git_commit') or 'none')[:12]}{' (dirty)' if m.provenance.get('git_dirty') else ''}"),
    ]
    width = max(len(key) for key, _ in pairs)
    print(escaped("\n".join(f"{key.ljust(width)}  {value}" for key, value in pairs)))


def _fact(name: str, value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if name in ("padding", "mfu") and isinstance(value, float):
        return f"{value:.1%}"
    return (
        f"{value:,}"
        if isinstance(value, int) and not isinstance(value, bool)
        else f"{value:,.4g}"
        if isinstance(value, float)
        else str(value)
    )


@app.command()
def lineage(name: Name, catalog: CatalogFile = None, home: Home = None, json: Json = False) -> None:
    """Show what an artifact was made from, all the way up."""
    from registry import lineage as lines
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
def stats(names: Names, catalog: CatalogFile = None, home: Home = None, json: Json = False) -> None:
    """Count right answers and distinct reasoning paths of rejection sets, unions and evals.

    Means are per question, over all questions. A path counts when its answer is right and every equation holds.
    """
    from registry.report import report
    from registry.statistics import statistics

    registry = Place(catalog, home).registry()
    found = [statistics(registry.load(str(id))) for id in registry.select(names)]
    print_json([s.as_dict() for s in found]) if json else print("\n\n".join(report(s) for s in found))


@app.command()
def scores(names: SomeNames = None, catalog: CatalogFile = None, home: Home = None, json: Json = False) -> None:
    """Show the scores of evals, each with its 95 % bootstrap interval over questions."""
    registry = Place(catalog, home).registry()
    found = registry.sql("select * from scores order by name, version, rowid").to_dicts()
    if names:
        wanted = registry.select(names)
        found = [row for row in found if (row["name"], row["version"]) in wanted]
        if without := [str(id) for id in wanted if not any((row["name"], row["version"]) == id for row in found)]:
            raise InputError(
                f"{', '.join(without)}: no eval, so no scores. `rft stats` counts the paths of rejection sets and unions."
            )
    if json:
        print_json(found)
        return
    from registry.names import ArtifactId

    rows = [
        (
            str(ArtifactId(r["name"], r["version"])),
            r["model"],
            r["dataset"],
            r["metric"],
            _metric(r["metric"], r["value"]),
            _interval(r),
            r["n"],
        )
        for r in found
    ]
    print_table(["eval", "model", "questions", "metric", "value", "95 % interval", "n"], rows)


def _metric(metric: str, value: float) -> str:
    return f"{value:.2f}" if metric == "distinct_paths" else f"{value:.1%}"


def _interval(row: dict[str, Any]) -> str:
    return f"{_metric(row['metric'], row['low'])} to {_metric(row['metric'], row['high'])}"


@app.command()
def models(names: SomeNames = None, catalog: CatalogFile = None, home: Home = None, json: Json = False) -> None:
    """Compare models: pre-training loss, training set, distinct paths per question, greedy accuracy (maj1@1).

    Models that differ only in their seed share a line: the mean, then each. The interval is a 95 % bootstrap over
    questions and does not cover the choice of the seed.
    """
    from eval.scaling import scaling

    registry = Place(catalog, home).registry()
    ids = registry.select(names) if names else sorted(registry.store.stamps())
    found = scaling(registry, ids)
    if json:
        print_json([row.as_dict() for row in found])
        return
    rows = [
        (
            r.models[0] + (f" and {len(r.models) - 1} more" if len(r.models) > 1 else ""),
            None if r.loss is None else f"{r.loss:.3f}",
            r.dataset,
            r.rows,
            r.paths,
            r.steps,
            None if r.maj1 is None else f"{r.maj1:.1%}",
            None if r.low is None or r.high is None else f"{r.low:.1%} to {r.high:.1%}",
            " ".join(f"{one:.1%}" for one in r.each) if len(r.each) > 1 else "",
            f"{r.questions} ({r.how})" if r.questions else "",
        )
        for r in found
    ]
    columns = [
        "model",
        "loss",
        "trained on",
        "rows",
        "paths/question",
        "steps",
        "maj1@1",
        "95 % interval",
        "each seed",
        "asked",
    ]
    ways = {(r.questions, r.how) for r in found if r.questions}
    shown = [*range(8), *([8] if any(row[8] for row in rows) else []), *([9] if len(ways) > 1 else [])]
    print_table([columns[i] for i in shown], [[row[i] for i in shown] for row in rows])
    if not rows:
        say("no model is built yet.")


@app.command()
def sql(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="One SELECT.")],
    catalog: CatalogFile = None,
    home: Home = None,
    json: Json = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """Ask all artifacts a question in SQL. Reads artifacts, and nothing else; writes nothing.

    Tables: artifacts, inputs, drops_by_reason, path_stats, scores. Views: "name@1" (rows), "name@1/verdicts",
    "name@1/drops", "name" (highest version).
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
def diff(
    a: Name,
    b: Name,
    other: Annotated[Path | None, typer.Option("--other", metavar="DIR", help="The store of B; default: that of A.")] = None,
    catalog: CatalogFile = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Compare two artifacts: rows, paths added and removed, questions solved gained and lost."""
    from registry.access import open_registry
    from registry.compare import difference

    registry = Place(catalog, home).registry()
    if other and not (other / "artifacts").is_dir():
        raise InputError(f"there is no store in {other}. --other names a folder like .rft.")
    found = difference(registry.load(a), (open_registry(other) if other else registry).load(b))
    if json:
        print_json(found.as_dict())
        return
    if found.identical:
        print(f"{found.a} and {found.b} are identical")
        return
    rows = [("rows", found.rows_removed, found.rows_added)]
    if found.counts:
        say(f"paths are compared by the {found.key} key")
    for name, less, more in (("paths", "removed", "added"), ("questions solved", "lost", "gained")):
        key = name.split()[-1]
        if f"{key}_{less}" in found.counts:
            rows.append((name, found.counts[f"{key}_{less}"], found.counts[f"{key}_{more}"]))
    print_table(["", f"only in {found.a}", f"only in {found.b}"], rows)
    print(f"{found.rows_in_both:,} rows are in both")
    for key, ids in found.examples.items():
        if ids:
            print(
                f"{key.replace('_', ' ')}, in the questions: {', '.join(ids)}{' ...' if found.counts[key] > len(ids) else ''}"
            )


# -- publishing -------------------------------------------------------------------------------------------------------

Against = Annotated[
    list[str] | None,
    typer.Option("--against", metavar="NAME", help="Questions to compare with, beside every set with `role: test`."),
]
Override = Annotated[
    list[str] | None,
    typer.Option(
        "--override", metavar="FINDING", help="Publish in spite of a finding; the record will say so. A glob in quotes."
    ),
]


@app.command()
def check(
    names: Names,
    against: Against = None,
    catalog: CatalogFile = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Check artifacts before they are published: rows, test questions among them, licences, secrets.

    Exit code 1 if something would stop `rft push`.
    """
    from registry.publish.check import check as look

    place = Place(catalog, home)
    registry = place.registry()
    found = look(registry, place.catalog_if_any(), registry.select(names), against=against or [])
    if json:
        print_json([checked.as_dict() for checked in found])
    else:
        print("\n\n".join(checked.report() for checked in found))
    if any(checked.stops for checked in found):
        raise typer.Exit(1)


@app.command()
def push(
    words: Annotated[list[str], typer.Argument(metavar="NAME... REPO", help="Artifacts, then the repository: user/name.")],
    against: Against = None,
    override: Override = None,
    public: Annotated[bool, typer.Option("--public", help="For everyone to read; asks first.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show files, card and tags, and touch nothing.")] = False,
    catalog: CatalogFile = None,
    home: Home = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Publish artifacts in a dataset repository of the Hugging Face Hub, with all that made them.

    Checks first (`rft check`), then one commit, which is read back, then a tag for each artifact: NAME-vVERSION.
    """
    from registry.publish.check import check as look
    from registry.publish.layout import lay_out
    from registry.publish.push import preview
    from registry.publish.push import push as send

    if len(words) < 2:
        raise UsageError("name what to publish and where: rft push NAME... USER/REPO.")
    *names, repository = words
    if "/" in names[0] and "/" not in repository:
        raise UsageError(f"the repository goes last: rft push {repository} ... {names[0]}.")
    place = Place(catalog, home)
    registry = place.registry()
    checked = look(registry, place.catalog_if_any(), registry.select(names), against=against or [], overrides=override or [])
    stops = {finding.name: finding.says for one in checked for finding in one.stops}
    for name, says in stops.items():
        say(f"{name}: {says}\n")
    if stops and not dry_run:
        raise InputError(f"nothing was published: {'; '.join(stops)}. --override NAME publishes in spite of one.")
    publications = [lay_out(one) for one in checked]
    if dry_run:
        shown = preview(publications, repository, public=public)
        print_json(shown.as_dict() | {"stopped_by": list(stops)}) if json else print(shown.report())
        if stops:
            raise typer.Exit(1)
        return
    if (
        public
        and not yes
        and not typer.confirm(f"Publish {', '.join(str(p.id) for p in publications)} for everyone?", err=True)
    ):
        raise InputError("nothing was published.")
    done = send(publications, repository, public=public, say=(lambda text: None) if quiet else say)
    if json:
        print_json(done.as_dict())
        return
    print_lines(
        (str(one.id), done.address(one.tag), "" if one.tag in done.tags else "was there already") for one in publications
    )


@app.command()
def pull(
    source: Annotated[str, typer.Argument(metavar="REPO[@TAG]", help="user/name, or one tag of it.")],
    configs: Annotated[list[str] | None, typer.Argument(metavar="[CONFIG...]", help="Names of artifacts; default all.")] = None,
    rename: Annotated[str | None, typer.Option("--as", metavar="NAME", help="Another name for it here.")] = None,
    catalog: CatalogFile = None,
    home: Home = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Take artifacts that `rft push` published into the store, every byte and row checked."""
    from registry.names import check_name
    from registry.publish.pull import pull as take
    from registry.text import number

    if rename is not None:
        check_name(rename)
    repository, _, tag = source.partition("@")
    store = Place(catalog, home).store()
    talk = (lambda text: None) if quiet else say
    done = take(store, repository, tag or None, configs or [], rename=rename, say=talk)
    if json:
        print_json([one.as_dict() for one in done])
        return
    print_lines(
        (str(m.id), number(m.rows, "row"), m.content[:12], "" if new else "was here already")
        for m, new in ((one.manifest, one.new) for one in done)
    )


@app.command()
def export(
    name: Name,
    format: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="F",
            help="prompt-completion, messages, alpaca, query-response, kto, dpo; or parquet, jsonl, csv: the rows as they are.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="JSON lines, or Parquet if it ends in .parquet.")
    ],
    seed: Annotated[int, typer.Option(help="Which right sample of a question meets which wrong one in dpo.")] = 0,
    prompt: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The text around a question, where a format holds it: alpaca (the paper's) or plain."
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")] = False,
    trl_config: Annotated[
        Path | None, typer.Option("--trl-config", metavar="FILE", help="Also write a configuration for `trl sft`.")
    ] = None,
    catalog: CatalogFile = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Write an artifact as a file that other trainers read. What it is stands in FILE.rft.json, or in the Parquet's metadata."""
    from eval.prompts import template
    from registry.export import PROMPTED
    from registry.export import export as write
    from registry.lineage import ancestors
    from registry.publish.contamination import role_of

    if str(output) == "-":
        raise UsageError("-o names a file: the record of what it is lies beside it.")
    if prompt and format not in PROMPTED:
        raise UsageError(f"{format} holds the question alone; --prompt goes with {', '.join(PROMPTED)}.")
    registry = Place(catalog, home).registry()
    manifest = registry.load(name).manifest
    if role_of(manifest, ancestors(registry.store, manifest).get) == "test":
        say(f"note: {manifest.id} holds test questions: nothing should be trained on them")
    render = template(prompt or "alpaca").render
    done = write(registry, name, format, output, seed=seed, render=render, overwrite=overwrite, config=trl_config)
    if json:
        print_json(done.record)
        return
    say(f"{output}: {done.rows:,} rows of {done.artifact}, {done.format}")
    for reason, count in done.skipped.items():
        say(f"      not in it: {count:,} {reason}")


# -- the store ------------------------------------------------------------------------------------------------------


@app.command()
def verify(names: SomeNames = None, catalog: CatalogFile = None, home: Home = None, json: Json = False) -> None:
    """Hash every file again and compare it with what was written. Exit code 6 if one differs."""
    from registry.errors import Corrupt
    from registry.text import number

    registry = Place(catalog, home).registry()
    ids = registry.select(names) if names else sorted(registry.store.stamps())
    bad: dict[str, str] = {}
    cures: dict[str, str] = {}
    for id in ids:
        try:
            stored = registry.store.require(id)
            if damage := registry.store.damage(stored, thorough=True):
                bad[str(id)], cures[str(id)] = damage, f"{id}: {damage}. `rft rm {id}` removes it, {stored.manifest.again}."
        except Corrupt as error:
            bad[str(id)] = cures[str(id)] = str(error)
    if json:
        print_json({"checked": len(ids), "corrupt": bad})
    else:
        for line in cures.values():
            print(line)
        say(f"{number(len(ids), 'artifact')} checked, {len(bad)} corrupt")
    if bad:
        raise typer.Exit(6)


@app.command()
def reindex(catalog: CatalogFile = None, home: Home = None) -> None:
    """Make registry.duckdb anew from the artifacts on disk."""
    from registry import index

    store = Place(catalog, home).store()
    index.refresh(store)
    say(f"{len(store.stamps())} artifacts in {index.path(store).name}")


@app.command()
def rm(
    names: Annotated[list[str], typer.Argument(metavar="NAME@V...", help="Exact names.")],
    catalog: CatalogFile = None,
    home: Home = None,
) -> None:
    """Remove artifacts; refused while something built depends on one."""
    from registry.keeping import remove
    from registry.names import parse_id

    store = Place(catalog, home).store()
    for id in remove(store, [parse_id(name) for name in names]):
        say(f"removed {id}")


@app.command()
def gc(
    yes: Annotated[bool, typer.Option("--yes", help="Remove what is listed.")] = False,
    unlisted: Annotated[
        bool,
        typer.Option(
            "--unlisted",
            help="Also artifacts that the catalog does not list and nothing uses, and draws of models that are gone.",
        ),
    ] = False,
    catalog: CatalogFile = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """List what can go: leftovers of killed builds and, with --unlisted, artifacts the catalog does not list."""
    from registry.keeping import collect, garbage
    from registry.text import number, size

    place = Place(catalog, home)
    found = garbage(place.store(), set(place.catalog().entries) if unlisted else None)
    if yes:
        collect(place.store(), found)
    if json:
        print_json(
            {
                "removed": yes,
                "leftovers": found.leftovers,
                "artifacts": [str(id) for id in found.artifacts],
                "checkpoints": [folder.name for folder in found.work],
                "draws": [kept.words for kept in found.draws],
                "bytes": found.bytes,
            }
        )
        return
    what = number(found.leftovers, "leftover") + " of killed builds"
    if unlisted:
        what += f", {number(len(found.artifacts), 'unlisted artifact')}, {size(found.bytes)}"
    print(f"{'removed' if yes else 'would remove'}: {what}")
    for line in (
        *map(str, found.artifacts),
        *(f"checkpoints of {folder.name}" for folder in found.work),
        *(f"{kept.draws:,} draws of {kept.words}" for kept in found.draws),
    ):
        print(f"  {line}")
    if not yes and (found.leftovers or found.artifacts or found.work or found.draws):
        say("nothing was removed yet; --yes removes")


# -- the process ------------------------------------------------------------------------------------------------------


class Stopped(BaseException):
    """SIGINT (Ctrl-C) or SIGTERM arrived."""

    by: int | None = None  # the signal


def _stop(number: int, frame: object) -> NoReturn:
    Stopped.by = number
    raise Stopped


def main() -> None:
    """Run the command; our own errors are printed without a traceback, anything else keeps it."""
    if sys.platform == "win32":
        sys.exit("rft runs on Linux and macOS.")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    # Torch's threads wait for each other by spinning. Beside any other program the default (300,000 rounds) makes
    # the training of a small model a hundred times slower; this many cost nothing on idle cores.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    logging.getLogger("stamina").disabled = True  # that something is tried again is said, not logged
    signal.signal(signal.SIGINT, _stop)
    signal.signal(signal.SIGTERM, _stop)
    try:
        app()
    except (RftError, Stopped, RuntimeError) as error:
        if Stopped.by is not None:  # DuckDB says RuntimeError where it was interrupted
            say("stopped. What was finished is kept; the same command goes on from there.")
            sys.exit(128 + Stopped.by)
        if not isinstance(error, RftError):
            raise
        say(f"error: {error}")
        sys.exit(error.exit_code)
