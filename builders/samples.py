"""Sample k solutions of every question from a model. What was drawn once is never drawn again (inference/draws.py).

{"question_id": "9c4a...", "draw": 0, "response": "48/2=<<48/2=24>>24\\n#### 24", "model": "llama2-7b-sft@1", "seed": 5810394, ...}

Each draw has a seed of its own: the first 63 bits of sha256 of "seed:prompt:draw", where prompt is the hash of the prompt's
token ids. So it depends on no other draw, and k = 200 only adds to k = 100.
"""

import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, NamedTuple

import polars as pl
from annotated_types import Ge, Gt, Le

from eval.grading.grade import is_right
from eval.grading.rules import STANDARD
from inference.draws import DrawKey, DrawStore, prompt_hash
from inference.engines import Completion, Engine, Request, Sampling
from inference.engines.choice import open_engine
from inference.prompts import FEW_SHOT_STOP, few_shot, load_tokenizer, prompt_of
from registry.errors import InputError, RemoteError
from registry.maker import Model, Options, Questions, Run, Tables
from registry.rows import QUESTIONS, SAMPLES
from registry.text import escaped

EDITION = 1

TRIES = 3  # times in a row an engine that failed is opened again without a single new draw
REPORT_EVERY = 1.0  # seconds

log = logging.getLogger("rft")


def build(
    questions: Questions,
    model: Model,
    exemplars: Annotated[pl.DataFrame | None, QUESTIONS] = None,
    *,
    k: Annotated[int, Ge(1)],
    temperature: Annotated[float, Ge(0)] = 0.7,
    top_p: Annotated[float, Gt(0), Le(1)] = 1.0,
    max_tokens: Annotated[int, Ge(1)] = 256,
    seed: Annotated[int, Ge(0)] = 0,
    shots: Annotated[int, Ge(0)] = 0,
    prompt: str | None = None,
    run: Run,
    _open: Callable[[Model, Options, Any], Engine] = open_engine,
) -> Annotated[Tables, SAMPLES]:
    """Return SAMPLES, sorted by (question_id, draw): draws 0 to k - 1 of every question.

    A question is asked in the model's own prompt, or the one called `prompt`. With `shots` it follows that many solved
    `exemplars` instead, the same for all questions and none of them. A question whose prompt leaves no room for an answer
    is refused as prompt_too_long.

    Draws that were made before are taken from the draw store, the others from the engine of `run`; what an interrupted
    build has drawn stays. Raises InputError if the inputs and parameters do not go together or no question fits, RemoteError
    if the engine fails again and again, OutOfResources if the disk is full.
    """
    work = _prepared(questions, model, exemplars, k, temperature, top_p, max_tokens, seed, shots, prompt, run)
    made = _draw(work, model, run, _open)
    draws = work.store.read(work.prompts, k, ["prompt", "draw", "seed", "text", "finish_reason", "token_count", "engine"])
    rows = (
        work.questions.join(draws, on="prompt")
        .select(
            "question_id",
            "draw",
            "seed",
            "finish_reason",
            "engine",
            response="text",
            model=pl.lit(model.id),
            tokens="token_count",
            drop=pl.lit(None, pl.String),
        )
        .sort("question_id", "draw")
    )
    return Tables(
        pl.concat([rows, work.refused.with_columns(model=pl.lit(model.id))], how="diagonal"),
        facts={
            "engines": sorted(rows["engine"].unique()),
            "cut_at_max_tokens": (rows["finish_reason"] == "length").mean(),
            "draws_made": made.draws,
            "draws_reused": draws.height - made.draws,
            "draw_store": work.store.key.hash,
            # What it took, for `rft cost`: of all draws, then of those made now. Loading the model is not in the seconds.
            "prompt_tokens": sum(map(len, work.prompts.values())) * k,
            "tokens": _total(draws["token_count"]),
            "tokens_made": made.tokens,
            "seconds": round(made.seconds, 3),
        },
    )


def preview(
    questions: Questions, model: Model, exemplars: Annotated[pl.DataFrame | None, QUESTIONS] = None, *, run: Run, **params: Any
) -> str:
    """Return the first prompt in full, and how many draws there are, how many are to come and how many tokens at most."""
    work = _prepared(questions, model, exemplars, **params, run=run)
    missing = work.missing()
    prompt_tokens = sum(len(request.prompt) for request in missing)
    return (
        f"the first prompt is\n{escaped(work.first)}\n"
        f"draws: {len(work.prompts) * work.k - len(missing):,} are there, {len(missing):,} to come "
        f"(at most {len(missing) * work.sampling.max_tokens:,} new tokens, after {prompt_tokens:,} tokens of prompts); "
        f"{work.refused.height:,} questions refused"
    )


@dataclass(frozen=True)
class _Work:
    """What is to be drawn. Two questions with one prompt (a tokenizer may not tell them apart) share its draws."""

    questions: pl.DataFrame  # question_id, answer, prompt (hash); without those refused
    refused: pl.DataFrame  # question_id, drop, detail
    prompts: dict[str, tuple[int, ...]]  # token ids by hash, in order of the questions
    first: str
    tokenizer: Any
    sampling: Sampling
    store: DrawStore
    k: int

    def missing(self) -> list[Request]:
        """Return the draws that are not in the store, in order of place: draw * prompts + prompt."""
        there = set(self.store.read(self.prompts, self.k, ["prompt", "draw"]).iter_rows())
        return [
            Request(draw * len(self.prompts) + index, tokens, _seed(self.store.key.seed, prompt, draw))
            for draw in range(self.k)
            for index, (prompt, tokens) in enumerate(self.prompts.items())
            if (prompt, draw) not in there
        ]


def _seed(seed: int, prompt: str, draw: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}:{prompt}:{draw}".encode()).digest()[:8], "big") >> 1


def _prepared(
    questions: pl.DataFrame,
    model: Model,
    exemplars: pl.DataFrame | None,
    k: int,
    temperature: float,
    top_p: float,
    max_tokens: int,
    seed: int,
    shots: int,
    prompt: str | None,
    run: Run,
) -> _Work:
    if temperature == 0 and k > 1:
        raise InputError(f"k is {k} at temperature 0, where all draws of a question are equal. Set k: 1, or a temperature.")
    if (exemplars is None) != (shots == 0):
        raise InputError("shots and exemplars go together: give both (a third input, and shots: 8, say) or neither.")
    if shots and prompt is not None:
        raise InputError(f"prompt: {prompt} and shots: {shots} are two prompts. Take one of them out.")
    if not questions.height:
        raise InputError("there are no questions.")
    tokenizer = load_tokenizer(model.folder, model.id)
    if exemplars is not None:
        asked = few_shot(_chosen(exemplars, questions, shots, seed))
    else:
        asked = prompt_of(model.folder, prompt, tokenizer, model.id)
    tokens = [tuple(ids) for ids in asked.encode(tokenizer, questions["question"].to_list())]
    context = _context(model)
    frame = questions.select(
        "question_id",
        "answer",
        prompt=pl.Series([prompt_hash(ids) for ids in tokens], dtype=pl.String),
        length=pl.Series([len(ids) for ids in tokens]),
    )
    too_long = pl.col("length") + 1 > context
    refused = frame.filter(too_long).select(
        "question_id",
        drop=pl.lit("prompt_too_long"),
        detail=pl.format("{} tokens; the model has room for {}, and one of them must be new", "length", pl.lit(context)),
    )
    if refused.height == frame.height:
        raise InputError(
            f"no question fits: the shortest prompt has {min(map(len, tokens))} tokens, and {model.id} has room for {context}."
        )
    fitting = frame.filter(~too_long)
    by_hash = dict(zip(frame["prompt"], tokens, strict=True))
    stop = (FEW_SHOT_STOP,) if shots else ()
    key = DrawKey(model.id, model.content, float(temperature), float(top_p), max_tokens, stop, seed)
    return _Work(
        fitting.select("question_id", "answer", "prompt"),
        refused,
        {prompt: by_hash[prompt] for prompt in fitting["prompt"]},
        asked.render(questions["question"][0]),
        tokenizer,
        Sampling(key.temperature, key.top_p, max_tokens, stop),
        DrawStore(run.home, key),
        k,
    )


def _chosen(exemplars: pl.DataFrame, questions: pl.DataFrame, shots: int, seed: int) -> list[tuple[str, str]]:
    """Return the first exemplars by sha256 of (seed, question_id). One that is asked too would give away its solution."""
    usable = exemplars.filter(
        pl.col("response").is_not_null() & ~pl.col("question_id").is_in(questions["question_id"].implode())
    )
    if usable.height < shots:
        raise InputError(
            f"shots is {shots}, but only {usable.height} of {exemplars.height} exemplars have a solution and are not asked "
            "themselves. Give other exemplars, or fewer shots."
        )
    rank = [hashlib.sha256(f"{seed}\0{id}".encode()).digest() for id in usable["question_id"]]
    first = usable.with_columns(rank=pl.Series(rank, dtype=pl.Binary)).sort("rank").head(shots)
    return list(first.select("question", "response").iter_rows())


def _context(model: Model) -> int:
    """Return how many tokens, prompt and answer together, the model can read; one that names no limit has none."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(model.folder).get_text_config()
    return int(getattr(config, "max_position_embeddings", None) or 2**31)


# -- drawing --------------------------------------------------------------------------------------------------------


class _Made(NamedTuple):
    """What was drawn now: draws, new tokens (None: the engine did not tell), and how long it took."""

    draws: int = 0
    tokens: int | None = 0
    seconds: float = 0.0


def _total(tokens: pl.Series) -> int | None:
    return None if tokens.null_count() else int(tokens.sum())


def _draw(work: _Work, model: Model, run: Run, open_: Callable[[Model, Options, Any], Engine]) -> _Made:
    """Draw what is missing until nothing is."""
    made, failures = _Made(), 0
    missing = work.missing()
    if not missing:
        return made
    with work.store.writer() as writer:
        while missing:
            try:
                with closing(open_(model, run.options, work.tokenizer)) as engine:
                    report = _Report(work, run, len(missing))
                    since = time.monotonic()
                    for draws in _drawn(engine, missing, work):
                        writer.append(draws)
                        report.add(draws)
                        new, now = _total(draws["token_count"]), time.monotonic()
                        tokens = None if made.tokens is None or new is None else made.tokens + new
                        made, failures = _Made(made.draws + draws.height, tokens, made.seconds + now - since), 0
                        since = now
            except RemoteError as error:
                failures += 1
                if failures > TRIES:
                    raise
                log.warning("%s The engine is opened again for what is missing.", error)
            missing = work.missing()  # read anew: another process may have drawn some of it
    return made


def _drawn(engine: Engine, requests: Sequence[Request], work: _Work) -> Iterator[pl.DataFrame]:
    """Yield what the engine yields as draws; RemoteError if it is not what was asked for."""
    prompts = list(work.prompts)
    waiting = {request.place: request for request in requests}
    for completions in engine.complete(requests, work.sampling):
        asked = [_answered(engine, waiting, completion) for completion in completions]
        if not completions:
            continue
        yield pl.DataFrame(
            {
                "prompt": [prompts[request.place % len(prompts)] for request in asked],
                "draw": pl.Series([request.place // len(prompts) for request in asked], dtype=pl.Int32),
                "seed": [request.seed for request in asked],
                "tokens": pl.Series([c.tokens or None for c in completions], dtype=pl.List(pl.Int32)),
                "text": [c.text for c in completions],
                "finish_reason": [c.finish_reason for c in completions],
                "token_count": pl.Series([len(c.tokens) or None for c in completions], dtype=pl.Int32),
                "engine": [engine.version] * len(completions),
            }
        )
    if waiting:
        raise RemoteError(f"{engine.version} ended with {len(waiting):,} of {len(requests):,} draws not made.")


def _answered(engine: Engine, waiting: dict[int, Request], completion: Completion) -> Request:
    request = waiting.pop(completion.place, None)
    if request is None:
        raise RemoteError(f"{engine.version} gave a draw that was not asked for, or one twice (place {completion.place}).")
    try:
        completion.text.encode()
    except (AttributeError, UnicodeEncodeError) as error:  # half of a surrogate pair is valid JSON, but no text
        raise RemoteError(f"{engine.version} gave {completion.text!r:.80} for a draw, which is no text.") from error
    if completion.finish_reason not in ("stop", "length"):
        raise RemoteError(f"{engine.version} ended a draw for the reason {completion.finish_reason!r}, not stop or length.")
    return request


class _Report:
    """Says about once a second how it goes. The share of right answers is that of the new draws."""

    def __init__(self, work: _Work, run: Run, missing: int) -> None:
        self._progress = run.progress
        self._gold = work.questions.unique("prompt", keep="first").select("prompt", gold="answer")
        self._of = len(work.prompts) * work.k
        self._done = self._of - missing
        self._started = self._said = time.monotonic()
        self._draws = self._tokens = self._right = 0
        self._progress(self._done, self._of, "draws", "")

    def add(self, draws: pl.DataFrame) -> None:
        graded = draws.join(self._gold, on="prompt", how="left", maintain_order="left")
        answers = STANDARD.read_answers(graded["text"])["answer"]
        self._right += int(is_right(answers, graded["gold"], STANDARD, tolerance=0.0).sum())
        self._draws += draws.height
        self._tokens += int(draws["token_count"].sum())
        now = time.monotonic()
        if now - self._said < REPORT_EVERY and self._done + self._draws < self._of:
            return
        self._said = now
        seconds = max(now - self._started, 1e-3)
        left = (self._of - self._done - self._draws) * seconds / self._draws
        self._progress(
            self._done + self._draws,
            self._of,
            "draws",
            f"{self._draws / seconds:,.0f} draws/s, {self._tokens / seconds:,.0f} tokens/s, "
            f"{self._right / self._draws:.1%} right, {timedelta(seconds=round(left))} left",
        )
