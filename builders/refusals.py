"""Rows of a file that cannot be used: how many are too many, and how to say so."""

import polars as pl

from registry.errors import InputError


def check_refused(rows: pl.DataFrame, max_refused: float, what: str, *, harmless: tuple[str, ...] = ()) -> None:
    """Raise InputError if more than a share of `max_refused` of `rows` has a reason in `drop`.

    The message counts the reasons and shows the first lines. Reasons in `harmless` do not count.
    """
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
