"""Rows of a file that cannot be used: how many are too many, and how to say so."""

from collections.abc import Iterable
from typing import Annotated

import polars as pl
from annotated_types import Ge, Le

from registry.errors import InputError
from registry.text import first_refused

Share = Annotated[float, Ge(0), Le(1)]

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
    hint = ""
    if refused.height == rows.height and set(refused["drop"]) == {"not_json"}:
        hint = " JSON lines (one object a line) and Parquet are read; this is neither."
    raise InputError(
        f"{refused.height} of {rows.height} {what} are refused ({counts}), more than max_refused: {max_refused}.{hint}\n"
        f"{first_refused(refused)}\nMend the file, or raise max_refused (--max-refused of `rft import`)."
    )


def ignored(names: Iterable[str]) -> list[str]:
    """Return a note on the columns that were not read, or none."""
    shown = sorted(names)
    if not shown:
        return []
    more = f" and {len(shown) - MAX_SHOWN} more" if len(shown) > MAX_SHOWN else ""
    return [f"ignored columns: {', '.join(name[:MAX_NAME] for name in shown[:MAX_SHOWN])}{more}"]
