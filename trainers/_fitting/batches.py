"""Which rows a step trains on, how a batch is cut into pieces, and the tensors of a piece."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

PADDING = 0.08  # a batch is cut until no more than this share of its positions is padding


class Row(NamedTuple):
    """One sequence of token ids; the first `prompt` of them carry no loss."""

    ids: Sequence[int]
    prompt: int = 0


NOTHING = Row([0], prompt=1)  # fills up the last batch: one token that nothing is learned from


def arrange(lengths: npt.NDArray[np.int64], epochs: float, batch: int, seed: int) -> npt.NDArray[np.int64]:
    """Return the row numbers of every step, shape (steps, batch); -1 fills up the last one.

    Each epoch has an order of its own. Batches are drawn as if lengths did not matter; only inside a batch, where it
    changes nothing that is learned, do rows of like length lie together.
    """
    wanted = max(1, round(len(lengths) * epochs))
    dice = np.random.default_rng(seed)
    drawn = np.concatenate([dice.permutation(len(lengths)) for _ in range(math.ceil(wanted / len(lengths)))])[:wanted]
    filled = np.full(math.ceil(wanted / batch) * batch, -1)
    filled[:wanted] = drawn
    steps = filled.reshape(-1, batch)
    by_length = np.argsort(-widths_of(steps, lengths), axis=1, kind="stable")  # longest first: what does not fit fails at once
    return np.take_along_axis(steps, by_length, axis=1)


def widths_of(order: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the number of tokens of each row of `order`; of one that fills up, 0."""
    widths: npt.NDArray[np.int64] = np.where(order < 0, 0, lengths[order])
    return widths


def padding(widths: npt.NDArray[np.int64], piece: int) -> float:
    """Return the share of positions that hold no token when batches of these row lengths are cut into pieces."""
    widest = widths.reshape(-1, piece).max(axis=1)
    return float(1 - widths.sum() / (np.maximum(widest, 1).sum() * piece))


@dataclass(frozen=True)
class Plan:
    """The whole training: the rows of each step, and how many of them a device holds at once."""

    order: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]
    piece: int
    tokens: npt.NDArray[np.int64] = field(init=False)  # after each step: without padding

    def __post_init__(self) -> None:
        object.__setattr__(self, "tokens", widths_of(self.order, self.lengths).sum(axis=1).cumsum())

    @property
    def steps(self) -> int:
        return len(self.order)

    @property
    def padding(self) -> float:
        return padding(widths_of(self.order, self.lengths), self.piece)


def collate(rows: Sequence[Row]) -> dict[str, torch.Tensor]:
    """Return input_ids and labels, shape (rows, longest), padded on the right.

    There is no attention mask: under a causal one, no token sees the padding to its right, and padding has no label.
    So its id matters for nothing, and a tokenizer without a pad token needs none.
    """
    longest = max(len(row.ids) for row in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    labels = torch.full((len(rows), longest), -100)
    for i, (row, prompt) in enumerate(rows):
        ids[i, : len(row)] = torch.as_tensor(row)
        labels[i, prompt : len(row)] = ids[i, prompt : len(row)]
    return {"input_ids": ids, "labels": labels}


def blocks(documents: Iterable[Sequence[int]], length: int, eos: int) -> list[list[int]]:
    """Return documents, each ended by `eos`, as one stream that begins with `eos`, cut into blocks of `length` tokens.

    A block begins with the last token of the one before, so that each token of the documents is predicted exactly once.
    """
    stream = [eos]
    for document in documents:
        stream += [*document, eos]
    return [stream[start : start + length] for start in range(0, len(stream) - 1, length - 1)]
