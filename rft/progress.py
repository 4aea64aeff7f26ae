"""Progress of a build: a bar on a terminal, a line every ten seconds elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registry.maker import Progress

EVERY = 10.0  # seconds


@contextmanager
def bar(title: str, *, quiet: bool) -> "Iterator[Progress]":
    """Yield a function to call with how much is done, of how much, what is counted, and what else there is to say."""
    from registry.maker import nothing

    if quiet:
        yield nothing
    elif sys.stderr.isatty():
        yield from _on_terminal(title)
    else:
        yield _lines(title)


def _on_terminal(title: str) -> "Iterator[Progress]":
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[says]}", markup=False),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(title, total=None, says="")
        yield lambda done, of, unit, says: shown.update(
            task, completed=done, total=of or None, says=_words(done, of, unit, says)
        )


def _lines(title: str) -> "Progress":
    last = time.monotonic()

    def line(done: int, of: int, unit: str, says: str) -> None:
        nonlocal last
        if time.monotonic() - last >= EVERY:
            last = time.monotonic()
            print(f"{title}: {_words(done, of, unit, says)}", file=sys.stderr, flush=True)

    return line


def _words(done: int, of: int, unit: str, says: str) -> str:
    return f"{done:,}{f' of {of:,}' if of else ''} {unit}{', ' if says else ''}{says}"
