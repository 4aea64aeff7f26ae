"""Commands that give and take: check, push, pull, export."""

from pathlib import Path
from typing import Annotated

import typer

from registry.errors import InputError, UsageError
from rft.app import CatalogFile, Home, Json, Name, Names, Place, Quiet, app, print_json, print_lines, say

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
    from rft.publish.gate.check import check as look

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
    from rft.publish.gate.check import check as look
    from rft.publish.remote.layout import lay_out
    from rft.publish.remote.push import preview
    from rft.publish.remote.push import push as send

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
    from registry.text import number
    from rft.publish.remote.pull import pull as take

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
        for m, new in ((one.record, one.new) for one in done)
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
    from inference.prompts import template
    from registry.store.lineage import ancestors
    from rft.export.export import PROMPTED
    from rft.export.export import export as write
    from rft.publish.gate.contamination import role_of

    if str(output) == "-":
        raise UsageError("-o names a file: the record of what it is lies beside it.")
    if prompt and format not in PROMPTED:
        raise UsageError(f"{format} holds the question alone; --prompt goes with {', '.join(PROMPTED)}.")
    registry = Place(catalog, home).registry()
    record = registry.load(name).record
    if role_of(record, ancestors(registry.store, record).get) == "test":
        say(f"note: {record.id} holds test questions: nothing should be trained on them")
    render = template(prompt or "alpaca").render
    done = write(registry, name, format, output, seed=seed, render=render, overwrite=overwrite, config=trl_config)
    if json:
        print_json(done.record)
        return
    say(f"{output}: {done.rows:,} rows of {done.artifact}, {done.format}")
    for reason, count in done.skipped.items():
        say(f"      not in it: {count:,} {reason}")
