"""A table for people: what a command prints as text and a page shows as HTML, and the SQL that gives it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from registry.text import table


@dataclass(frozen=True)
class Bar:
    """A cell that shows a share of the longest bar of its table; as text, up to 40 blocks."""

    share: float

    def __str__(self) -> str:
        return "█" * max(1, round(40 * self.share))


@dataclass(frozen=True)
class Table:
    """`sql`: one SELECT for `rft sql` that gives the same numbers, or an empty string."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    sql: str = ""
    note: str = ""

    def __str__(self) -> str:
        return f"{self.title}\n{table(self.columns, self.rows)}"


def literal(value: Any) -> str:
    """Return a text, a number or a list of them as SQL has it."""
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(literal, value))}]"
    return "null" if value is None else str(value)


def quoted(name: str) -> str:
    """Return the name of a view as SQL has it: "demo-rft@1"."""
    return '"' + name.replace('"', '""') + '"'
