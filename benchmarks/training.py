"""Useful tokens a second of the trainer `sft`, and of a plain transformers.Trainer that pads random batches.

    python -m benchmarks.training                      640 story problems, 2 epochs, a model of 1 million parameters
    python -m benchmarks.training --check              exit code 1 if ours is slower than the plain one

Useful is every token that is not padding. Model, rows, epochs, rows a step and precision are the same; the plain Trainer runs
with as many rows at once as ours, and with its default of 8. The ways run in turn, and the quickest of each counts. By the clock:
from the first step to the last; of the processor: the whole call, with loading, tokens and saving.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Literal, NamedTuple

import polars as pl

from builders.story_problems import build as story_problems
from inference.prompts import TEMPLATES, load_tokenizer
from registry.maker import Input, Model, Options, Run

LEAST = 1.0  # useful tokens a second of ours for each of the better plain one
TIMES = 3
BATCH = 128
DEFAULT = 8  # rows at once of transformers.Trainer
LR = 1e-3
PROMPT: Literal["alpaca", "plain"] = "plain"


class Measured(NamedTuple):
    """Seconds by the clock and of the processor, useful tokens, and the share of positions that hold none."""

    clock: float
    processor: float
    tokens: int
    padding: float
    rows_at_once: int


def ours(base: Model, data: Input, epochs: float, home: Path) -> Measured:
    from trainers.sft import train

    run = Run(home / "model", home / "work", home, Options(checkpoint=10**6))
    for folder in (run.folder, run.work):
        folder.mkdir(parents=True)
    started = time.process_time()
    facts = train(base, data, epochs=epochs, batch=BATCH, lr=LR, prompt=PROMPT, dtype="fp32", run=run).facts
    spent = time.process_time() - started
    return Measured(
        facts["tokens"] / facts["tokens_per_second"], spent, facts["tokens"], facts["padding"], facts["rows_at_once"]
    )


def plain(base: Model, data: Input, epochs: float, home: Path, at_once: int) -> Measured:
    import torch
    from transformers import (
        AutoModelForCausalLM,
        DataCollatorForSeq2Seq,
        PrinterCallback,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, *_: Any, **__: Any) -> None:
            self.since = time.perf_counter()

        def on_train_end(self, *_: Any, **__: Any) -> None:
            self.seconds = time.perf_counter() - self.since

    class Counted(DataCollatorForSeq2Seq):  # type: ignore[misc]
        positions = 0

        def __call__(self, *given: Any, **others: Any) -> Any:
            made = super().__call__(*given, **others)
            self.positions += made["input_ids"].numel()
            return made

    started = time.process_time()
    tokenizer = load_tokenizer(base.folder, base.id)
    ids, prompts = TEMPLATES[PROMPT].encode_examples(
        tokenizer, data.rows["question"].to_list(), data.rows["response"].to_list()
    )
    rows = [
        {"input_ids": row, "labels": [-100] * start + row[start:], "attention_mask": [1] * len(row)}
        for row, start in zip(ids, prompts, strict=True)
    ]
    arguments = TrainingArguments(
        output_dir=str(home),
        num_train_epochs=epochs,
        per_device_train_batch_size=at_once,
        gradient_accumulation_steps=BATCH // at_once,
        learning_rate=LR,
        lr_scheduler_type="cosine",
        use_cpu=not torch.accelerator.is_available(),
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=torch.cuda.is_available(),
    )
    clock, collator = Clock(), Counted(tokenizer)
    trainer = Trainer(
        model=AutoModelForCausalLM.from_pretrained(base.folder, dtype="float32"),
        args=arguments,
        train_dataset=rows,
        data_collator=collator,
        callbacks=[clock],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    trainer.save_model(str(home / "model"))
    tokens = int(sum(map(len, ids)) * epochs)
    return Measured(clock.seconds, time.process_time() - started, tokens, 1 - tokens / collator.positions, at_once)


def made_model(folder: Path, stories: pl.DataFrame) -> Model:
    from tests.tiny_models import tiny_model

    texts = [f"{question}\n{response}" for question, response in stories.select("question", "response").iter_rows()]
    tiny_model(folder, context=512, vocab=1024, hidden=128, layers=4, spread=0.02, texts=texts)
    return Model("random@1", "0" * 64, folder)


def compare(stories: pl.DataFrame, epochs: float, home: Path) -> float:
    """Print what each way did, and return the ratio of ours to the better plain one, in useful tokens a second."""
    base, data = made_model(home / "base", stories), Input("stories@1", stories)
    warm = ours(base, Input("warm@1", stories[:BATCH]), 1.0, home / "warm")
    plain(base, Input("warm@1", stories[:BATCH]), 1.0, home / "warm-plain", warm.rows_at_once)
    found: dict[str, list[Measured]] = {}
    for turn in range(TIMES):
        mine = ours(base, data, epochs, home / f"ours-{turn}")
        found.setdefault("sft", []).append(mine)
        for at_once in sorted({mine.rows_at_once, DEFAULT}, reverse=True):
            name = f"transformers.Trainer, {at_once} rows at once"
            found.setdefault(name, []).append(plain(base, data, epochs, home / f"plain-{turn}-{at_once}", at_once))
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    print(f"{found['sft'][0].tokens:,} useful tokens, {BATCH} rows a step, the quickest of {TIMES}; load of the machine {load}")
    least = {name: Measured(*map(min, zip(*each, strict=True))) for name, each in found.items()}
    for name, best in least.items():
        print(
            f"{name:<40} {best.padding:6.1%} padding  {best.clock:7.2f} s  {best.tokens / best.clock:8,.0f} tokens/s  "
            f"{best.processor:7.2f} s of the processor"
        )
    mine = least.pop("sft")
    for name, best in least.items():
        print(
            f"sft, {mine.rows_at_once} rows at once: {best.clock / mine.clock:.2f} times the tokens/s of {name}, "
            f"{best.processor / mine.processor:.2f} times those a second of the processor"
        )
    return min(best.clock for best in least.values()) / mine.clock


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rows", type=int, default=640)
    arguments.add_argument("--epochs", type=float, default=2.0)
    arguments.add_argument("--check", action="store_true", help=f"fail if the ratio is below {LEAST}")
    given = arguments.parse_args()
    stories = story_problems(split="train", count=given.rows, seed=0)
    with tempfile.TemporaryDirectory() as folder:
        ratio = compare(stories, given.epochs, Path(folder))
    if given.check and ratio < LEAST:
        sys.exit(f"sft is slower than a plain Trainer: {ratio:.2f}")


if __name__ == "__main__":
    main()
