"""How fast this machine computes in a narrow type: a CPU without bf16 or fp16 instructions takes many times as long."""

import logging
import time
from functools import cache
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch

log = logging.getLogger("rft")

Act = Literal["training", "sampling"]

NATIVE = 2.0  # times as long as in fp32, at most, where there are instructions: a narrow type is there to be faster
SECONDS = 0.25  # of processor time, for each of the two types
TOKENS, WIDTH = 64, 1024  # of the product; a wider model is slowed no less than this


@cache
def warn_if_emulated(dtype: "torch.dtype", hidden: int, act: Act) -> None:
    """Say once if this CPU has no instructions for `dtype`, how much slower a model of this hidden size is, and the cure.

    Measured: a linear layer of the model's width, forth and, for training, back. Says nothing of fp32.
    """
    import torch

    name = {torch.bfloat16: "bf16", torch.float16: "fp16"}.get(dtype)
    if name is None:
        return
    times = _seconds(dtype, hidden, act) / _seconds(torch.float32, hidden, act)
    if times > NATIVE:
        log.warning(
            "this CPU has no %s instructions: %s will be about %.0f times slower than with dtype: fp32", name, act, times
        )


def _seconds(dtype: "torch.dtype", hidden: int, act: Act) -> float:
    """Return the processor time of one layer, computed as the trainer (in mixed precision) or the sampler does."""
    import torch

    training, width = act == "training", min(hidden, WIDTH)
    layer = torch.nn.Linear(width, 4 * width, dtype=torch.float32 if training else dtype)
    tokens = torch.zeros(TOKENS, width, dtype=layer.weight.dtype)

    def once() -> float:
        started = time.thread_time()  # not by the clock: other programs must not count
        out = layer(tokens)
        if training:
            out.sum().backward()
        return time.thread_time() - started

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        mixed = training and dtype != torch.float32
        with torch.autocast("cpu", dtype=dtype, enabled=mixed), torch.set_grad_enabled(training):
            once()  # the first one prepares
            taken = [once()]
            while sum(taken) < SECONDS:
                taken.append(once())
    finally:
        torch.set_num_threads(threads)
    return min(taken)
