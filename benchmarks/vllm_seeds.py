"""What a seed of its own for each draw costs in vLLM, against one seed for all draws of a prompt, and against no seeds.

    python -m benchmarks.vllm_seeds [--model FOLDER] [--prompts 32] [--draws 16] [--tokens 64] [--rounds 9] [--json]

Needs vLLM. Without --model it makes a small Llama with random weights and 32,000 tokens. Every way draws equally many
tokens from the same prompts in the same process; the ways take turns, after one round that is not counted.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from inference.engines.vllm import ENVIRONMENT

PROMPT, VOCABULARY = 64, 32_000  # tokens of a prompt, and to choose from
TEMPERATURE = 0.7


def random_model(folder: Path) -> Path:
    """Write a Llama of 9 million random weights into `folder` and return it; it needs no tokenizer here."""
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = {"hidden_size": 128, "intermediate_size": 352, "num_hidden_layers": 4, "num_attention_heads": 4}
    LlamaForCausalLM(LlamaConfig(vocab_size=VOCABULARY, max_position_embeddings=1024, **shape)).save_pretrained(folder)
    return folder


def ways(prompts: Sequence[Any], draws: int, tokens: int) -> dict[str, tuple[list[Any], list[Any]]]:
    """Return for each way of asking the prompts and their parameters."""
    from vllm import SamplingParams

    def params(**more: Any) -> SamplingParams:
        return SamplingParams(temperature=TEMPERATURE, max_tokens=tokens, ignore_eos=True, detokenize=False, **more)

    each = [prompt for prompt in prompts for _ in range(draws)]
    return {
        "a seed for each draw": (each, [params(seed=2**40 + 977 * number) for number in range(len(each))]),
        "a seed for each prompt": (
            list(prompts),
            [params(seed=2**40 + 977 * number, n=draws) for number in range(len(prompts))],
        ),
        "no seeds": (each, [params() for _ in each]),
    }


def measure(model: Path, prompts: int, draws: int, tokens: int, rounds: int) -> dict[str, Any]:
    import torch
    import vllm
    from vllm.platforms import current_platform

    cpu = current_platform.is_cpu()
    if cpu:
        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    llm = vllm.LLM(
        str(model),
        skip_tokenizer_init=True,
        dtype="float32" if cpu else "auto",
        max_model_len=PROMPT + tokens,
        enforce_eager=cpu,
        enable_chunked_prefill=False if cpu else None,  # vLLM 0.32 dies on a CPU of half a prompt that has a seed
        generation_config="vllm",
    )
    asked = [{"prompt_token_ids": [3 + (7919 * n + 31 * i) % 251 for i in range(PROMPT)]} for n in range(prompts)]
    rates: dict[str, list[float]] = {}
    try:
        for counted in range(rounds + 1):
            for way, (given, params) in ways(asked, draws, tokens).items():
                started = time.perf_counter()
                outputs = llm.generate(given, params, use_tqdm=False)
                seconds = time.perf_counter() - started
                made = sum(len(draw.token_ids) for output in outputs for draw in output.outputs)
                if made != prompts * draws * tokens:
                    raise SystemExit(f"{way}: {made} tokens, not {prompts * draws * tokens}")
                if counted:
                    rates.setdefault(way, []).append(made / seconds)
    finally:
        llm.llm_engine.engine_core.shutdown()  # else Python waits for vLLM's process at its end
    return {
        "ran_on": f"vllm {vllm.__version__}, torch {torch.__version__}, {current_platform.get_device_name()}",
        "tokens": prompts * draws * tokens,
        "rates": rates,
        "load_average": os.getloadavg(),
    }


def report(found: dict[str, Any]) -> str:
    fastest = {way: max(rates) for way, rates in found["rates"].items()}
    lines = [f"{found['ran_on']}; {found['tokens']:,} tokens a way and round; load {found['load_average'][0]:.1f}"]
    for way, rates in found["rates"].items():
        lines.append(
            f"{way:24} {fastest[way]:8,.0f} tokens/s, {fastest[way] / fastest['no seeds']:.2f} of no seeds  "
            f"(median {statistics.median(rates):,.0f}, least {min(rates):,.0f})"
        )
    return "\n".join(
        [*lines, f"the fastest of {len(found['rates']['no seeds'])} rounds: other programs can only slow one down"]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path)
    parser.add_argument("--prompts", type=int, default=32)
    parser.add_argument("--draws", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    for variable, value in ENVIRONMENT.items():
        os.environ.setdefault(variable, value)
    with tempfile.TemporaryDirectory() as scratch:
        model = given.model or random_model(Path(scratch))
        found = measure(model, given.prompts, given.draws, given.tokens, given.rounds)
    print(json.dumps(found, indent=1) if given.json else report(found))


if __name__ == "__main__":
    main()
