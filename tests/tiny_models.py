"""A tiny Llama with a tokenizer of its own, made in a second: real files that transformers and vLLM load like any other."""

from pathlib import Path
from typing import Any

from tests.workspace import SIX

EOS = "</s>"
PAD = "<pad>"


def tiny_tokenizer(texts: list[str] | None = None, *, vocab: int = 320, bos: bool = False) -> Any:
    """Return a byte-level BPE tokenizer trained on `texts` (the six toy questions); it adds `<s>` by itself only with `bos`."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    texts = texts or [f"{row['question']}\n{row['answer']}" for row in SIX]
    special = [PAD, EOS, "<s>"]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=vocab,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    if bos:
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 2)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=EOS,
        pad_token=PAD,
        clean_up_tokenization_spaces=False,
        **({"bos_token": "<s>"} if bos else {}),
    )


def tiny_model(
    folder: Path,
    *,
    seed: int = 0,
    context: int = 256,
    vocab: int = 320,
    hidden: int = 32,
    layers: int = 2,
    bos: bool = False,
    spread: float = 0.2,
    texts: list[str] | None = None,
) -> Path:
    """Write a Llama with random weights and its tokenizer into `folder` and return it.

    Heads are 32 wide, as vLLM wants them. `spread` is the standard deviation of the weights: 0.2 makes the next token
    neither certain nor uniform, so that greedy and sampled completions differ, end at different lengths and show what they
    depend on; 0.02 is the usual start for training.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = tiny_tokenizer(texts, vocab=vocab, bos=bos)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 32,
        num_key_value_heads=hidden // 32,
        max_position_embeddings=context,
        initializer_range=spread,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
        model.lm_head.weight[tokenizer.eos_token_id] *= 3  # so that a completion ends by itself now and then
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return Path(folder)
