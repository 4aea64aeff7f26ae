"""Whether two answers are equal as mathematics: math-verify and sympy, in processes that may die.

An expression may take sympy for ever, or all memory, so each pair is decided in a worker with a limit of processor time and of
memory. sympy's parser evaluates the number tokens that it finds, so an audit hook refuses what no comparison needs: starting
programs, writing files, the network. That is a guard and no sandbox. A worker that dies of anything else is replaced and its pair
asked again; a pair that ends at its limit twice is not decided (None): never right, never wrong.
"""

import contextlib
import logging
import multiprocessing
import os
import resource
import signal
import sys
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from multiprocessing.connection import Connection, wait
from typing import Any

from eval.grading.rules import RULES, Rules
from eval.grading.structures import equations
from registry.errors import OutOfResources, UsageError
from registry.maker import Checker, Pair

SECONDS = 5  # of processor time for a pair
MEMORY = 2 * 2**30  # bytes of address space above what a worker has when it starts
PATIENCE = 120.0  # seconds of waiting after which a worker that uses no processor time is killed
DEATHS = 20  # of workers on one pair, by other hands, after which somebody should be told


def checker(params: Mapping[str, Any]) -> Checker | None:
    """Return what compares answers for a line with these parameters, where numbers and structures cannot tell."""
    return sys.modules[__name__] if RULES[params["mode"]].structures else None


def checked_by(rules: Rules) -> dict[str, Any]:
    """Return what the record says of the checker, if the rules have one."""
    return {"checker": version()} if rules.structures else {}


def version() -> str:
    """Return what decides, with versions; UsageError if it is not installed."""
    try:
        return ", ".join(f"{name} {metadata.version(name)}" for name in ("math-verify", "latex2sympy2_extended", "sympy"))
    except metadata.PackageNotFoundError as error:
        raise UsageError(
            f"mode: math compares expressions with math-verify, and {error.name} is not installed: `pip install '.[math]'` in a checkout of rft."
        ) from error


def decide(pairs: Iterable[Pair], workers: int = 0, *, seconds: int = SECONDS) -> Iterator[tuple[Pair, bool | None]]:
    """Yield each (gold, answer) with whether they are equal, None if that could not be decided, in any order.

    `workers`: processes (0: one for each core); `seconds` of processor time that a pair may take.
    """
    waiting = deque(dict.fromkeys(pairs))
    team = [_Worker(seconds) for _ in range(min(workers or len(os.sched_getaffinity(0)), len(waiting)))]
    limits: Counter[Pair] = Counter()
    deaths: Counter[Pair] = Counter()
    try:
        while waiting or any(worker.pair for worker in team):
            for worker in team:
                if waiting and not worker.pair:
                    worker.ask(waiting.popleft())
            busy = {worker.connection: worker for worker in team if worker.pair}
            ready = wait(list(busy), PATIENCE)
            for connection in ready or list(busy):
                worker = busy[connection]  # type: ignore[index]
                pair = worker.pair
                assert pair is not None
                answered, equal = worker.answer() if ready else (False, None)
                if answered:
                    yield pair, equal
                    continue
                if worker.end() or not ready:
                    limits[pair] += 1
                else:
                    deaths[pair] += 1
                if deaths[pair] > DEATHS:
                    raise OutOfResources("the processes that compare answers are killed again and again. Free some memory.")
                if limits[pair] == 2:
                    yield pair, None
                else:
                    waiting.append(pair)
                team[team.index(worker)] = _Worker(seconds)
    finally:
        for worker in team:
            worker.end()


@dataclass
class _Worker:
    """A process that decides one pair after the other."""

    seconds: int
    pair: Pair | None = None
    connection: "Connection[Any, Any]" = field(init=False)

    def __post_init__(self) -> None:
        context = multiprocessing.get_context("spawn")  # a fork copies locks that threads of polars hold
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, self.seconds), daemon=True)
        self.process.start()
        theirs.close()

    def ask(self, pair: Pair) -> None:
        self.pair = pair
        with contextlib.suppress(OSError):  # it died: its end of the pipe is found closed when the answer is read
            self.connection.send(pair)

    def answer(self) -> tuple[bool, bool | None]:
        """Return whether there is an answer, and the answer."""
        try:
            equal = self.connection.recv()
        except (EOFError, OSError):
            return False, None
        self.pair = None
        return True, equal

    def end(self) -> bool:
        """End the process; return whether it had come to its limit."""
        self.connection.close()
        self.process.join(0.05 if self.pair else 1.0)
        if self.process.is_alive():
            self.process.kill()
        self.process.join()
        return self.process.exitcode in (-signal.SIGXCPU, _NO_MEMORY)


_NO_MEMORY = 77  # exit code


def _serve(connection: "Connection[Any, Any]", seconds: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    logging.disable(logging.CRITICAL)
    from math_verify import parse, verify

    verify(
        parse("$1$", parsing_timeout=None), parse("$1$", parsing_timeout=None), timeout_seconds=None
    )  # imports what it needs
    _limit_memory()
    sys.addaudithook(_forbid)
    with contextlib.suppress(EOFError, OSError):
        while True:
            pair = connection.recv()
            used = resource.getrusage(resource.RUSAGE_SELF)
            soft = int(used.ru_utime + used.ru_stime) + 1 + seconds
            resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))
            try:
                gold, answer = (parse(f"${text}$", parsing_timeout=None, raise_on_error=True) for text in equations(*pair))
                equal = bool(gold and answer and verify(gold, answer, timeout_seconds=None, raise_on_error=True))
            except Exception as error:
                if _of_memory(error):
                    os._exit(_NO_MEMORY)
                equal = False  # whatever a parser makes of hostile text: it is not shown to be equal
            connection.send(equal)


def _of_memory(error: BaseException | None) -> bool:
    seen: set[int] = set()  # sympy makes chains of errors that bite their own tail
    while error is not None and not isinstance(error, MemoryError) and id(error) not in seen:
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return isinstance(error, MemoryError)


_FORBIDDEN = ("os.", "subprocess.", "socket.", "shutil.", "ctypes.", "webbrowser.", "pty.", "urllib.", "ftplib.", "smtplib.")
_HARMLESS = ("os.listdir", "os.scandir")  # what an import does


def _forbid(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse what no comparison needs, as an audit hook: sympy's parser evaluates the numbers that it finds in a text."""
    writes = event == "open" and isinstance(arguments[1], str) and not set(arguments[1]).isdisjoint("wxa+")
    if writes or (event.startswith(_FORBIDDEN) and event not in _HARMLESS):
        raise PermissionError(f"an answer asked for {event}")


def _limit_memory() -> None:
    with open("/proc/self/statm") if os.path.exists("/proc/self/statm") else contextlib.nullcontext() as file:
        now = int(file.read().split()[0]) * resource.getpagesize() if file else 0
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    with contextlib.suppress(ValueError, OSError):  # macOS does not take it
        resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY, hard))
