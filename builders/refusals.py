"""Rows of a file that cannot be used: how many are too many, and how to say so."""

from collections.abc import Iterable

import polars as pl

from registry.errors import InputError

MAX_SHOWN = 20  # names of ignored columns: a file may have one of its own on every line
MAX_NAME = 60


def check_refused(rows: pl.DataFrame, max_refused: float, what: str, *, harmless: tuple[str, ...] = ()) -> None:
    """Raise InputError if more than a share of `max_refused` of `rows` has a reason in `drop`, or if there are none.

    The message counts the reasons and shows the first lines. Reasons in `harmless` do not count.
    """
    if not rows.height:
        raise InputError(f"the file has no {what}. Make it again.")
    refused = rows.filter(pl.col("drop").is_not_null() & ~pl.col("drop").is_in(harmless))
    if refused.height <= max_refused * rows.height:
        return
    counts = ", ".join(f"{n} {reason}" for reason, n in refused["drop"].value_counts(sort=True).iter_rows())
    first = "\n".join(
        f"  line {line}: {reason}{f' ({detail})' if detail else ''}"
        for line, reason, detail in refused.head(5).select("line", "drop", "detail").iter_rows()
    )
    raise InputError(
        f"{refused.height} of {rows.height} {what} are refused ({counts}), more than max_refused: {max_refused}.\n{first}\n"
        f"Mend the file, or raise max_refused in the line."
    )


def ignored(names: Iterable[str]) -> list[str]:
    """Return a note on the columns that were not read, or none."""
    shown = sorted(names)
    if not shown:
        return []
    more = f" and {len(shown) - MAX_SHOWN} more" if len(shown) > MAX_SHOWN else ""
    return [f"ignored columns: {', '.join(name[:MAX_NAME] for name in shown[:MAX_SHOWN])}{more}"]
