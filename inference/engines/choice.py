"""Which engine runs: the one the options name, else the best one this machine has."""

import importlib.util
from typing import Any

from inference.engines import Engine
from registry.errors import UsageError, near
from registry.maker import Model, Options

NAMES = ("vllm", "openai", "transformers")


def open_engine(model: Model, options: Options, tokenizer: Any) -> Engine:
    """Return the engine that `options` ask for, with the model loaded.

    Asked for none, it is openai if there is a base_url, else vllm where that is installed beside a GPU, else transformers.
    Raises UsageError for a name that is none, or openai without a base_url; and what the engine raises if it cannot start.
    """
    name = options.engine or ("openai" if options.base_url else "vllm" if _vllm_runs_here() else "transformers")
    if name not in NAMES:
        raise UsageError(f"there is no engine {name}; there are {', '.join(NAMES)}.{near(name, NAMES)}")
    if name == "openai":
        if not options.base_url:
            raise UsageError("the engine openai needs the server's address: --base-url http://HOST:PORT/v1, or RFT_BASE_URL.")
        if options.concurrency < 1:
            raise UsageError("RFT_CONCURRENCY is 0: no request could be sent. 64 is the default.")
        from transformers import AutoConfig

        from inference.engines.openai import OpenAIEngine

        config = AutoConfig.from_pretrained(model.folder).get_text_config()
        served_as = [model.id, model.id.partition("@")[0], str(model.folder)]
        return OpenAIEngine(
            options.base_url,
            served_as,
            served_model=options.served_model,
            tokenizer=tokenizer,
            context=getattr(config, "max_position_embeddings", None),
            concurrency=options.concurrency,
        )
    if name == "vllm":
        from inference.engines.vllm import VllmEngine

        return VllmEngine(model.folder)
    from inference.engines.transformers import TransformersEngine

    return TransformersEngine(model.folder, batch=options.batch)


def _vllm_runs_here() -> bool:
    if importlib.util.find_spec("vllm") is None:
        return False
    import torch

    return bool(torch.cuda.device_count())  # is_available() would start CUDA, and vLLM's own processes could not be forked
