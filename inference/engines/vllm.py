"""The vLLM engine: as many requests in flight as vLLM can run, the draws of a question together for its prefix cache.

vLLM runs in processes of its own. On a GPU the weights have the type that the checkpoint says; on a CPU (for tests) they
are float32, nothing is compiled, and its cache takes VLLM_CPU_KVCACHE_SPACE GiB (1 if that is not set).
"""

import atexit
import multiprocessing
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from inference.engines import Completion, Request, Sampling
from inference.engines.flight import Loop, before
from inference.prompts import Tokenizer, load_tokenizer
from registry.errors import InputError, RemoteError, UsageError
from registry.maker import Model, Options

PATIENCE = 900.0  # seconds without a single finished draw after which vLLM is taken to hang
WAITING = 2  # requests in flight for each that vLLM can run at once, so that it always has the next ones at hand

# What vLLM reads from the environment when it is imported. Processes are spawned: a fork copies locks that threads hold.
ENVIRONMENT = {
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
    "VLLM_LOGGING_LEVEL": "WARNING",
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
}


class VllmEngine:
    """vLLM with the model in `folder`, on `gpus` GPUs if there are any.

    `context`: the most tokens of a prompt and its completion together (0: as many as the model can); less needs less memory.
    Raises UsageError if vLLM is not installed, InputError if it cannot run this model, RemoteError if it does not start.
    """

    name = "vllm"

    @classmethod
    def of(cls, model: Model, options: Options, tokenizer: Tokenizer) -> Self:
        """Return the engine with a model; no option is about it."""
        return cls(model.folder)

    def __init__(self, folder: Path, *, context: int = 0, gpus: int = 1) -> None:
        for variable, value in ENVIRONMENT.items():
            os.environ.setdefault(variable, value)
        try:
            import torch
            import vllm
            from transformers import AutoConfig
            from vllm.platforms import current_platform
            from vllm.usage.usage_lib import UsageContext
        except ImportError as error:
            raise UsageError(
                f"The vllm engine needs vLLM, which cannot be imported here ({error}). `pip install '.[vllm]'` in a checkout of rft on a "
                "Linux machine with a GPU, or take --engine transformers, or --engine openai with the --base-url of a server."
            ) from error
        cpu = current_platform.is_cpu()
        if cpu:
            os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
        self._tokenizer = load_tokenizer(folder, str(folder))
        try:
            # "auto" would turn float32 into float16, so the type is named.
            stored = AutoConfig.from_pretrained(folder, local_files_only=True).dtype
            dtype = "float32" if cpu else str(stored or "auto").removeprefix("torch.")
            arguments = vllm.AsyncEngineArgs(
                model=str(folder),
                dtype=dtype,
                max_model_len=context or None,
                tensor_parallel_size=1 if cpu else gpus,
                enable_prefix_caching=True,
                enforce_eager=cpu,
                enable_chunked_prefill=False if cpu else None,  # vLLM 0.32 dies on a CPU of half a prompt that has a seed
                generation_config="vllm",  # the recipe says how to sample, not a file beside the weights
                disable_log_stats=True,
            )
            others = multiprocessing.active_children()
            self._engine = vllm.AsyncLLMEngine.from_engine_args(arguments, usage_context=UsageContext.LLM_CLASS)
        except (RuntimeError, TimeoutError) as error:
            raise RemoteError(
                f"vLLM did not start with the model in {folder}: {error} What it printed above says why; "
                "if memory is short, end what else runs there, or take --engine transformers."
            ) from error
        except (OSError, ValueError) as error:
            raise InputError(f"vLLM cannot run the model in {folder}: {error}") from error
        self._guard = guard([process.pid for process in multiprocessing.active_children() if process not in others])
        self._loop = Loop()
        atexit.register(self.close)  # else Python would wait for vLLM's processes, which wait for work
        ran_on = [current_platform.get_device_name(), str(self._engine.model_config.dtype).removeprefix("torch.")]
        self.version = ", ".join(
            [f"vllm {vllm.__version__}", f"torch {torch.__version__.split('+')[0]}", *ran_on, *(["eager"] if cpu else [])]
        )

    def complete(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[list[Completion]]:
        """Yield completions as they are finished, as `Engine.complete` says."""
        from vllm import SamplingParams
        from vllm.exceptions import VLLMClientError, VLLMServerError
        from vllm.inputs import tokens_input
        from vllm.sampling_params import RequestOutputKind

        context = self._engine.model_config.max_model_len

        async def answer(request: Request) -> Completion:
            try:
                params = SamplingParams(
                    seed=request.seed,
                    temperature=sampling.temperature,
                    top_p=sampling.top_p,
                    max_tokens=min(sampling.max_tokens, context - len(request.prompt)),
                    stop=list(sampling.stop),
                    detokenize=bool(sampling.stop),
                    output_kind=RequestOutputKind.FINAL_ONLY,
                )
                prompt = tokens_input(list(request.prompt))
                outputs = [output async for output in self._engine.generate(prompt, params, str(request.place))]
            except VLLMClientError as error:
                raise InputError(f"vLLM refuses draw {request.place}: {error}") from error
            except VLLMServerError as error:
                raise RemoteError(
                    f"vLLM died at draw {request.place}: {error} What was drawn is kept; the same command goes on from there."
                ) from error
            return completion(request, outputs, sampling.stop, self._decode)

        for request in requests:
            if not 0 < len(request.prompt) < context:
                raise InputError(
                    f"The prompt of draw {request.place} has {len(request.prompt)} tokens; it must have some, and leave room "
                    f"for an answer in the {context} that the model can read."
                )
        window = WAITING * self._engine.vllm_config.scheduler_config.max_num_seqs
        yield from self._loop.completions(requests, answer, window, PATIENCE)

    def _decode(self, tokens: Sequence[int]) -> str:
        return str(self._tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def close(self) -> None:
        """End vLLM's processes; those that do not end by themselves are killed after 5 s."""

        async def end() -> None:  # in the loop, where vLLM's own tasks end without a complaint
            self._engine.shutdown()

        atexit.unregister(self.close)
        self._loop.run(end())
        self._loop.close()
        self._guard.kill()
        self._guard.communicate()
        del self._engine  # now: at the interpreter's end vLLM's own clean-up would fail


def guard(pids: Sequence[int | None]) -> subprocess.Popen[bytes]:
    """Return a process that kills those of `pids` when this one is gone, even killed: vLLM's would go on holding the GPU.

    It waits for the end of its input, which closes with this process; kill it to spare them.
    """
    script = f"read _; kill -9 {' '.join(map(str, pids))}"
    return subprocess.Popen(["sh", "-c", script], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)


def completion(
    request: Request, outputs: Sequence[Any], stop: Sequence[str], decode: Callable[[Sequence[int]], str]
) -> Completion:
    """Return what vLLM's outputs for a request say; RemoteError if they are anything but one finished draw of it."""
    draws = [(output.request_id, draw.finish_reason, tuple(draw.token_ids)) for output in outputs for draw in output.outputs]
    match draws:
        case [(place, "stop" | "length" as reason, [_, *_] as tokens)] if place == str(request.place):
            return Completion(request.place, tokens, before(decode(tokens), stop), reason)
    raise RemoteError(
        f"vLLM answered draw {request.place} with {draws}: not one draw of it that has tokens and ended by stop or length. "
        "What was drawn is kept; the same command goes on from there."
    )
