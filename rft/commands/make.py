"""Commands that say what should exist, and make it: init, plan, build, import, renew."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from registry.errors import InputError, RftError, UsageError
from rft.app import (
    CatalogFile,
    Device,
    Home,
    Json,
    Place,
    Price,
    PriceIn,
    PriceOut,
    Quiet,
    Said,
    SomeNames,
    Utilisation,
    app,
    print_json,
    print_table,
    say,
)

if TYPE_CHECKING:
    from registry.build.build import Built


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
def plan(
    names: SomeNames = None,
    cost: Annotated[
        bool, typer.Option("--cost", help="Instead, say what it would cost to build these: `rft cost` of what is missing.")
    ] = False,
    device: Device = None,
    utilisation: Utilisation = None,
    price: Price = None,
    price_in: PriceIn = None,
    price_out: PriceOut = None,
    catalog: CatalogFile = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Say for each line of the catalog what state it is in, and why.

    Exit code 6 if a line is edited, drifted or corrupt.
    """
    from registry.catalog.plan import needed, select

    lines, store, steps = Place(catalog, home).plan()
    shown = select(steps, names) if names else list(steps.values())
    if cost:
        from rft.reports.costs import Terms, costs, report

        todo = needed(steps, shown if names else [step for step in shown if step.state == "build"])
        found = costs([s.id for s in todo], steps, store, lines.folder, Terms(device, utilisation, price, price_in, price_out))
        print_json(found.as_dict()) if json else print(report(found))
        return
    if any(said is not None for said in (device, utilisation, price, price_in, price_out)):
        raise UsageError("--device, --utilisation and prices are about costs: say --cost too.")
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
    from registry.build.build import build_all, keep_log, preview
    from registry.build.processes import rank
    from registry.catalog.plan import needed, select
    from registry.maker import Options
    from registry.query.api import Artifact
    from rft.progress import bar
    from rft.reports.verdicts import of_one_kind

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
    made = build_all(todo, store, lines.folder, options=options, watch=lambda step: bar(f"{step.id}", quiet=quiet))
    try:
        for place, built in enumerate(made, 1):
            done.append(_built(built))
            if not quiet:
                _say_built(built, place, len(todo))
                if warning := of_one_kind(Artifact(store.require(built.record.id), store)):
                    say(f"      warning: {warning}")
    except RftError:
        if len(todo) > 1:
            say(f"{len(done)} of {len(todo)} built; what follows was not tried")
        raise
    there = sum(step.state == "ok" for step in targets)
    if not quiet:
        say(f"{len(done)} built, {there} {'was' if there == 1 else 'were'} there already")
    if json:
        print_json(done)


def _built(built: "Built") -> dict[str, Any]:
    m = built.record
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
    m = built.record
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
    from rft.import_file import import_file

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


@app.command()
def renew(
    names: SomeNames = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the lines, write nothing.")] = False,
    catalog: CatalogFile = None,
    home: Home = None,
) -> None:
    """Write the next version of every line that older rules made, and of all that rests on one; `rft build` makes them."""
    from registry.catalog.plan import select
    from rft.renewal import renewals, write

    lines, store, steps = Place(catalog, home).plan()
    found = renewals(steps, lines, store, [step.id for step in select(steps, names)] if names else None)
    print_table(["line", "next", "why"], [(str(one.old), str(one.new.id), one.why) for one in found], longest=1000)
    if not dry_run:
        write(found, lines)
    say(f"{'would write' if dry_run else 'wrote'} {len(found)} lines to {lines.file.name}")
    say(f"next: rft build {' '.join(str(one.new.id) for one in found)}")
