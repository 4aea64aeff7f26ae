"""Fit a model to rows of tokens with transformers.Trainer: what the trainers have in common.

    fit(model, [Row([5, 9, 17, 2], prompt=2), ...], recipe, run)

Which rows a step trains on is settled before the first step, by the seed alone: a batch is what the recipe says, however it
is cut into pieces for the memory and number of the devices. That a training was killed and went on does not show in
its weights either. This module imports torch, so trainers import it inside `train`.
"""

import json
import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import accelerate
import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, PreTrainedModel, PrinterCallback, Trainer, TrainerCallback, TrainingArguments
from transformers.utils import logging as transformers_logging

from eval.fits.devices import device_of
from inference.engines.transformers import check_whole
from inference.precision import warn_if_emulated
from registry.errors import InputError, OutOfResources
from registry.maker import Run
from registry.rows import LOSS
from trainers._fitting.batches import NOTHING, PADDING, Plan, Row, arrange, collate, padding, widths_of
from trainers._fitting.checkpoints import MARK, checkpoints_in, last_checkpoint, remove, seal

log = logging.getLogger("rft")

POINTS = 500  # at most, of a loss curve
HELD_OUT_POINTS = 5
SCHEDULES = {"cosine": "cosine", "linear": "linear", "constant": "constant_with_warmup"}
DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}


@dataclass(frozen=True)
class Recipe:
    """How to train, as the catalog says it. `batch`: rows a step; `warmup`: share of the steps; `lr`: its peak."""

    epochs: float
    batch: int
    lr: float
    schedule: str
    warmup: float
    weight_decay: float
    dtype: str
    seed: int


@dataclass(frozen=True)
class Device:
    """How this machine trains: rows on a device at once (RFT_BATCH; 0: as fit), seconds between two checkpoints (RFT_CHECKPOINT),
    and whether a GPU has to be deterministic (RFT_DETERMINISTIC)."""

    batch: int = 0
    checkpoint: int = 300
    deterministic: bool = False


@dataclass(frozen=True)
class Fitted:
    """A trained model: what is recorded of the training, and LOSS rows."""

    facts: dict[str, Any]
    loss: pl.DataFrame


def load(folder: Path) -> PreTrainedModel:
    """Return the causal language model in a folder, in fp32: what is trained is always the master weights.

    Raises InputError if it cannot be loaded whole.
    """
    transformers_logging.disable_progress_bar()
    try:
        model, found = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, local_files_only=True, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise InputError(f"transformers cannot load the model in {folder}: {error}") from error
    check_whole(found, folder)
    return model


def fit(
    model: PreTrainedModel, rows: Sequence[Row], recipe: Recipe, run: Run, held_out: Sequence[Sequence[int]] = ()
) -> Fitted:
    """Train `model` on `rows` and save it into `run.folder`, going on from a checkpoint in `run.work` if there is one.

    The loss of a step is the mean over all its tokens that carry one. The loss on `held_out` (see `loss_per_token`) is
    taken at the end and some times before. Raises InputError if a batch cannot be shared by the processes there are or
    the loss is no longer a number, OutOfResources if a device runs out of memory.
    """
    largest = max((max(row.ids) for row in rows), default=0)
    if largest >= (known := model.get_input_embeddings().num_embeddings):
        raise InputError(f"the tokenizer gives the token {largest}, and the model knows {known}. They are not of one model.")
    arguments = _arguments(recipe, run)
    if arguments.device.type == "cpu":
        warn_if_emulated(DTYPES[recipe.dtype], model.config.hidden_size, "training")
    lengths = np.array([len(row.ids) for row in rows])
    order = arrange(lengths, recipe.epochs, recipe.batch, recipe.seed)
    plan = Plan(order, lengths, _cut(order, lengths, recipe, run.options.read(Device).batch, arguments, model))
    arguments.per_device_train_batch_size = plan.piece
    arguments.gradient_accumulation_steps = recipe.batch // plan.piece // arguments.world_size
    arguments.warmup_steps = math.ceil(recipe.warmup * plan.steps)

    watch = Watch(plan, len(rows), run, arguments.world_size, held_out)
    use_cache = model.config.use_cache  # the Trainer turns it off, and would do so in what is saved
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=[rows[number] if number >= 0 else NOTHING for number in order.ravel().tolist()],
        data_collator=collate,
        callbacks=[watch],
    )
    trainer.remove_callback(PrinterCallback)
    with trainer.accelerator.main_process_first():
        checkpoint = last_checkpoint(run.work, tidy=arguments.should_save)
    if checkpoint:
        watch.resume(checkpoint)
        log.info("going on from step %d of %d", watch.step, plan.steps)
    try:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except torch.OutOfMemoryError as error:
        raise OutOfResources(
            f"{_device(arguments)} has too little memory to train on {plan.piece} rows at once. Ask for fewer with "
            f"RFT_BATCH={max(plan.piece // 2, 1)} (what is learned stays the same), or start on more devices with accelerate launch."
        ) from error
    _save(trainer, recipe, run.folder, use_cache)
    parameters = model.num_parameters()
    return Fitted(_facts(plan, watch, recipe, arguments, len(rows), parameters), watch.frame())


# -- what is trained on, and when ------------------------------------------------------------------------------------


def _cut(
    order: npt.NDArray[np.int64],
    lengths: npt.NDArray[np.int64],
    recipe: Recipe,
    asked: int,
    arguments: TrainingArguments,
    model: PreTrainedModel,
) -> int:
    """Return how many rows a device trains on at once: the most that fit, as long as few positions are padding."""
    share, left = divmod(recipe.batch, arguments.world_size)
    if left:
        raise InputError(
            f"a batch of {recipe.batch} rows cannot be shared by {arguments.world_size} processes. Start a number of them "
            "that divides it."
        )
    pieces = [n for n in range(share, 0, -1) if share % n == 0]
    if asked:
        return next(n for n in pieces if n <= asked)
    widths = widths_of(order, lengths)
    fit = [n for n in pieces if n * lengths.max() <= _room(model, arguments)] or [1]
    return next((n for n in fit if padding(widths, n) <= PADDING), fit[-1])


def _room(model: PreTrainedModel, arguments: TrainingArguments) -> float:
    """Return about how many tokens a device can train on at once."""
    if arguments.device.type != "cuda":
        return 8192
    config = model.config
    # What a layer keeps of a token for the way back, and the logits in several copies; weights, gradients and Adam's
    # two moments take 16 bytes a parameter. A guess on the safe side; RFT_BATCH says it better.
    a_token: int = config.num_hidden_layers * (40 * config.hidden_size + 16 * config.intermediate_size) + 16 * config.vocab_size
    total = torch.cuda.get_device_properties(arguments.device).total_memory
    left: float = 0.85 * total - 16 * model.num_parameters() / arguments.world_size
    return left / a_token


# -- the training ----------------------------------------------------------------------------------------------------


def _arguments(recipe: Recipe, run: Run) -> TrainingArguments:
    arguments = TrainingArguments(
        output_dir=str(run.work),
        num_train_epochs=1,  # the rows that are handed over are those of all epochs
        train_sampling_strategy="sequential",
        learning_rate=recipe.lr,
        lr_scheduler_type=SCHEDULES[recipe.schedule],
        weight_decay=recipe.weight_decay,
        optim="adamw_torch",
        bf16=recipe.dtype == "bf16",
        use_cpu=not torch.accelerator.is_available(),
        seed=recipe.seed,
        full_determinism=run.options.read(Device).deterministic,
        save_strategy="no",  # Watch says when
        logging_steps=1,
        logging_nan_inf_filter=False,
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        ddp_find_unused_parameters=False,
        dataloader_pin_memory=torch.cuda.is_available(),
    )
    if arguments.n_gpu > 1:
        log.info("one of %d GPUs trains: start with accelerate launch to use them all", arguments.n_gpu)
        arguments._n_gpu = 1
    return arguments


class Watch(TrainerCallback):  # type: ignore[misc]
    """Keeps the loss curve and the clock, reports progress, and says when to save.

    What it knows goes into the mark of each checkpoint and comes back from there.
    """

    def __init__(self, plan: Plan, rows: int, run: Run, processes: int, held_out: Sequence[Sequence[int]]) -> None:
        self.plan, self.rows, self.run, self.processes, self.held_out = plan, rows, run, processes, held_out
        self.checkpoint = run.options.read(Device).checkpoint
        self.every = math.ceil(plan.steps / POINTS)
        self.measure = {round(plan.steps * n / HELD_OUT_POINTS) for n in range(HELD_OUT_POINTS + 1)} if held_out else set()
        self.step = 0
        self.seconds = 0.0
        self.points: list[dict[str, Any]] = []
        self.losses: list[float] = []  # of the steps since the last point
        self.since = self.saved = self.told = time.monotonic()

    def resume(self, checkpoint: Path) -> None:
        known = json.loads((checkpoint / MARK).read_bytes())
        self.step, self.seconds, self.points, self.losses = (known[name] for name in ("step", "seconds", "points", "losses"))

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any, **others: Any) -> None:
        if not self.step and self.measure:
            self._point("held_out", loss_per_token(model, self.held_out))
        self.since = self.saved = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any, **others: Any) -> None:
        self.step = state.global_step
        self._tick()
        due = time.monotonic() - self.saved >= self.checkpoint
        if self.processes > 1:  # saving is done by all or none; the clocks of the others may say something else
            due = bool(accelerate.utils.broadcast(torch.tensor(int(due), device=args.device)))
        control.should_save = due

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, float], model: Any, **others: Any) -> None:
        """Take in the loss of a step. Comes after `on_step_end` and before the checkpoint."""
        state.log_history.clear()  # it would be written into every checkpoint
        if "loss" not in logs:
            return  # the summary at the end
        if not math.isfinite(logs["loss"]):
            raise InputError(
                f"the loss is {logs['loss']} at step {self.step} of {self.plan.steps}: the training has diverged. Lower lr, or warm up longer."
            )
        self.losses.append(logs["loss"])
        if self.step % self.every == 0 or self.step == self.plan.steps:
            self._point("train", float(np.mean(self.losses)), logs["learning_rate"])
            self.losses = []
        if self.step in self.measure:
            self._tick()
            self._point("held_out", loss_per_token(model, self.held_out))
            self.since = time.monotonic()
        if state.is_world_process_zero and (time.monotonic() - self.told >= 1 or self.step == self.plan.steps):
            self.told = time.monotonic()
            says = f"loss {logs['loss']:.3f}, {self.tokens / self.seconds:,.0f} tokens/s"
            self.run.progress(self.step, self.plan.steps, "steps", says)

    def on_save(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        if self.processes > 1:
            torch.distributed.barrier()  # every process has a file in a checkpoint
        if args.should_save:
            self._tick()
            known = {"step": self.step, "seconds": self.seconds, "points": self.points, "losses": self.losses}
            seal(self.run.work / f"checkpoint-{self.step}", known)
            for old in checkpoints_in(self.run.work)[:-2]:
                remove(old)
        self.saved = time.monotonic()

    @property
    def tokens(self) -> int:
        return int(self.plan.tokens[self.step - 1]) if self.step else 0

    def _tick(self) -> None:
        now = time.monotonic()
        self.seconds += now - self.since
        self.since = now

    def _point(self, split: str, loss: float, lr: float | None = None) -> None:
        epoch = np.count_nonzero(self.plan.order[: self.step] >= 0) / self.rows
        point = {"step": self.step, "epoch": epoch, "tokens": self.tokens, "split": split, "loss": loss, "learning_rate": lr}
        self.points.append(point)

    def frame(self) -> pl.DataFrame:
        return pl.DataFrame(self.points, schema=LOSS.schema)


def loss_per_token(model: PreTrainedModel, blocks: Sequence[Sequence[int]], at_once: int = 8192) -> float:
    """Return the mean loss, in nats, of all tokens but the first of each block; `at_once` tokens at a time."""
    training = model.training
    model.train(False)
    device = next(model.parameters()).device
    total, count = 0.0, 0
    by_length = sorted(blocks, key=len, reverse=True)
    size = max(1, at_once // len(by_length[0]))
    with torch.no_grad():
        for start in range(0, len(by_length), size):
            piece = {name: part.to(device) for name, part in collate([Row(b) for b in by_length[start : start + size]]).items()}
            logits = model(input_ids=piece["input_ids"], use_cache=False).logits[:, :-1].flatten(0, 1).float()
            wanted = piece["labels"][:, 1:].flatten()
            total += torch.nn.functional.cross_entropy(logits, wanted, reduction="sum").item()
            count += int((wanted >= 0).sum())
    model.train(training)
    return total / count


# -- checkpoints -----------------------------------------------------------------------------------------------------


# -- the result ------------------------------------------------------------------------------------------------------


def _save(trainer: Trainer, recipe: Recipe, folder: Path, use_cache: bool) -> None:
    """Write the model's own files, in the precision of the recipe. All processes take part, one of them writes."""
    weights = trainer.accelerator.get_state_dict(trainer.model_wrapped)
    if not trainer.args.should_save:
        return
    trained = trainer.accelerator.unwrap_model(trainer.model_wrapped)
    config = trained.config
    config.use_cache = use_cache
    dtype = DTYPES[recipe.dtype]
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    model.load_state_dict({name: part.to("cpu", dtype) for name, part in weights.items()}, assign=True)
    model.tie_weights()
    model.generation_config = trained.generation_config
    transformers_logging.disable_progress_bar()
    model.save_pretrained(folder)


def _facts(
    plan: Plan, watch: Watch, recipe: Recipe, arguments: TrainingArguments, rows: int, parameters: int
) -> dict[str, Any]:
    tokens = int(plan.tokens[-1])
    speed = tokens / watch.seconds
    device = _device(arguments)
    facts = {
        "steps": plan.steps,
        "epochs": recipe.epochs,
        "rows": rows,
        "tokens": tokens,
        "padding": round(plan.padding, 4),
        "rows_at_once": plan.piece,
        "seconds": round(watch.seconds, 1),
        "tokens_per_second": round(speed),
        "device": device if arguments.world_size == 1 else f"{arguments.world_size} x {device}",
        "dtype": recipe.dtype,
        "parameters": parameters,
    }
    if known := device_of(device):
        facts["mfu"] = round(6 * parameters * speed / (known.peak * arguments.world_size), 3)
    return facts


def _device(arguments: TrainingArguments) -> str:
    if arguments.device.type == "cuda":
        return str(torch.cuda.get_device_name(arguments.device))
    return f"{arguments.device.type}, {torch.get_num_threads()} threads"
