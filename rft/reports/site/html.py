"""How values stand in a page: text of models stays text, numbers are aligned, artifacts link to their pages.

Every template escapes what it is given. What is HTML already is `Markup`, and is made here or in a template only.
"""

import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from registry.errors import InputError
from registry.names import ArtifactId
from registry.query.api import Registry
from registry.text import cell, escaped
from rft.reports.table import Bar, Table

SVG_SIZE = re.compile(rb'<svg[^>]* width="([0-9.]+)pt" height="([0-9.]+)pt"')
LONGEST = 4_000  # characters of one text in a page
NUMBER = re.compile(r"-?[0-9][0-9,]*(\.[0-9]+)?(e[+-]?[0-9]+)?( ?%| [kMGT]?B)?")


@dataclass(frozen=True)
class Link:
    """An artifact, with the file of its page; None: it has no page."""

    text: str
    href: str | None


@cache
def environment() -> Environment:
    """Return the templates; what they are given is escaped, and a name they do not know is an error."""
    made = Environment(
        loader=PackageLoader("rft.reports.site", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters.update(text=text, shown=shown, right=right)
    made.tests |= {
        "number": is_number,
        "link": lambda value: isinstance(value, Link),
        "bar": lambda value: isinstance(value, Bar),
    }
    return made


def text(value: str, longest: int = LONGEST) -> Markup:
    """Return text from outside, isolated: what could reorder, hide or control is written out (\\u202e)."""
    safe = escaped(value.replace("\r\n", "\n"))
    more = f"... ({len(safe) - longest:,} characters more)" if len(safe) > longest else ""
    return Markup("<bdi>{}</bdi>").format(safe[:longest] + more)


def shown(value: Any) -> str | Markup:
    """Return a value of a table."""
    return text(value) if isinstance(value, str) and not is_number(value) else cell(value, LONGEST)


def is_number(value: Any) -> bool:
    """Whether a value is one that stands to the right."""
    if isinstance(value, Link):
        return is_number(value.text)
    if isinstance(value, str):
        return NUMBER.fullmatch(value) is not None
    return isinstance(value, int | float) and not isinstance(value, bool)


def right(table: Table) -> list[bool]:
    """Return of each column whether it stands to the right: numbers, and nothing else but gaps."""
    columns = list(zip(*table.rows, strict=True)) or [() for _ in table.columns]
    return [any(map(is_number, column)) and all(v is None or is_number(v) for v in column) for column in columns]


def figure(svg: bytes, caption: str, alt: str) -> Markup:
    """Return a picture for a page: its own scrolling box, a caption, and `alt` for who does not see it.

    The SVG stands in the page as an image: what is in it can run nothing, load nothing, and meet no name of the page.
    """
    size = SVG_SIZE.search(svg)
    pixels = [round(float(points) * 4 / 3) for points in size.groups()] if size else None
    source = f"data:image/svg+xml;base64,{b64encode(svg).decode()}"
    template = environment().get_template("figure.html.jinja")
    return Markup(template.render(source=source, pixels=pixels, caption=caption, alt=alt))


def drawn(names: Iterable[str], registry: Registry, ids: Sequence[ArtifactId]) -> tuple[list[Markup], list[str]]:
    """Return figures of `rft plot`, and why others could not be drawn."""
    from rft.reports.figures.catalogue import FIGURES, draw

    found, missing = [], []
    for name in names:
        try:
            made = draw(name, registry, ids)
        except InputError as error:
            missing.append(str(error))
        else:
            found.append(figure(made.written("svg"), FIGURES[name].about, made.alt))
    return found, missing
