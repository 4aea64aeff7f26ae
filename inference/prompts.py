r"""What a model is asked: the text around a question, and the token ids that training and generation share.

The prompt that the paper's models were trained with, `alpaca`, as it lies in a model's folder (prompt.json):
    {"before": "Below is an instruction ...\n\n### Instruction:\n", "after": "\n\n### Response:", "writes_special": false}
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from registry.errors import InputError, near

FILE = "prompt.json"
FEW_SHOT_STOP = "\n\nQuestion:"  # a base model goes on with a question of its own after the answer: its completion ends here
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json", "vocab.txt", "tekken.json")
A_DAY = "{%- macro strftime_now(format) -%}26 Jul 2024{%- endmacro -%}"  # some chat templates tell the model today's date

Tokenizer = Any  # transformers' PreTrainedTokenizerBase, which is imported late

log = logging.getLogger("rft")


@dataclass(frozen=True)
class Prompt:
    """A prompt is `before`, the question as it stands, `after`. The response follows directly.

    `writes_special`: the text itself writes the model's special tokens, as a chat template does; else the tokenizer puts
    its own in front (those it always begins with), and what looks like a special token in the text is only text.
    """

    before: str
    after: str
    writes_special: bool = False

    def render(self, question: str) -> str:
        """Return the prompt's text for one question."""
        return self.before + question + self.after

    def encode(self, tokenizer: Tokenizer, questions: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each question's prompt, with the tokenizer's own beginning and never an end."""
        prompts = [self.render(question) for question in questions]
        if not self.writes_special:
            # A tokenizer that closes every text would tell the model that the answer is over before it began.
            rows = _ids(tokenizer, prompts, begin=True)
            return [row[:-1] if row[-1] == tokenizer.eos_token_id else row for row in rows]
        rows = _ids(tokenizer, prompts, special=True)
        special = {*tokenizer.all_special_tokens, *map(str, tokenizer.added_tokens_decoder.values())}
        for place, question in enumerate(questions):
            if any(token in question for token in special):
                before, after = _ids(tokenizer, [self.before, self.after], special=True)
                rows[place] = before + _ids(tokenizer, [question])[0] + after
        return rows

    def encode_examples(
        self, tokenizer: Tokenizer, questions: Sequence[str], responses: Sequence[str]
    ) -> tuple[list[list[int]], list[int]]:
        """Return the token ids of each example for training and how many of them are its prompt (these get no label).

        An example is the ids of the prompt, then those of the response, then end of sequence. The two are tokenized
        apart, so that no token spans the border: what is trained on begins exactly as what is generated from. Raises
        InputError if the tokenizer has no end of sequence.
        """
        if tokenizer.eos_token_id is None:
            raise InputError("The model's tokenizer has no end-of-sequence token, so no response could end. Set its eos_token.")
        prompts = self.encode(tokenizer, questions)
        answers = _ids(tokenizer, responses)
        rows = [[*prompt, *answer, tokenizer.eos_token_id] for prompt, answer in zip(prompts, answers, strict=True)]
        return rows, [len(prompt) for prompt in prompts]

    def save(self, folder: Path) -> None:
        """Write the prompt into a model's folder."""
        (folder / FILE).write_text(json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def of_model(cls, folder: Path) -> "Prompt | None":
        """Return the prompt that lies in a model's folder, None if there is none; InputError if it cannot be read."""
        file = folder / FILE
        if not file.exists():
            return None
        try:
            fields = json.loads(file.read_text())
            prompt = cls(**fields)
        except (ValueError, TypeError) as error:
            raise InputError(f"{file} is no prompt: {error}. It needs the texts before and after the question.") from error
        if not (isinstance(prompt.before, str) and isinstance(prompt.after, str) and isinstance(prompt.writes_special, bool)):
            raise InputError(f"{file} is no prompt: {fields}. It needs the texts before and after the question.")
        return prompt

    def chat_template(self, tokenizer: Tokenizer) -> str | None:
        """Return a jinja template that gives a chat of one user message the ids of `encode`, for everyone else's tools.

        None, with a warning, if this tokenizer turns no text that a template can write into these ids.
        """
        question = "Is 1+1=2?"
        begin = "" if self.writes_special else "".join(tokenizer.convert_ids_to_tokens(_beginning(tokenizer)))
        # A template's text is tokenized with nothing put in front. Some tokenizers begin a text, but not what follows a
        # special token, with a space of their own: for them the template has to write it.
        for space in ("''", "('' if text.startswith(' ') else ' ')"):
            template = (
                "{%- if messages | length != 1 or messages[0]['role'] != 'user' -%}"
                "{{- raise_exception('This model answers one user message at a time.') -}}{%- endif -%}"
                f"{{%- set text = {self.before!r} + messages[0]['content'] + {self.after!r} -%}}"
                f"{{{{- {begin!r} + {space} + text -}}}}"
            )
            chat = [{"role": "user", "content": question}]
            ids = tokenizer.apply_chat_template(chat, chat_template=template, return_dict=False)
            if [ids] == self.encode(tokenizer, [question]):
                return template
        log.warning("No chat template gives this model's tokenizer the ids it is trained on; the model is saved without one.")
        return None


TEMPLATES = {
    "alpaca": Prompt(
        "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
        "### Instruction:\n",
        "\n\n### Response:",
    ),
    "plain": Prompt("", "\n"),
}


def template(name: str) -> Prompt:
    """Return the prompt called `name`; InputError if there is none."""
    if name not in TEMPLATES:
        raise InputError(f"No prompt is called {name!r}; there are {', '.join(TEMPLATES)}.{near(name, TEMPLATES)}")
    return TEMPLATES[name]


def few_shot(exemplars: Sequence[tuple[str, str]]) -> Prompt:
    """Return the prompt that shows a base model (question, solution) pairs; its completions end at FEW_SHOT_STOP."""
    shown = "".join(f"Question: {question}\nAnswer: {solution}\n\n" for question, solution in exemplars)
    return Prompt(shown + "Question: ", "\nAnswer:")


def prompt_of(folder: Path, name: str | None, tokenizer: Tokenizer, id: str) -> Prompt:
    """Return the prompt of the model `id` in `folder`: by its name in TEMPLATES, else the model's own, else its chat template.

    Raises InputError for an unknown name, and for a model that has neither.
    """
    if name is not None:
        return template(name)
    if own := Prompt.of_model(folder):
        return own
    if tokenizer.chat_template is None:
        raise InputError(
            f"{id} has no prompt of its own ({FILE}) and no chat template: it is a base model. Fine-tune it first, "
            f"name a prompt it was trained with ({', '.join(TEMPLATES)}), or show it solved examples (shots)."
        )
    return _of_chat_template(tokenizer, id)


def load_tokenizer(folder: Path, id: str) -> Tokenizer:
    """Return the tokenizer of the model `id` in `folder`; InputError if it has none or it cannot be read."""
    from transformers import AutoTokenizer

    if not any((folder / name).exists() for name in TOKENIZER_FILES):
        raise InputError(f"{id} has no tokenizer: none of {', '.join(TOKENIZER_FILES)} is in {folder}. Add the model's own.")
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # a broken file can surface as any exception, also of the Rust library below
        raise InputError(f"{id}: the tokenizer in {folder} cannot be read: {error}") from error


def _of_chat_template(tokenizer: Tokenizer, id: str) -> Prompt:
    """Return what a Hub model's chat template writes around a single user message."""
    import jinja2

    mark = "{question}"
    try:
        text = tokenizer.apply_chat_template(
            [{"role": "user", "content": mark}],
            chat_template=A_DAY + tokenizer.get_chat_template(),
            add_generation_prompt=True,
            tokenize=False,
        )
    except (jinja2.TemplateError, ValueError) as error:
        raise InputError(f"{id}: its chat template takes no single user message: {error}. Name a prompt instead.") from error
    before, found, after = text.partition(mark)
    if not found or mark in after:
        raise InputError(f"{id}: its chat template does not write the user's message just once. Name a prompt instead.")
    return Prompt(before, after, writes_special=True)


def _beginning(tokenizer: Tokenizer) -> list[int]:
    """Return the ids that the tokenizer puts in front of every text."""
    [whole], [bare] = _ids(tokenizer, ["1"], begin=True), _ids(tokenizer, ["1"])
    return whole[: next(n for n in range(len(whole)) if whole[n : n + len(bare)] == bare)]


def _ids(tokenizer: Tokenizer, texts: Sequence[str], *, begin: bool = False, special: bool = False) -> list[list[int]]:
    """Return the ids of each text; `begin`: with what the tokenizer adds by itself; `special`: reading special tokens."""
    if not texts:
        return []
    found = tokenizer(list(texts), add_special_tokens=begin, split_special_tokens=not special, verbose=False)
    rows: list[list[int]] = found["input_ids"]
    return rows
