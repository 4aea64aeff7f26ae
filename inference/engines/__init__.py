"""Engines: what turns prompts into completions. Which one runs is a matter of the machine, never of the recipe.

An engine is given every request that is wanted and yields completions as they are finished; the caller stores what it
was given before it asks for more. Each request has a seed of its own, so a draw does not depend on its neighbours.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol


class Request(NamedTuple):
    """One draw to make. `place` numbers it among all draws of the run, in order of (draw, question)."""

    place: int
    prompt: tuple[int, ...]  # token ids
    seed: int  # from 0 to 2**63 - 1


@dataclass(frozen=True)
class Sampling:
    """How to sample: temperature 0 is greedy; top_p 1 takes every token; `max_tokens` are new ones, eos included.

    A completion ends before the first of `stop` (texts), at an end-of-sequence token of the model, or after max_tokens.
    """

    temperature: float
    top_p: float
    max_tokens: int
    stop: tuple[str, ...] = ()


class Completion(NamedTuple):
    """One finished draw: the request's place, the new token ids (eos included), their text without special tokens."""

    place: int
    tokens: tuple[int, ...]
    text: str
    finish_reason: Literal["stop", "length"]


class Engine(Protocol):
    """What every engine can do. `name` is transformers, vllm or openai; `version` names it and what it ran on."""

    name: str
    version: str

    def complete(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[list[Completion]]:
        """Yield completions as they are finished, every request's exactly once.

        Raises InputError if the engine cannot do what is asked, RemoteError if it died, hangs or cannot be reached:
        what was yielded stays good, and the missing requests may be asked again.
        """
        ...

    def close(self) -> None:
        """End the engine and give back its memory."""
        ...
