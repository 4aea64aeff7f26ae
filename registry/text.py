"""How the command prints: aligned tables, and model text that cannot move the cursor."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], longest: int = 60) -> str:
    """Return rows under a header, numbers to the right; cells are escaped and cut at `longest` characters."""
    cells = [[cell(value, longest) for value in row] for row in rows]
    numeric = [bool(cells) and all(_is_number(row[i]) for row in cells) for i in range(len(columns))]
    widths = [max(len(column), *(len(row[i]) for row in cells), 0) for i, column in enumerate(columns)]

    def line(row: Sequence[str]) -> str:
        parts = (text.rjust(w) if right else text.ljust(w) for text, w, right in zip(row, widths, numeric, strict=True))
        return "  ".join(parts).rstrip()

    return "\n".join([line(columns), *map(line, cells)])


def aligned(rows: Iterable[Sequence[str]]) -> str:
    """Return rows of text in columns, without a header; they are escaped."""
    cells = [[escaped(text) for text in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(text.ljust(w) for text, w in zip(row, widths, strict=True)).rstrip() for row in cells)


def cell(value: Any, longest: int = 60) -> str:
    """Return a value as one short line."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 0.01 and value else f"{value:,.2f}"
    if isinstance(value, int):
        return f"{value:,}"
    text = escaped(str(value).replace("\n", "\\n"))
    return text if len(text) <= longest else text[: longest - 3] + "..."


def _is_number(text: str) -> bool:
    return text == "-" or text.replace(",", "").replace(".", "", 1).lstrip("-").isdigit()


def escaped(text: str) -> str:
    """Return `text` with control characters, and those that reorder or hide text, written as \\x1b, \\u202e and so on."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" or c == "\u00a0" else c.encode("unicode_escape").decode() for c in text)


def first_refused(rows: "pl.DataFrame", most: int = 5) -> str:
    """Return the first refused rows (with line, drop and detail), a line each."""
    lines = [
        f"  line {line}: {reason}{f' ({detail})' if detail else ''}"
        for line, reason, detail in rows.sort("line").head(most).select("line", "drop", "detail").iter_rows()
    ]
    return escaped("\n".join(lines + ([f"  and {rows.height - most:,} more"] if rows.height > most else [])))


def number(count: int, what: str) -> str:
    """Return "1 artifact" or "3 artifacts"."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def size(count: int) -> str:
    """Return a number of bytes as people read it: 1.4 MB."""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def fact(name: str, value: Any) -> str:
    """Return a fact of a record as people read it."""
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


def blocks(rows: Iterable[dict[str, Any]]) -> str:
    """Return rows one under another, a field a line; long text keeps its lines, indented under the field's name."""
    texts = []
    for row in rows:
        width = max(len(name) for name in row)
        lines = []
        for name, value in row.items():
            text = escaped(value) if isinstance(value, str) else cell(value)
            lines.append(f"{name.ljust(width)}  {text.replace(chr(10), chr(10) + ' ' * (width + 2))}")
        texts.append("\n".join(lines))
    return "\n\n".join(texts)
