"""What the commands of rft share: their options, where they work, and how they print. Data goes to stdout, talk to stderr."""

import json as json_module
import logging
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from registry.catalog.plan import Step
    from registry.catalog.read import Catalog
    from registry.query.api import Registry
    from registry.store.store import Store

app = typer.Typer(
    help="Build, register and query datasets of reasoning paths.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # rich would draw boxes, and takes as long to import as all else that the help page needs
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
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
Device = Annotated[str | None, typer.Option(metavar="D", help="The GPU to plan for, like H100 or 'A100 80GB'.")]
Utilisation = Annotated[
    float | None, typer.Option(metavar="U", help="Share of its peak that is reached; default: as measured, or as the paper's.")
]
Price = Annotated[float | None, typer.Option(metavar="P", help="Of a GPU hour.")]
PriceIn = Annotated[float | None, typer.Option(metavar="P", help="Of a million tokens of prompts, where a server draws.")]
PriceOut = Annotated[float | None, typer.Option(metavar="P", help="Of a million tokens of completions, where a server draws.")]


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
        from registry.catalog import read as catalog

        return self.catalog_option or catalog.find(Path.cwd())

    def catalog(self) -> "Catalog":
        from registry.catalog import read as catalog

        return catalog.read(self.catalog_file)

    def catalog_if_any(self) -> "Catalog | None":
        """Return the catalog, or None where there is none: a store may be used without."""
        from registry.errors import NotFound

        try:
            file = self.catalog_file
        except NotFound:
            return None
        from registry.catalog import read as catalog

        return catalog.read(file)

    def home(self) -> Path:
        from registry.catalog.read import default_home

        return default_home(self.home_option, self.catalog_option)

    def store(self) -> "Store":
        from registry.store.store import Store

        return Store(self.home())

    def registry(self) -> "Registry":
        from registry.query.api import Registry

        return Registry(self.home())

    def plan(self) -> "tuple[Catalog, Store, dict[Any, Step]]":
        from registry.catalog.plan import plan

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
