"""Commands that count, compare and expect: stats, scores, models, diff, laws, advise, cost."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from registry.errors import InputError
from rft.app import (
    CatalogFile,
    Device,
    Home,
    Json,
    Name,
    Names,
    Place,
    Price,
    PriceIn,
    PriceOut,
    SomeNames,
    Utilisation,
    app,
    print_json,
    print_table,
    say,
)

if TYPE_CHECKING:
    from registry.query.api import Artifact


@app.command()
def stats(
    names: Names,
    checkers: Annotated[
        bool,
        typer.Option(
            "--checkers", help="Instead, list the samples that the data's own label or a simpler mode judges otherwise."
        ),
    ] = False,
    catalog: CatalogFile = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Count right answers and distinct reasoning paths of rejection sets, unions and evals.

    Means are per question, over all questions. A path counts when its answer is right and every equation holds.
    """
    registry = Place(catalog, home).registry()
    if checkers:
        _checkers([registry.load(str(id)) for id in registry.select(names)], json)
        return
    from rft.reports.paths import report, statistics

    found = [statistics(registry.load(str(id))) for id in registry.select(names)]
    print_json([s.as_dict() for s in found]) if json else print("\n\n".join(report(s) for s in found))


def _checkers(artifacts: "list[Artifact]", json: bool) -> None:
    from rft.progress import bar
    from rft.reports.checkers import checkers, report

    with bar("checkers", quiet=json) as progress:
        found = [checkers(artifact, progress) for artifact in artifacts]
    print_json([f.as_dict() for f in found]) if json else print("\n\n".join(report(f) for f in found))


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
    from rft.reports.scores import scores as table

    print_table(*table(found))


@app.command()
def models(names: SomeNames = None, catalog: CatalogFile = None, home: Home = None, json: Json = False) -> None:
    """Compare models: pre-training loss, training set, distinct paths per question, greedy accuracy (maj1@1).

    Models that differ only in their seed share a line: the mean, then each. The interval is a 95 % bootstrap over
    questions and does not cover the choice of the seed.
    """
    from rft.reports.models import scaling, side_by_side

    registry = Place(catalog, home).registry()
    ids = registry.select(names) if names else sorted(registry.store.stamps())
    found = scaling(registry, ids)
    if json:
        print_json([row.as_dict() for row in found])
        return
    columns, rows = side_by_side(found)
    print_table(columns, rows)
    if not rows:
        say("no model is built yet.")


@app.command()
def diff(
    a: Name,
    b: Name,
    other: Annotated[Path | None, typer.Option("--other", metavar="DIR", help="The store of B; default: that of A.")] = None,
    catalog: CatalogFile = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Compare two artifacts: rows, paths added and removed, questions solved gained and lost, verdicts that changed."""
    from registry.query.api import open_registry
    from rft.reports.diff import difference

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
    if found.verdicts:
        print("\nsamples whose verdict changed")
        changes = [(v["before"], v["after"], v["samples"], _change(v["examples"][0])) for v in found.verdicts]
        print_table([f"in {found.a}", f"in {found.b}", "samples", "for example"], changes)


def _change(sample: dict[str, Any]) -> str:
    answers = [sample["answer"], sample["answer_after"]]
    read = " and ".join("none" if answer is None else answer for answer in dict.fromkeys(answers))
    return f"{sample['question_id']} draw {sample['draw']} of {sample['source']}, answer {read}"


@app.command()
def laws(names: SomeNames = None, catalog: CatalogFile = None, home: Home = None, json: Json = False) -> None:
    """Fit accuracy against pre-training loss, human data and draws: the paper's scores, and those of models NAME....

    Ordinary least squares. The interval of a slope is from the residuals; "left out" is the error in points when each point is
    predicted by the others. Nothing is said beyond the range of x.
    """
    from rft.reports.laws import laws as fitted
    from rft.reports.laws import report

    registry = Place(catalog, home).registry()
    found = fitted(registry, registry.select(names) if names else [])
    print_json(found.as_dict()) if json else print(report(found))


@app.command()
def advise(
    name: Name,
    k: Annotated[int | None, typer.Option("--k", min=1, help="Predict from the draws below K; default: all.")] = None,
    predict: Annotated[
        int | None, typer.Option("--predict", min=2, metavar="M", help="Predict for M draws; default: twice as many.")
    ] = None,
    device: Device = None,
    utilisation: Utilisation = None,
    price: Price = None,
    price_in: PriceIn = None,
    price_out: PriceOut = None,
    catalog: CatalogFile = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Estimate how many new reasoning paths more draws would give, by source and by how hard the questions are.

    From how often each path was seen (Good and Toulmin), up to four times the draws there are, with a 95 % interval for what would
    be counted. "Unseen at least" is Chao's lower bound, however many draws are made. Tokens, GPU hours and money are those of `rft cost`.
    """
    from dataclasses import replace

    from registry.catalog.plan import plan
    from rft.reports.advise import advise as advice
    from rft.reports.advise import report
    from rft.reports.costs import Terms, of_draws

    terms, place = Terms(device, utilisation, price, price_in, price_out), Place(catalog, home)
    registry, lines = place.registry(), place.catalog_if_any()
    found = advice(registry.load(name), k, predict)
    steps = plan(lines, registry.store) if lines else {}
    folder = lines.folder if lines else registry.store.home
    found = replace(found, spent=of_draws(found.more(), steps, registry.store, folder, terms))
    print_json(found.as_dict()) if json else print(report(found))


@app.command()
def plot(
    figure: Annotated[str | None, typer.Argument(metavar="[FIGURE]", help="Without it, the figures are listed.")] = None,
    names: SomeNames = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="A .svg, .png or .pdf; default: FIGURE.svg.")
    ] = None,
    catalog: CatalogFile = None,
    home: Home = None,
) -> None:
    """Draw a figure of the paper with one's own points, or of one's own data; print the name of the file.

    The published points are drawn beside those of NAME.... The caption says what is shown, and of how many.
    """
    from rft.reports.figures.catalogue import FIGURES, draw

    if figure is None:
        print_table(["figure", "shows", "NAME..."], [(name, one.about, one.of) for name, one in FIGURES.items()])
        return
    registry = Place(catalog, home).registry()
    file = out or Path(f"{figure}.svg")
    draw(figure, registry, registry.select(names) if names else []).save(file)
    print(file)


@app.command()
def cost(
    names: Names,
    device: Device = None,
    utilisation: Utilisation = None,
    price: Price = None,
    price_in: PriceIn = None,
    price_out: PriceOut = None,
    catalog: CatalogFile = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Say what lines and all that they need will cost, and what they took.

    Draws, tokens, FLOPs, GPU hours, bytes and money. Tokens are those that a similar built line took, else those of the texts,
    else the paper's for GSM8K, else unknown. FLOPs are the paper's formulas; hours are FLOPs / (peak of the device x utilisation). Draws that are there already are counted like others: `rft build --dry-run` tells them apart.
    """
    from registry.catalog.plan import plan
    from rft.reports.costs import Terms, all_for, costs, report

    terms, place = Terms(device, utilisation, price, price_in, price_out), Place(catalog, home)
    lines, store = place.catalog_if_any(), place.store()
    steps = plan(lines, store) if lines else {}
    found = costs(all_for(names, steps, store), steps, store, lines.folder if lines else store.home, terms)
    print_json(found.as_dict()) if json else print(report(found))
