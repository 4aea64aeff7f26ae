"""Fine-tune a model on solved questions: supervised fine-tuning (SFT), and RFT when the rows are distinct right paths.

    llama2-7b-sft@1: {trainer: sft, inputs: [llama2-7b@1, gsm8k-train@1], params: {epochs: 3, lr: 2.0e-5, batch: 128, seed: 0}}

The defaults are the paper's: all weights are trained, with AdamW, on the tokens of the responses alone.
"""

from typing import Annotated, Literal

import polars as pl
from annotated_types import Ge, Gt, Le, Lt

from inference.prompts import TEMPLATES, load_tokenizer
from registry.errors import InputError
from registry.maker import Input, Model, Run, Trained
from registry.rows import QUESTIONS, TRAINING

EDITION = 1


def train(
    base: Model,
    data: Annotated[Input, TRAINING, QUESTIONS],
    *,
    epochs: Annotated[float, Gt(0)] = 3.0,
    batch: Annotated[int, Ge(1)] = 128,
    lr: Annotated[float, Gt(0)] = 2e-5,
    schedule: Literal["cosine", "linear", "constant"] = "cosine",
    warmup: Annotated[float, Ge(0), Lt(1)] = 0.03,
    weight_decay: Annotated[float, Ge(0)] = 0.0,
    max_length: Annotated[int, Ge(2)] = 512,
    prompt: Literal["alpaca", "plain"] = "alpaca",
    dtype: Literal["bf16", "fp32"] = "bf16",
    seed: Annotated[int, Ge(0), Le(2**32 - 1)] = 0,
    run: Run,
) -> Trained:
    """Train all weights of `base` on the rows of `data`: the question in a prompt, then the response and its end.

    `batch`: rows a step, over all devices. `warmup`: share of the steps. `max_length`: tokens of a row; the end of a longer
    one, or of one longer than what the model can read, is cut off. `dtype` bf16 is mixed precision: master weights, gradients
    and moments are fp32, and the result is saved as bf16. Refused are rows without a response (no_response) and those
    whose prompt alone is too long (too_long). Raises InputError if no row is left or the model has no tokenizer.
    """
    from trainers._fitting.batches import Row
    from trainers._fitting.fit import Recipe, fit, load

    tokenizer = load_tokenizer(base.folder, base.id)
    model = load(base.folder)
    longest = min(max_length, getattr(model.config, "max_position_embeddings", max_length))
    answered = data.rows.filter(pl.col("response").str.strip_chars() != "")
    ids, prompts = TEMPLATES[prompt].encode_examples(tokenizer, answered["question"].to_list(), answered["response"].to_list())
    rows = [Row(row[:longest], start) for row, start in zip(ids, prompts, strict=True) if start < longest]
    if not rows:
        raise InputError(
            f"{data.id}: none of {data.rows.height} rows has a response and a prompt of less than {longest} tokens, so there is "
            "nothing to train on. Choose other rows, or a larger max_length."
        )
    silent = data.rows.filter(pl.col("response").fill_null("").str.strip_chars() == "").with_columns(
        reason=pl.lit("no_response")
    )
    too_long = answered.filter(pl.Series(prompts) >= longest).with_columns(reason=pl.lit("too_long"))
    drops = pl.concat([silent, too_long]).with_columns(source=pl.lit(data.id))
    fitted = fit(model, rows, Recipe(epochs, batch, lr, schedule, warmup, weight_decay, dtype, seed), run)
    TEMPLATES[prompt].save(run.folder)
    tokenizer.chat_template = TEMPLATES[prompt].chat_template(tokenizer)
    tokenizer.save_pretrained(run.folder)
    inherited = {name: base.facts[name] for name in ("loss", "loss_source") if name in base.facts}
    return Trained({**fitted.facts, **inherited, "base": base.id, "prompt": prompt}, fitted.loss, drops)
