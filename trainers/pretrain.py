"""Pre-train a small Llama, and a tokenizer for it, on a text: a base model that a laptop can make.

    story-120k@1: {trainer: pretrain, inputs: [story-text@1, story-text-held-out@1], params: {hidden: 128, layers: 4}}

Its tokenizer reads every number up to three digits apart from what stands around it and, if the text has it often enough,
as one token.
"""

from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt

from registry.errors import InputError
from registry.maker import Input, Run, Trained
from registry.rows import TEXT

EDITION = 1

EOS = "</s>"
# Numbers of up to three digits, words with the space before them, the marks of GSM8K solutions, all else sign by sign.
PARTS = r"\d{1,3}| ?\p{L}+|<<|>>|#+|[^\d\p{L}]"


def train(
    text: Annotated[Input, TEXT],
    held_out: Annotated[Input, TEXT],
    *,
    hidden: Annotated[int, Ge(32)] = 128,
    layers: Annotated[int, Ge(1)] = 4,
    heads: Annotated[int, Ge(1)] = 4,
    vocab: Annotated[int, Ge(300)] = 1024,
    context: Annotated[int, Ge(2)] = 512,
    length: Annotated[int, Ge(2)] = 256,
    epochs: Annotated[float, Gt(0)] = 1.0,
    batch: Annotated[int, Ge(1)] = 32,
    lr: Annotated[float, Gt(0)] = 1e-3,
    schedule: Literal["cosine", "linear", "constant"] = "cosine",
    warmup: Annotated[float, Ge(0), Lt(1)] = 0.03,
    weight_decay: Annotated[float, Ge(0)] = 0.0,
    dtype: Literal["bf16", "fp32"] = "fp32",
    seed: Annotated[int, Ge(0), Le(2**32 - 1)] = 0,
    run: Run,
) -> Trained:
    """Train a Llama of the size given on `text`, packed into blocks of `length` tokens, `batch` of them a step.

    The fact `loss` is its pre-training loss: nats per token over all tokens of `held_out`, ends of texts included, in
    blocks of the same length. `context` is how many tokens the model can ever read. Raises InputError if a text is
    empty, or sizes do not go together.
    """
    from transformers import LlamaConfig, LlamaForCausalLM, set_seed

    from trainers._fitting.batches import Row, blocks
    from trainers._fitting.fit import Recipe, fit

    if hidden % (2 * heads):
        raise InputError(
            f"hidden is {hidden} and heads {heads}: a head's width, hidden / heads, must be whole and even. Make hidden a "
            f"multiple of {2 * heads}."
        )
    if length > context:
        raise InputError(f"length is {length}, context {context}: the model could not read its own blocks. Raise context.")
    for given in (text, held_out):
        if not given.rows.height:
            raise InputError(f"{given.id} has no rows: there is nothing to learn from or to measure.")

    tokenizer = train_tokenizer(text.rows["text"].to_list(), vocab, context)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=-(-8 * hidden // 96) * 32,  # 8/3 of hidden, as Llama has it, up to a multiple of 32
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=context,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=None,
    )
    set_seed(seed)
    model = LlamaForCausalLM(config)

    def packed(given: Input) -> list[list[int]]:
        # A text may say "</s>": there it is a text like any other, and no end.
        found = tokenizer(given.rows["text"].to_list(), split_special_tokens=True, return_attention_mask=False, verbose=False)
        return blocks(found["input_ids"], length, tokenizer.eos_token_id)

    recipe = Recipe(epochs, batch, lr, schedule, warmup, weight_decay, dtype, seed)
    fitted = fit(model, [Row(block) for block in packed(text)], recipe, run, packed(held_out))
    tokenizer.save_pretrained(run.folder)
    loss = fitted.loss.filter(split="held_out")["loss"][-1]
    return Trained({**fitted.facts, "loss": loss, "loss_source": f"held-out text {held_out.id}"}, fitted.loss)


def train_tokenizer(texts: list[str], vocab: int, context: int) -> Any:
    """Return a byte-level BPE tokenizer of at most `vocab` tokens, trained on `texts`: it can write any text."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PARTS), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,
        special_tokens=[EOS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=EOS, model_max_length=context, clean_up_tokenization_spaces=False
    )
