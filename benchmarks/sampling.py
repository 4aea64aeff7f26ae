"""What the builder `samples` adds to the engine under it: the same prompts and seeds straight through, and through build().

    python -m benchmarks.sampling                      500 questions x 4 draws, a model of 1 million parameters
    python -m benchmarks.sampling --check              exit code 1 if build() takes more than 5 % longer than the engine within it

build() is everything: prompts, token ids, the draw store with its syncs, grading for the progress line, the final rows.
The model is loaded once, before either. Both ways run in turn, and the quickest of each counts.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from builders.samples import build
from builders.story_problems import build as story_problems
from inference.engines import Completion, Engine, Request, Sampling
from inference.engines.transformers import TransformersEngine
from inference.prompts import TEMPLATES
from registry.maker import Model, Run

MOST = 1.05  # seconds of build() for each second of the engine
TIMES = 3
TOKENS = 64


class Noted:
    """The engine, kept open, what it was asked, and how long it took."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.name, self.version = engine.name, engine.version
        self.asked: Sequence[Request] = ()
        self.sampling: Sampling | None = None
        self.seconds = 0.0

    def complete(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[list[Completion]]:
        self.asked, self.sampling = requests, sampling
        completions = self._engine.complete(requests, sampling)
        self.seconds = 0.0
        while True:
            started = time.perf_counter()
            batch = next(completions, None)
            self.seconds += time.perf_counter() - started
            if batch is None:
                return
            yield batch

    def close(self) -> None:
        """Stay open: loading the model is not what is measured."""


def made_model(folder: Path, texts: list[str]) -> Model:
    from tests.tiny_models import tiny_model

    tiny_model(folder, context=512, vocab=1024, hidden=128, layers=4, texts=texts)
    TEMPLATES["plain"].save(folder)
    return Model("random@1", "0" * 64, folder)


class Seconds(NamedTuple):
    """What a call took: by the clock, and of the processor. On a busy machine only the second tells anything."""

    clock: float
    processor: float


def seconds(call: Callable[[], Any]) -> Seconds:
    clock, processor = time.perf_counter(), time.process_time()
    call()
    return Seconds(time.perf_counter() - clock, time.process_time() - processor)


def compare(questions: pl.DataFrame, k: int, home: Path) -> float:
    """Print both times, and return their ratio."""
    model = made_model(home / "model", questions["question"].to_list())
    engine = TransformersEngine(model.folder)
    noted = Noted(engine)

    def through_build(home: Path) -> None:
        build(questions, model, k=k, max_tokens=TOKENS, run=Run(home, home, home), _open=lambda *_: noted)

    def straight() -> None:
        assert noted.sampling is not None
        for _ in engine.complete(noted.asked, noted.sampling):
            pass

    build(questions[:32], model, k=1, max_tokens=TOKENS, run=Run(home, home, home / "warm"), _open=lambda *_: noted)
    ours, plain, shares = [], [], []
    for turn in range(TIMES):
        ours.append(seconds(lambda turn=turn: through_build(home / f"{turn}")))  # type: ignore[misc]
        shares.append(ours[-1].clock / noted.seconds)
        plain.append(seconds(straight))
    draws = questions.height * k
    print(f"{engine.version}; {draws:,} draws of at most {TOKENS} tokens, the quickest of {TIMES}")
    for name, found in (("the engine alone", plain), ("build()", ours)):
        clock, processor = (min(column) for column in zip(*found, strict=True))
        print(f"{name:<17} {clock:7.2f} s  {draws / clock:8,.0f} draws/s  {processor:7.2f} s of the processor")
    print(f"build() takes {min(ours).clock / min(plain).clock:.3f} times as long as the engine alone")
    ratio = min(shares)
    print(f"build() takes {ratio:.3f} times as long as the engine within it (a busy machine slows both alike)")
    engine.close()
    return ratio


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--questions", type=int, default=500)
    arguments.add_argument("--k", type=int, default=4)
    arguments.add_argument("--check", action="store_true", help=f"fail if build() takes more than {MOST} times as long")
    given = arguments.parse_args()
    questions = story_problems(split="train", count=given.questions, seed=0)
    with tempfile.TemporaryDirectory() as folder:
        ratio = compare(questions, given.k, Path(folder))
    if given.check and ratio > MOST:
        sys.exit(f"build() takes {ratio:.3f} times as long as the engine alone; {MOST} is allowed")


if __name__ == "__main__":
    main()
