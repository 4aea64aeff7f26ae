"""Commands that keep the store: verify, reindex, rm, gc."""

from typing import Annotated

import typer

from rft.app import CatalogFile, Home, Json, Place, SomeNames, app, print_json, say


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
                bad[str(id)], cures[str(id)] = damage, f"{id}: {damage}. `rft rm {id}` removes it, {stored.record.again}."
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
    from registry.query import index

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
    from registry.names import parse_id
    from rft.removal import remove

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
    from registry.text import number, size
    from rft.removal import collect, garbage

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
