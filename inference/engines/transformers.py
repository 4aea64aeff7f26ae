"""The transformers engine: a model in this process, on a GPU or on the CPU, a batch of draws at a time.

Each draw has a random sequence of its own. The next token is the one with the highest score after noise of the Gumbel
distribution was added, which is the same as drawing it from the softmax of the scores. The noise is a hash of the draw's
seed, the step and the token, so it depends neither on the other rows of a batch nor on the device.
"""

import gc
import logging
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from inference.engines import Completion, Request, Sampling
from inference.engines.flight import before
from inference.precision import warn_if_emulated
from inference.prompts import Tokenizer, load_tokenizer
from registry.errors import InputError, OutOfResources
from registry.maker import Model, Options

if TYPE_CHECKING:
    import torch

ROWS = {"cpu": 128, "cuda": 256}  # at most at once by default; on a CPU more are no faster
CPU_CACHE = 4 * 2**30  # bytes of main memory for the keys and values of a batch
LOOK = 16  # steps between two looks for a stop text: decoding every row at every step would cost more than it saves


@dataclass(frozen=True)
class Rows:
    """How many rows are generated at once (RFT_BATCH); 0: as fits."""

    batch: int = 0


class TransformersEngine:
    """Implements inference.engines.Engine. `batch`: rows generated at once (0: as fits); `dtype`: of the weights, like float32.

    Without a dtype the weights keep the checkpoint's on a GPU and are float32 on a CPU. Raises InputError if the folder
    holds no model that transformers can load whole, OutOfResources if it does not fit into memory.
    """

    name = "transformers"

    @classmethod
    def of(cls, model: Model, options: Options, tokenizer: Tokenizer) -> Self:
        """Return the engine with a model, as `options` ask for it."""
        return cls(model.folder, batch=options.read(Rows).batch)

    def __init__(self, folder: Path, *, batch: int = 0, dtype: str = "") -> None:
        import torch
        import transformers

        transformers.logging.disable_progress_bar()
        # Padded prompts and completions may be longer than the context together, though none of the rows is.
        logging.getLogger("transformers.generation.stopping_criteria").setLevel(logging.ERROR)
        self.folder = folder
        self.batch = batch
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.tokenizer = load_tokenizer(folder, str(folder))
        self.model = self._load(dtype or ("auto" if self.device == "cuda" else "float32"))
        self.config = self.model.config.get_text_config()
        if self.device == "cpu":
            warn_if_emulated(self.model.dtype, self.config.hidden_size, "sampling")
        self.context = getattr(self.config, "max_position_embeddings", None)  # some models have no end to their positions
        self.eos = _eos_ids(self.model.generation_config.eos_token_id, self.tokenizer.eos_token_id)
        # generate() would take what a checkpoint recommends (top_k, a repetition penalty) wherever Sampling says nothing.
        self.model.generation_config = transformers.GenerationConfig()
        self.model.register_forward_pre_hook(self._stay_in_context, with_kwargs=True)
        versions = f"transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}"
        device = torch.cuda.get_device_name() if self.device == "cuda" else self.device
        self.version = f"{versions}, {device}, {str(self.model.dtype).removeprefix('torch.')}"

    def complete(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[list[Completion]]:
        """Yield the completions of one batch after another; a draw's place alone says which batch it is in.

        Raises InputError for a prompt that leaves no room in the context and for a model whose scores are not numbers,
        OutOfResources if a batch does not fit into memory.
        """
        rows = self.batch or self._rows_that_fit(sampling)
        in_order = sorted(requests, key=lambda request: request.place)
        for _, batch in groupby(in_order, key=lambda request: request.place // rows):
            with self._memory(f"generate {rows} rows at once", "Set RFT_BATCH to fewer"):
                completions = self._generate(list(batch), sampling)
            yield completions

    def close(self) -> None:
        """Give back the model's memory."""
        import torch

        del self.model
        gc.collect()
        if self.device == "cuda":
            torch.cuda.empty_cache()

    def _generate(self, requests: Sequence[Request], sampling: Sampling) -> list[Completion]:
        import torch
        from transformers import GenerationConfig

        limits = [self._limit(request, sampling) for request in requests]
        # All prompts end in the same column, where the new tokens begin; what is before a shorter one is masked.
        width = max(len(request.prompt) for request in requests)
        filler = self.eos[0] if self.eos else 0
        ids = torch.full((len(requests), width), filler)
        mask = torch.zeros_like(ids)
        for row, request in enumerate(requests):
            ids[row, width - len(request.prompt) :] = torch.tensor(request.prompt)
            mask[row, width - len(request.prompt) :] = 1
        with torch.inference_mode():
            whole = self.model.generate(
                input_ids=ids.to(self.device),
                attention_mask=mask.to(self.device),
                generation_config=GenerationConfig(
                    do_sample=False, max_new_tokens=max(limits), eos_token_id=self.eos or None, pad_token_id=filler
                ),
                logits_processor=self._processors(requests, sampling, width),
                stopping_criteria=[StopTexts(self.tokenizer, sampling.stop, width)] if sampling.stop else [],
            )
        new = whole[:, width:].tolist()
        return [
            self._completion(request.place, tokens[:limit], sampling.stop)
            for request, tokens, limit in zip(requests, new, limits, strict=True)
        ]

    def _limit(self, request: Request, sampling: Sampling) -> int:
        """Return the most new tokens that a draw may have."""
        length = len(request.prompt)
        if not 0 < length < (self.context or length + 1):
            raise InputError(
                f"The prompt of draw {request.place} has {length} tokens; it must have some, and leave room for an answer in "
                f"the {self.context} that the model can read."
            )
        if max(request.prompt) >= self.config.vocab_size:
            raise InputError(
                f"The prompt of draw {request.place} has the token {max(request.prompt)}, but the model in {self.folder} knows "
                f"only {self.config.vocab_size}: its tokenizer belongs to another model. Put its own there."
            )
        return min(sampling.max_tokens, self.context - length) if self.context else sampling.max_tokens

    def _processors(self, requests: Sequence[Request], sampling: Sampling, width: int) -> list[Any]:
        import torch
        from transformers import TemperatureLogitsWarper, TopPLogitsWarper

        def check(ids: "torch.Tensor", scores: "torch.Tensor") -> "torch.Tensor":
            if scores.isnan().any():
                raise InputError(f"The scores of the model in {self.folder} are not numbers (NaN): its weights are broken.")
            return scores

        if sampling.temperature == 0:
            return [check]
        cut = [TopPLogitsWarper(sampling.top_p)] if sampling.top_p < 1 else []
        noise = GumbelNoise(torch.tensor([request.seed for request in requests], device=self.device), width)
        return [check, TemperatureLogitsWarper(float(sampling.temperature)), *cut, noise]

    def _completion(self, place: int, tokens: list[int], stop: Sequence[str]) -> Completion:
        """Return what a row of new tokens says up to its end."""
        end = next((n for n, token in enumerate(tokens, 1) if token in self.eos), None)
        tokens = tokens[:end]
        text = self._decode(tokens)
        said = before(text, stop)
        if len(said) == len(text):
            return Completion(place, tuple(tokens), text, "stop" if end else "length")
        # The row went on until the next look: the last token is the one that completes the stop text.
        last = bisect_left(range(len(tokens)), True, key=lambda n: any(word in self._decode(tokens[: n + 1]) for word in stop))
        return Completion(place, tuple(tokens[: last + 1]), said, "stop")

    def _decode(self, tokens: list[int]) -> str:
        return str(self.tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def _rows_that_fit(self, sampling: Sampling) -> int:
        """Return how many rows to generate at once: a matter of the model, max_tokens and the machine alone."""
        import torch

        heads = getattr(self.config, "num_attention_heads", 1)
        shared = (getattr(self.config, "num_key_value_heads", None) or heads) / heads
        token = 2 * self.config.num_hidden_layers * self.config.hidden_size * shared * self.model.dtype.itemsize
        tokens = 2 * sampling.max_tokens  # a guess: prompts as long as the longest answers
        room = CPU_CACHE
        if self.device == "cuda":
            room = (torch.cuda.get_device_properties(0).total_memory - self.model.get_memory_footprint()) // 2
        return max(1, min(ROWS[self.device], int(room // (token * min(tokens, self.context or tokens)))))

    def _stay_in_context(
        self, model: Any, args: tuple[Any, ...], inputs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Keep rows that are at the end of the context, and go on unread while others are not, inside a table of positions."""
        if self.context and (positions := inputs.get("position_ids")) is not None:
            inputs["position_ids"] = positions.clamp(max=self.context - 1)
        return args, inputs

    def _load(self, dtype: str) -> Any:
        from safetensors import SafetensorError
        from transformers import AutoModelForCausalLM

        try:
            with self._memory("load the model", "Take a larger one, or the engine vllm on several GPUs"):
                model, found = AutoModelForCausalLM.from_pretrained(
                    self.folder, dtype=dtype, local_files_only=True, trust_remote_code=False, output_loading_info=True
                )
                model = model.to(self.device).eval()
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            raise InputError(f"transformers cannot load the model in {self.folder}: {error}") from error
        check_whole(found, self.folder)
        return model

    @contextmanager
    def _memory(self, act: str, cure: str) -> Iterator[None]:
        """Turn what torch raises when memory is short into OutOfResources."""
        import torch

        try:
            yield
        except (RuntimeError, MemoryError) as error:
            if not isinstance(error, MemoryError | torch.OutOfMemoryError) and "can't allocate memory" not in str(error):
                raise
            memory = "GPU" if self.device == "cuda" else "main"
            raise OutOfResources(f"There is not enough {memory} memory to {act}. {cure}.") from error


class GumbelNoise:
    """Adds to each score noise of the standard Gumbel distribution, a hash of (seed of the row, step, token).

    `seeds`: int64, one for each row; `start`: the width of the prompts, after which steps are counted. A logits processor
    of transformers.
    """

    def __init__(self, seeds: "torch.Tensor", start: int) -> None:
        self.states, self.start = splitmix64(seeds), start

    def __call__(self, ids: "torch.Tensor", scores: "torch.Tensor") -> "torch.Tensor":
        import torch

        steps = splitmix64(self.states + (ids.shape[1] - self.start))
        tokens = splitmix64(torch.arange(scores.shape[1], device=scores.device))
        bits = splitmix64(steps[:, None] ^ tokens) & (2**23 - 1)
        # Odd multiples of 2**-24 are exact in float32 and never 0 or 1, so the noise is never infinite.
        uniform = bits.to(torch.float32).add_(0.5).mul_(2.0**-23)
        return scores - uniform.log_().neg_().log_()


class StopTexts:
    """Ends the rows whose new tokens, those after the first `start`, say a stop text. A stopping criterion of transformers."""

    def __init__(self, tokenizer: Tokenizer, stop: Sequence[str], start: int) -> None:
        self.tokenizer, self.stop, self.start = tokenizer, stop, start
        self.tail = LOOK + max(len(word.encode()) for word in stop)  # tokens: at worst each byte of the text is one

    def __call__(self, ids: "torch.Tensor", scores: Any, **_: Any) -> "torch.Tensor":
        import torch

        if (ids.shape[1] - self.start) % LOOK:
            return torch.zeros(len(ids), dtype=torch.bool, device=ids.device)
        new = ids[:, self.start :][:, -self.tail :]
        texts = self.tokenizer.batch_decode(new, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return torch.tensor([any(word in text for word in self.stop) for text in texts], device=ids.device)


def splitmix64(x: "torch.Tensor") -> "torch.Tensor":
    """Return the 64-bit integers that Steele, Lea and Flood's generator gives from these states.

    Arithmetic is modulo 2**64 and torch shifts in copies of the sign, so the bits that an unsigned shift clears are masked.
    """
    x = x - 0x61C8864680B583EB  # + 0x9E3779B97F4A7C15, as the constants below, of the range that torch takes
    x = (x ^ (x >> 30 & 2**34 - 1)) * -0x40A7B892E31B1A47
    x = (x ^ (x >> 27 & 2**37 - 1)) * -0x6B2FB644ECCEEE15
    return x ^ (x >> 31 & 2**33 - 1)


def _eos_ids(*given: int | list[int] | None) -> list[int]:
    """Return the end-of-sequence tokens that the model's generation config and the tokenizer name, each once."""
    ids = [token for some in given for token in (some if isinstance(some, list) else [some]) if token is not None]
    return list(dict.fromkeys(ids))


def check_whole(found: Mapping[str, Any], folder: Path) -> None:
    """Raise InputError if a checkpoint lacks weights, by what transformers says of its loading (`output_loading_info`)."""
    if missing := sorted(found["missing_keys"]):
        raise InputError(
            f"The model in {folder} lacks {len(missing)} of its weights ({', '.join(missing[:3])}, ...), which transformers would "
            "fill with random numbers. Get the whole checkpoint."
        )
