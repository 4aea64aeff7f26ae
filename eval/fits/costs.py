"""What training and sampling cost, in floating point operations (FLOPs): the formulas of the paper's Appendix E, after Kaplan et al.

    training(6.44e9, tokens=196 * 7473 * 3)   ->   1.70e17

`python -m eval.fits.costs` prints docs/costs.md: what the formulas give beside the paper's Table 4, and where the two differ.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import polars as pl

from eval.fits.devices import DEVICES, device_of
from registry.query.published import published

PROMPT, RESPONSE = 66, 130  # tokens of a question of GSM8K and of a solution (Appendix E)
QUESTIONS, DRAWS, EPOCHS = 7_473, 100, 3
TEST_QUESTIONS = 1_319
U33B_ROWS = 110_000
UTILISED = {"sft": "sft", "drawing": "rft inference", "pretraining": "pre-training"}
CLOSE = 0.05  # of the paper's number, which has two digits


@dataclass(frozen=True)
class Transformer:
    """The shape of a model: its layers, the width of its residual stream, and its parameters without embeddings, where they are
    known otherwise than by that. A model of which only these are known has 0 layers: its attention is not counted."""

    layers: int
    width: int
    counted: float | None = None

    @property
    def parameters(self) -> float:
        """Parameters without embeddings: 12 layers x width squared, unless they were counted."""
        return 12 * self.layers * self.width**2 if self.counted is None else self.counted


SHAPES = {
    "llama-7b": Transformer(32, 4096),
    "llama2-7b": Transformer(32, 4096),
    "llama-13b": Transformer(40, 5120),
    "llama2-13b": Transformer(40, 5120),
    "llama-33b": Transformer(60, 6656),
    "llama-65b": Transformer(80, 8192),
    "llama2-70b": Transformer(80, 8192),
}


def training(parameters: float, tokens: float) -> float:
    """Return the FLOPs of training on so many tokens: forth and back are three passes of two operations for each parameter."""
    return 6 * parameters * tokens


def generation(model: Transformer, prompt: int, response: int) -> float:
    """Return the FLOPs of one sample with a cache of keys and values: the prompt in one pass, then token by token."""
    return prompt * _token(model, prompt) + sum(_cached_token(model, at) for at in range(prompt, prompt + response + 1))


def generation_as_printed(model: Transformer, prompt: int, response: int) -> float:
    """Return what the formula of Appendix E gives as it is printed: each token of the response is counted once for each before it."""
    return prompt * _token(model, prompt) + sum(at * _cached_token(model, at) for at in range(prompt, prompt + response + 1))


def _token(model: Transformer, context: int) -> float:
    return 2 * model.parameters + 2 * model.layers * context * model.width


def _cached_token(model: Transformer, context: int) -> float:
    return 2 * model.parameters - 4 * model.layers * model.width**2 + 2 * model.layers * context * model.width


def published_utilisation(what: str, base: str = "llama-7b") -> float:
    """Return the share of an A100's peak that the GPU hours of Table 4 come to: the FLOPs are those of the formula."""
    hours = published()["published_costs"].filter(what=what, base=base, unit="GPU hours")["value"].item()
    (flops,) = (row.computed for row in table_4() if (row.what, row.base) == (what, base))
    a100 = device_of("A100")
    assert a100 is not None
    return float(flops / (hours * 3600 * a100.peak))


@dataclass(frozen=True)
class Row:
    """A number of Table 4 beside ours: of which base, in FLOPs."""

    what: str
    base: str
    published: float
    computed: float

    @property
    def close(self) -> bool:
        return abs(self.computed / self.published - 1) <= CLOSE


def table_4() -> Iterator[Row]:
    """Yield every number of FLOPs in Table 4 with what the formulas give for it."""
    costs = published()["published_costs"].filter(pl.col("unit") == "FLOPs")
    tokens = (PROMPT + RESPONSE) * EPOCHS
    formulas: dict[str, Callable[[Transformer, float, float], float]] = {
        "pre-training": lambda model, nominal, seen: training(nominal, seen),
        "sft": lambda model, nominal, seen: training(model.parameters, tokens * QUESTIONS),
        "rft inference": lambda model, nominal, seen: generation(model, PROMPT, RESPONSE) * QUESTIONS * DRAWS,
        "rft-u33b training": lambda model, nominal, seen: training(model.parameters, tokens * U33B_ROWS),
    }
    for what, base, value, nominal, seen in costs.select("what", "base", "value", "parameters", "tokens").iter_rows():
        yield Row(what, base, value, formulas[what](SHAPES[base], nominal, seen))


@dataclass(frozen=True)
class Point:
    """What is paid for more accuracy, by the published tables: FLOPs more, points (of greedy accuracy) more."""

    way: str
    base: str
    flops: float
    points: float

    @property
    def each(self) -> float:
        """FLOPs for one point."""
        return self.flops / self.points


def points() -> Iterator[Point]:
    """Yield what RFT, more human data and more pre-training cost and bring. FLOPs are Table 4's but for training on one's own samples."""
    tables = published()
    score, cost = tables["published_scores"].filter(metric="maj1@1", mark="P"), tables["published_costs"].filter(unit="FLOPs")

    def flops(what: str, base: str) -> float:
        return float(cost.filter(what=what, base=base)["value"].item())

    def accuracy(base: str, setting: str, **where: float) -> float:
        return 100 * float(score.filter(base=base, setting=setting, **where)["value"].max())  # type: ignore[arg-type]

    drawn = score.filter(setting="rft", k=DRAWS)
    everyone = sum(flops("rft inference", base) for base in drawn["base"])
    for base, rows in drawn.select("base", "rows").iter_rows():
        if (gain := accuracy(base, "rft", k=DRAWS) - accuracy(base, "sft", share=1)) > 0:
            own = flops("rft inference", base) + training(SHAPES[base].parameters, (PROMPT + RESPONSE) * EPOCHS * rows)
            yield Point(f"RFT on {DRAWS} draws of its own", base, own, gain)
    for base in drawn["base"]:
        more = everyone + flops("rft-u33b training", base)
        yield Point("RFT on U33B, all draws paid", base, more, accuracy(base, "rft-u33b") - accuracy(base, "sft", share=1))
    for base in drawn["base"]:
        gain = accuracy(base, "sft", share=1) - accuracy(base, "sft", share=0.5)
        yield Point("SFT on all human solutions, not half", base, flops("sft", base) / 2, gain)
    for setting, words in (("rft-u33b", "pre-training, after RFT on U33B"), ("sft", "pre-training, after SFT")):
        for less, more_of in (("llama-7b", "llama2-7b"), ("llama-7b", "llama-13b"), ("llama-13b", "llama2-13b")):
            more = flops("pre-training", more_of) - flops("pre-training", less)
            gain = accuracy(more_of, setting, share=1) - accuracy(less, setting, share=1)
            yield Point(words, f"{less} to {more_of}", more, gain)


PAGE = """# What it costs

FLOPs by the formulas of the paper's Appendix E beside its Table 4, as `python -m eval.fits.costs` prints them. A solution has {response} tokens, a question {prompt};
parameters are those without embeddings, but for pre-training, where the paper takes the nominal ones.

- **Training** takes 6 x parameters x tokens. Pre-training fits for all bases, SFT for 7B, 13B and 70B; the table's numbers for 33B and 65B are lower
  than the formula gives for their shapes.
- **Sampling** with a cache takes 2 x parameters for each token of the prompt, 1.66 x parameters for each of the response, and attention over what came before. The formula as it is
  printed has a factor too many (each token counts once for every token before it), and the table is what that formula gives for *one* sample of each question
  ({printed_7b:.2g} for 7B; all but 70B fit), where the paper drew {draws}. The column below has the usual reading of the formula, and {draws} draws of each question.
- **RFT on U33B** fits for 33B alone: by the same formula the table's numbers are those of 97,000 to 132,000 rows, by base; the union has about 110,000.
- **GPU hours** of Table 4 are A100 hours. By the formulas the 7B reached {sft:.0%} of the peak in SFT, {drawing:.0%} in sampling and {pretraining:.0%} in pre-training.

| what | base | Table 4 | by the formula | ratio |
|---|---|---|---|---|
"""

LINES = """
## What your lines cost

`rft cost NAME` (lines with all that they need) and `rft plan --cost` (what is missing) apply the same formulas to a catalog. For each line that samples or trains:

- **Draws** are questions x k, rows of a training rows x epochs. Of a selection that is not built they are as many a question as those of a built one with the
  same recipe and draws. Draws that are there already are counted like others; `rft build NAME --dry-run` tells them apart.
- **Tokens** are, the first that is known: those that a built line took which asks or trains on the same rows, or rows of the same questions, or asks the same model,
  with the same prompt, shots and limit (it is named); those in the first 1,000 questions and human solutions, in the line's prompt, by its own tokenizer; GSM8K's in the paper, for rows that are GSM8K's.
- **Parameters** are those of all tensors but embeddings, if the files are here; else what the line says (`parameters`), what it makes (`pretrain`), or, for the
  bases of the paper, 12 x layers x width squared. Without layers and width attention is not counted; a mixture of experts
  is counted whole.
- **Hours** are FLOPs / (peak x utilisation), of one GPU. The utilisation is the user's; else that of the similar line, if it ran on the same kind of GPU; else, and
  this is an assumption that is printed, what the paper's 7B reached, see above. GPUs "from" are the fewest whose memory holds 2 bytes a parameter for
  sampling, 16 for training (fp32 weights and gradients, Adam's two moments): activations and caches come on top.
- **Money** is hours x `--price`, or, for samples of a server that sells tokens, by `--price-in` and `--price-out` for a million. What a
  line took is priced by the hour only if it ran on that GPU.
- What none of this says is **unknown**, with the reason, and not in the total. A built line shows what it took by its record: tokens, hours without the loading
  of the model, device, and the share of its peak if it is one of these:

| GPU | dense bf16, TFLOP/s | memory, GB | source |
|---|---|---|---|
"""

POINTS = """
## What one more point of accuracy costs

From the published accuracies (Table 5, greedy) and FLOPs (Table 4). Section 4.2 says it of pre-training, for RFT on U33B: from 7B to 7B-2 it takes 4.2e22 FLOPs
more, for 0.05 less loss and 2.1 points; from 7B to 13B 3.6e22, for 0.07 and 2.3; SFT costs about 1e-5 and RFT 1e-4 of pre-training. A point by RFT takes
about {ratio:,.0f} times fewer FLOPs than one by that first step: {rft:.1e} against {pretraining:.1e}, for llama-7b and its own draws. What none of these counts is the
work of people: the second half of the human solutions, {half:,} of them, costs the fewest FLOPs. The draws are Table 4's, of which see above; training on a model's own
draws is by the formula, on about 47,000 rows. Those of llama-33b bring it nothing (54.5 after 54.6), so there is no price for a point.

| way | base | FLOPs more | points more | FLOPs a point |
|---|---|---|---|---|
"""


def page() -> str:
    """Return docs/costs.md."""
    printed = generation_as_printed(SHAPES["llama-7b"], PROMPT, RESPONSE) * QUESTIONS
    reached = {name: published_utilisation(what) for name, what in UTILISED.items()}
    lines = [PAGE.format(prompt=PROMPT, response=RESPONSE, draws=DRAWS, printed_7b=printed, **reached)]
    lines += [
        f"| {row.what} | {row.base} | {row.published:.2g} | {row.computed:.3g} | {row.computed / row.published:.2f} |\n"
        for row in table_4()
    ]
    lines += [LINES, *(f"| {d.name} | {d.peak / 1e12:,.0f} | {d.memory / 1e9:.0f} | {d.source} |\n" for d in DEVICES)]
    steps = list(points())
    by = {(step.way.split()[0], step.base): step.each for step in reversed(steps)}
    rft, pretraining = by["RFT", "llama-7b"], by["pre-training,", "llama-7b to llama2-7b"]
    lines += [
        POINTS.format(ratio=round(pretraining / rft, -3), rft=rft, pretraining=pretraining, half=QUESTIONS - QUESTIONS // 2)
    ]
    lines += [f"| {step.way} | {step.base} | {step.flops:.2g} | {step.points:.1f} | {step.each:.2g} |\n" for step in steps]
    return "".join(lines)


if __name__ == "__main__":
    print(page(), end="")
