"""Which engine runs: the one the options name, else the best one this machine has."""

import importlib
import importlib.util
from dataclasses import dataclass
from typing import Any

from inference.engines import Engine
from registry.errors import UsageError, near
from registry.maker import Model, Options

ENGINES = {"vllm": "VllmEngine", "openai": "OpenAIEngine", "transformers": "TransformersEngine"}  # file -> class


@dataclass(frozen=True)
class Choice:
    """The engine's name (RFT_ENGINE), or the address of a server (RFT_BASE_URL), which means openai."""

    engine: str = ""
    base_url: str = ""


def open_engine(model: Model, options: Options, tokenizer: Any) -> Engine:
    """Return the engine that `options` ask for, with the model loaded.

    Asked for none, it is openai if there is a base_url, else vllm where that is installed beside a GPU, else transformers.
    Raises UsageError for a name that is none, and what the engine raises if it cannot start.
    """
    asked = options.read(Choice)
    name = asked.engine or ("openai" if asked.base_url else "vllm" if _vllm_runs_here() else "transformers")
    if name not in ENGINES:
        raise UsageError(f"there is no engine {name}; there are {', '.join(ENGINES)}.{near(name, ENGINES)}")
    module = importlib.import_module(f"inference.engines.{name}")
    engine: Engine = getattr(module, ENGINES[name]).of(model, options, tokenizer)
    return engine


def _vllm_runs_here() -> bool:
    if importlib.util.find_spec("vllm") is None:
        return False
    import torch

    return bool(torch.cuda.device_count())  # is_available() would start CUDA, and vLLM's own processes could not be forked
