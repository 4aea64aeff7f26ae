"""What a line of the catalog is expected to compute: how much, with how large a model, how many tokens; and how we know.

A figure is taken from what is built, else from what a similar line of this store took, else from the texts themselves, else from
the paper where they are GSM8K's. Where none of these says it, it is unknown.
"""

from collections.abc import Mapping
from functools import cache, cached_property
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean
from typing import Any, Generic, NamedTuple, TypeVar

import polars as pl

from eval.fits.costs import PROMPT, QUESTIONS, RESPONSE, SHAPES, TEST_QUESTIONS, Transformer
from inference.size import size_of
from registry.catalog.plan import Step
from registry.errors import InputError
from registry.hub_client import cached
from registry.names import ArtifactId, parse_id
from registry.store.models import HUB_RECORD
from registry.store.record import HubFiles, Stored
from registry.store.store import Store
from registry.tables import read

T = TypeVar("T")
SPENDING = ("samples", "sft", "pretrain")  # makers that a GPU is wanted for
SPLITS = {"train": QUESTIONS, "test": TEST_QUESTIONS}
TEXTS = 1000  # at most, of a dataset, whose tokens are counted


class Figure(NamedTuple, Generic[T]):
    """A value and where it is from; None, and why nobody knows it."""

    value: T | None
    source: str


class Mean(NamedTuple):
    """Tokens of a draw, a mean: of its prompt, and new ones. Of a training: 0, and all tokens of a row."""

    prompt: float
    new: float


class Line(NamedTuple):
    """A line of the catalog, or an artifact without one. `stored`: what was built of exactly this line."""

    id: ArtifactId
    maker: str
    inputs: tuple[ArtifactId, ...]
    params: Mapping[str, Any]
    stored: Stored | None

    @property
    def data(self) -> ArtifactId:
        """The questions that are asked, the rows that are trained on."""
        return self.inputs[1 if self.maker == "sft" else 0]

    @property
    def model(self) -> ArtifactId:
        """The model that is asked, or trained further; a line of `pretrain` makes its own."""
        return {"samples": self.inputs[1:2], "sft": self.inputs[:1]}.get(self.maker, (self.id,))[0]


class Expected(NamedTuple):
    """What a line will compute. `amount`: draws, or rows times epochs; tokens are of one of these, means: of its prompt (a
    training: 0), and new ones (a training: all of the row). `bytes`: of all that is made. `like`: the built line that it is
    taken to be similar to."""

    model: Figure[Transformer]
    amount: Figure[float]
    prompt: Figure[float]
    tokens: Figure[float]
    bytes: float | None
    like: Line | None


class Expectations:
    """What there is to go by: the lines of a catalog in `folder`, and a store."""

    def __init__(self, steps: Mapping[ArtifactId, Step], store: Store, folder: Path) -> None:
        self.steps, self.store, self.folder = steps, store, folder
        self.line = cache(self._line)

    def _line(self, id: ArtifactId) -> Line | None:
        if (step := self.steps.get(id)) is not None:
            recipe = step.recipe
            stored = self.store.readable(id) if step.state == "ok" else None
            return Line(id, recipe.maker.name, recipe.entry.inputs, recipe.params, stored)
        stored = self.store.readable(id)
        return None if stored is None else _line_of(stored)

    @cached_property
    def built(self) -> list[Line]:
        """Everything in the store, the newest first."""
        found = [stored for id in self.store.stamps() if (stored := self.store.readable(id))]
        return [_line_of(stored) for stored in sorted(found, key=lambda one: one.record.built_at, reverse=True)]

    def of(self, line: Line) -> Expected:
        """Return what a line of one of the makers SPENDING is expected to compute."""
        like, rows, size = self._similar(line), self.rows(line.data), self.size(line.model)
        times = line.params["k"] if line.maker == "samples" else line.params["epochs"]
        amount = Figure(None if rows.value is None else rows.value * times, rows.source)
        prompt, tokens = self._tokens(line, like)
        return Expected(size, amount, prompt, tokens, self._bytes(line, like, amount.value), like)

    # -- how many rows ---------------------------------------------------------------------------------------------------

    def rows(self, id: ArtifactId) -> Figure[float]:
        """Return the rows of a dataset, built or not."""
        line = self.line(id)
        if line is None:
            return Figure(None, f"{id} is neither in the catalog nor built")
        if line.stored:
            return Figure(line.stored.record.rows, "")
        params = line.params
        if line.maker == "gsm8k":
            return Figure(SPLITS[params["split"]], "")
        if line.maker in ("story_problems", "story_text"):
            return Figure(params["count" if "count" in params else "lines"], "")
        if line.maker == "fraction" and self._root(id) == self._plain(id):  # of a set, only samples are divided
            whole = self.rows(line.inputs[0])
            part = whole.value and whole.value // params["denominator"]
            return whole._replace(value=whole.value - part if whole.value and part and params["part"] == "out" else part)
        if line.maker in ("rejection", "union"):
            like = next((one for one in self.built if self._selects(one) == self._selects(line)), None)
            asked = self.rows(self._questions(line))
            if like and like.stored and asked.value and (of := self.rows(self._questions(like)).value):
                return Figure(round(asked.value * like.stored.record.rows / of), f"as many rows a question as {like.id}")
        return Figure(None, f"nobody knows the rows of {id} before it is built")

    def _selects(self, line: Line) -> Any:
        """Return what decides how many rows a question a selection of samples has, beside the model and chance."""
        recipe = {name: value for name, value in line.params.items() if name != "seed"}
        return line.maker, recipe, [self._draws(id) for id in line.inputs]

    def _draws(self, id: ArtifactId) -> Any:
        line = self.line(id)
        if line is None or line.maker in ("rejection", "union"):
            return line and self._selects(line)
        return (line.maker, line.params["k"], line.params["temperature"]) if line.maker == "samples" else id

    def _questions(self, line: Line) -> ArtifactId:
        """Return the questions that a selection of samples answers."""
        while line.maker in ("rejection", "union") and (above := self.line(line.inputs[0])):
            line = above
        return line.id

    def _plain(self, id: ArtifactId) -> ArtifactId:
        """Return what rows are a fraction of."""
        while (line := self.line(id)) and line.maker == "fraction":
            id = line.inputs[0]
        return id

    def _root(self, id: ArtifactId) -> ArtifactId:
        """Return the questions that all rows come from: those of which these are a fraction, or answers."""
        while (line := self.line(id)) and line.inputs:
            id = line.inputs[0]
        return id

    # -- how large a model -----------------------------------------------------------------------------------------------

    def size(self, id: ArtifactId) -> Figure[Transformer]:
        """Return the shape of a model, built or not."""
        line = self.line(id)
        if line is None:
            return Figure(None, f"{id} is neither in the catalog nor built")
        if (folder := self._folder(line)) and (size := size_of(folder)):
            return Figure(size, "")
        if line.maker == "sft":
            return self.size(line.inputs[0])
        if line.maker == "pretrain":
            return Figure(Transformer(line.params["layers"], line.params["hidden"]), "")
        if said := line.params.get("parameters"):
            return Figure(Transformer(0, 0, float(said)), "")
        if line.maker == "hub" and id.name in SHAPES:
            return Figure(SHAPES[id.name], "")
        return Figure(
            None, f"{id} is a base of unknown size: say its `parameters` (without embeddings) in its line, or `rft build {id}`"
        )

    def _folder(self, line: Line) -> Path | None:
        """Return where a model's files are, if they are on this machine."""
        if line.stored and (hub := line.stored.file(HUB_RECORD)):
            known = HubFiles.model_validate_json(hub.read_bytes())
            config = cached(known.repo, known.revision, "config.json")
        elif line.stored:
            return line.stored.folder
        elif line.maker == "hub":
            config = cached(line.params["repo"], line.params["revision"], "config.json")
        else:
            config = self.folder / line.params["path"] / "config.json" if line.maker == "local" else None
        return config.parent if config and config.is_file() else None

    # -- how many tokens -------------------------------------------------------------------------------------------------

    def _similar(self, line: Line) -> Line | None:
        """Return the built line that asks or trains on the same rows, or rows of the same source, or asks the same model, in the
        same way, if its tokens are known; the newest of the nearest."""
        nearest: dict[int, Line] = {}
        for other in self.built:
            if other.id == line.id or _way(other) != _way(line) or self.took(other) is None:
                continue
            near = [
                (other.data, other.model) == (line.data, line.model),
                other.data == line.data,
                self._root(other.data) == self._root(line.data),
                line.maker == "samples" and other.model == line.model,
            ]
            if any(near):
                nearest.setdefault(near.index(True), other)
        return nearest[min(nearest)] if nearest else None

    def took(self, line: Line) -> Mean | None:
        """Return the tokens that a built line took, if its record says it."""
        facts, rows = line.stored.record.facts if line.stored else {}, self.rows(line.data).value
        if line.maker != "samples":
            return Mean(0, facts["tokens"] / (rows * facts["epochs"])) if rows and "tokens" in facts else None
        if facts.get("tokens") is None or not facts.get("prompt_tokens"):
            return None  # built before they were counted, or by an engine that does not tell
        draws = facts["draws_made"] + facts["draws_reused"]
        return Mean(facts["prompt_tokens"] / draws, facts["tokens"] / draws)

    def _tokens(self, line: Line, like: Line | None) -> tuple[Figure[float], Figure[float]]:
        """Return the tokens of a prompt, and of what is drawn after it; of a training: 0, and all tokens of a row."""
        if like and (took := self.took(like)):
            return Figure(took.prompt, f"like {like.id}"), Figure(took.new, f"like {like.id}")
        found, source = self._in_texts(line), f"as in the texts of {line.data}"
        if isinstance(found, str) and (lengths := self._in_gsm8k(line)):
            found, source = lengths, "as the paper has them of GSM8K"
        if isinstance(found, str):
            return Figure(None, found), Figure(None, found)
        return Figure(found.prompt, source), Figure(found.new, source)

    def _in_texts(self, line: Line) -> Mean | str:
        """Return the tokens in questions and human solutions, or why they cannot be counted."""
        rows, model = self.line(line.data), self.line(line.model)
        name, owner = line.params.get("prompt"), model
        if line.maker == "pretrain" or line.params.get("shots"):
            return f"nobody knows the tokens before a line like {line.id} is built"
        if rows is None or rows.stored is None:
            return f"nobody knows the tokens before {line.data} is built, or a line like {line.id}"
        while owner and owner.maker == "sft" and self._folder(owner) is None:
            name, owner = name or owner.params["prompt"], self.line(owner.inputs[0])
        folder = owner and self._folder(owner)
        if not find_spec("transformers"):
            return (
                "transformers, which counts the tokens of texts, is not installed (`pip install '.[hf]'` in a checkout of rft)"
            )
        if not (owner and folder):
            return f"nobody knows the tokens before {owner.id if owner else line.model} is built, or a line like {line.id}"
        from inference.prompts import load_tokenizer, prompt_of

        frame = read(rows.stored, "rows")
        assert frame is not None
        texts = frame.head(TEXTS).filter(pl.col("response").str.strip_chars() != "")
        if not texts.height:
            return f"{line.data} has no solutions to go by: nobody knows the tokens before a line like {line.id} is built"
        try:
            tokenizer = load_tokenizer(folder, str(owner.id))
            asked = prompt_of(folder, name, tokenizer, str(owner.id))
            examples, prompts = asked.encode_examples(tokenizer, texts["question"].to_list(), texts["response"].to_list())
        except InputError as error:
            return str(error)
        if line.maker == "sft":
            return Mean(0, fmean(min(len(ids), line.params["max_length"]) for ids in examples))
        new = fmean(len(ids) - start for ids, start in zip(examples, prompts, strict=True))
        return Mean(fmean(prompts), min(new, line.params["max_tokens"]))

    def _in_gsm8k(self, line: Line) -> Mean | None:
        """Return the lengths of Appendix E, if the rows are GSM8K's."""
        root = self.line(self._root(line.data))
        if root is None or root.maker != "gsm8k":
            return None
        whole = PROMPT + RESPONSE
        return Mean(0, whole) if line.maker == "sft" else Mean(PROMPT + line.params.get("shots", 0) * whole, RESPONSE)

    def _bytes(self, line: Line, like: Line | None, draws: float | None) -> float | None:
        """Return the bytes of what a line makes: samples by the draw, a model as large as others of the same base."""
        if line.maker == "samples":
            record = like.stored.record if like and like.stored else None
            return draws * record.bytes / record.rows if record and record.rows and draws else None
        known = (
            one.stored.record.bytes
            for one in self.built
            if one.stored and one.id != line.id and one.maker == line.maker == "sft"
            if (one.model, one.params.get("dtype")) == (line.model, line.params["dtype"])
        )
        return next(known, None)


def _way(line: Line) -> list[Any]:
    """Return what decides the tokens of a draw or a row, beside its texts and the tokenizer."""
    return [line.maker, *(line.params.get(name) for name in ("shots", "prompt", "max_tokens", "max_length", "vocab"))]


def _line_of(stored: Stored) -> Line:
    record = stored.record
    return Line(record.id, record.maker, tuple(parse_id(given.id) for given in record.inputs), record.params, stored)
