"""Progress of a build: a bar on a terminal, a line every ten seconds elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registry.run import Progress

EVERY = 10.0  # seconds


@contextmanager
def bar(title: str, *, quiet: bool) -> "Iterator[Progress | None]":
    """Yield a function to call with (questions done, questions in all, rows so far); None if `quiet`."""
    if quiet:
        yield None
    elif sys.stderr.isatty():
        yield from _on_terminal(title)
    else:
        yield _lines(title)


def _on_terminal(title: str) -> "Iterator[Progress]":
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[rows]:,} rows"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(title, total=None, rows=0)
        yield lambda done, of, rows: shown.update(task, completed=done, total=of or None, rows=rows)


def _lines(title: str) -> "Progress":
    last = time.monotonic()

    def line(done: int, of: int, rows: int) -> None:
        nonlocal last
        if time.monotonic() - last >= EVERY:
            last = time.monotonic()
            print(f"{title}: {f'{done:,} of {of:,} questions, ' if of else ''}{rows:,} rows", file=sys.stderr)

    return line
