"""What the engines have in common that ask elsewhere: many requests in flight at once."""

import asyncio
import queue
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from itertools import chain
from threading import Thread
from typing import Any, TypeVar

from inference.engines import Completion, Request
from registry.errors import RemoteError

T = TypeVar("T")
# A list of completions is yielded after so long, or when it has so many: each is stored with one fsync.
SECONDS, DRAWS = 0.5, 256


class Loop:
    """An event loop in a thread of its own.

    A thread, so that requests stay in flight while the caller stores what it was given, so that a signal interrupts the
    caller where it waits, and so that a notebook, which has a loop already, can use an engine.
    """

    def __init__(self) -> None:
        started: Future[asyncio.AbstractEventLoop] = Future()
        self._thread = Thread(target=_serve, args=(started,), name="engine", daemon=True)
        self._thread.start()
        self._loop = started.result()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what `work` returns, or raise what it raises."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def completions(
        self,
        requests: Sequence[Request],
        answer: Callable[[Request], Coroutine[Any, Any, Completion]],
        window: int,
        patience: float = float("inf"),
    ) -> Iterator[list[Completion]]:
        """Yield the answers as they are finished, with at most `window` requests in flight.

        Requests with the same prompt are sent one after the other: a server computes a prompt once while it remembers it.
        Raises what the first failing `answer` raises, after what was finished before; the others are cancelled then, as
        they are when the generator is closed. Raises RemoteError if nothing is finished for `patience` seconds.
        """
        finished: queue.SimpleQueue[Completion] = queue.SimpleQueue()
        flight = asyncio.run_coroutine_threadsafe(_fly(by_prompt(requests), answer, window, finished), self._loop)
        try:
            batch, since = [], time.monotonic()
            last = since
            while not (flight.done() and finished.empty()):  # in this order: nothing is put once the flight is over
                with suppress(queue.Empty):
                    batch.append(finished.get(timeout=0.05))
                    last = time.monotonic()
                if batch and (len(batch) == DRAWS or time.monotonic() - since > SECONDS):
                    yield batch
                    batch, since = [], time.monotonic()
                    last = since  # what the caller took its time for is not the engine's
                if time.monotonic() - last > patience:
                    raise RemoteError(
                        f"The engine finished nothing for {patience:,.0f} s: it hangs. What was drawn is kept; the same command goes on from there."
                    )
            if batch:
                yield batch
            flight.result()
        finally:
            flight.cancel()

    def close(self) -> None:
        """Cancel what is in flight and end the thread."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()


def by_prompt(requests: Sequence[Request]) -> list[Request]:
    """Return the requests with those of one prompt together, in the order in which the prompts first come."""
    groups: dict[tuple[int, ...], list[Request]] = {}
    for request in requests:
        groups.setdefault(request.prompt, []).append(request)
    return list(chain.from_iterable(groups.values()))


def before(text: str, stop: Sequence[str]) -> str:
    """Return `text` up to the first of the texts `stop`, without it."""
    return text[: min((place for word in stop if (place := text.find(word)) >= 0), default=None)]


def _serve(started: Future[asyncio.AbstractEventLoop]) -> None:
    with asyncio.Runner() as runner:  # its end cancels every task and closes the loop
        started.set_result(runner.get_loop())
        runner.get_loop().run_forever()


async def _fly(
    requests: Sequence[Request],
    answer: Callable[[Request], Coroutine[Any, Any, Completion]],
    window: int,
    finished: queue.SimpleQueue[Completion],
) -> None:
    waiting = iter(requests)

    async def fly() -> None:
        for request in waiting:  # the flights share one iterator
            finished.put(await answer(request))

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(window, len(requests))):
                group.create_task(fly())
    except ExceptionGroup as failed:  # when an engine dies, every flight fails of it
        raise failed.exceptions[0] from None
