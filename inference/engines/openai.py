"""The openai engine: a server that speaks the OpenAI completions protocol (vLLM, SGLang, llama.cpp, ...) draws.

A request carries the token ids of its prompt and its own seed, and asks for the token ids of the answer. A server that
refuses ids or unknown fields gets text, or no such fields, from then on; which it is shows at the first request.
"""

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import BaseModel, Field, ValidationError

from inference.engines import Completion, Request, Sampling
from inference.engines.flight import Loop, before
from inference.prompts import Tokenizer
from registry.errors import InputError, RemoteError, UsageError
from registry.maker import Model, Options

log = logging.getLogger("rft")

# Beyond the protocol: the token ids, and no sampling settings of the server or of its model's generation_config.
MORE = {"return_token_ids": True, "top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}


class Form(NamedTuple):
    """What a server understands of a request: a prompt of token ids, the fields of MORE."""

    ids: bool
    more: bool


FORMS = (Form(ids=True, more=True), Form(ids=True, more=False), Form(ids=False, more=True), Form(ids=False, more=False))


class ServedModel(BaseModel):
    id: str
    owned_by: str = "an unnamed server"
    max_model_len: int | None = None  # vLLM and SGLang say it


class Served(BaseModel):
    data: list[ServedModel]


class Choice(BaseModel):
    text: str
    finish_reason: Literal["stop", "length"]
    token_ids: list[Annotated[int, Field(ge=0, lt=2**31)]] | None = Field(None, min_length=1)


class Answer(BaseModel):
    choices: list[Choice] = Field(min_length=1, max_length=1)


class Refused(Exception):
    """The server calls the request bad."""


@dataclass(frozen=True)
class Server:
    """The server's address (RFT_BASE_URL), what it calls the model (RFT_SERVED_MODEL), and how many requests at once (RFT_CONCURRENCY)."""

    base_url: str = ""
    served_model: str = ""
    concurrency: int = 64


class OpenAIEngine:
    """A client of the server at `base_url` (http://host:8000/v1), with at most `concurrency` requests at once.

    It asks for `served_model`, or else for the first of `model_names` that is served. `context`: how many tokens the model can
    read, prompt and answer (None: as many as the server says); a server with room for less is refused. A Completion's tokens are empty where
    the server does not tell them. `timeout`: seconds an answer may take (0: 120, and one for each token of max_tokens);
    a request that fails in a way that may pass is sent again, `retries` times, with longer and longer pauses.
    Raises UsageError if the package openai is missing, RemoteError if the server does not answer, InputError if it does
    not serve the model.
    """

    name = "openai"

    @classmethod
    def of(cls, model: Model, options: Options, tokenizer: Tokenizer) -> Self:
        """Return the engine with a model, on the server that `options` name; UsageError if they name none."""
        server = options.read(Server)
        if not server.base_url:
            raise UsageError("the engine openai needs the server's address: --base-url http://HOST:PORT/v1, or RFT_BASE_URL.")
        if server.concurrency < 1:
            raise UsageError("RFT_CONCURRENCY is 0: no request could be sent. 64 is the default.")
        from transformers import AutoConfig

        config = AutoConfig.from_pretrained(model.folder).get_text_config()
        return cls(
            server.base_url,
            [model.id, model.id.partition("@")[0], str(model.folder)],
            served_model=server.served_model,
            tokenizer=tokenizer,
            context=getattr(config, "max_position_embeddings", None),
            concurrency=server.concurrency,
        )

    def __init__(
        self,
        base_url: str,
        model_names: list[str],
        *,
        served_model: str = "",
        tokenizer: Any,
        context: int | None = None,
        concurrency: int = 64,
        api_key: str = "",
        timeout: float = 0.0,
        retries: int = 4,
    ) -> None:
        try:
            import openai
        except ImportError as error:
            raise UsageError(
                f"The openai engine needs the package openai ({error}): "
                "`pip install '.[openai]'` in a checkout of rft, or take another --engine."
            ) from error
        self._url, self._tokenizer, self._concurrency, self._timeout = base_url, tokenizer, concurrency, timeout
        self._form: Form | None = None
        self._context = context
        key = api_key or os.environ.get("OPENAI_API_KEY") or "none"
        try:
            self._client = openai.AsyncOpenAI(base_url=base_url, api_key=key, max_retries=retries)
        except Exception as error:  # of the HTTP library, whichever it is
            raise UsageError(f"{base_url!r} is no address of a server ({error}). Write http://HOST:PORT/v1.") from error
        self._loop = Loop()
        try:
            self._model = self._find(model_names, served_model)
        except BaseException:
            self.close()
            raise
        self.version = f"openai {openai.__version__}, {self._model.id} served by {self._model.owned_by}"

    def _find(self, model_names: list[str], served_model: str) -> ServedModel:
        import openai

        try:
            reply = self._loop.run(self._client.models.with_raw_response.list(timeout=30.0))
            served = {model.id: model for model in Served.model_validate_json(reply.content).data}
        except (openai.APIError, ValidationError) as error:
            raise RemoteError(
                f"No server of the OpenAI protocol answers at {self._url}: {said(error)} Start one there, or give the right "
                "address (it usually ends with /v1) with --base-url or RFT_BASE_URL."
            ) from error
        for name in [served_model] if served_model else model_names:
            if name in served:
                return served[name]
        raise InputError(
            f"The server at {self._url} serves {', '.join(served) or 'no model'}, not {served_model or ' or '.join(model_names)}. "
            "Say under which name it serves this model with --served-model or RFT_SERVED_MODEL."
        )

    def complete(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[list[Completion]]:
        """Yield completions as they are finished, as `Engine.complete` says."""

        async def answer(request: Request) -> Completion:
            try:
                return await self._ask(request, sampling, self._form or FORMS[0])
            except Refused as refused:
                raise InputError(f"The server at {self._url} refuses draw {request.place}: {refused}") from refused

        if requests and not self._form:
            yield [self._loop.run(self._first(requests[0], sampling))]
            requests = requests[1:]
        yield from self._loop.completions(requests, answer, self._concurrency)

    async def _first(self, request: Request, sampling: Sampling) -> Completion:
        """Return the answer to the first request, in the first form that the server accepts."""
        refusals = []
        for form in FORMS:
            try:
                answer = await self._ask(request, sampling, form)
            except Refused as refused:
                refusals.append(refused)
                continue
            if not form.ids:
                log.warning("%s takes no token ids (%s): the prompts are sent as text.", self._url, refusals[0])
            if not form.more:
                log.warning("%s takes no %s (%s): its own settings hold.", self._url, ", ".join(MORE), refusals[0])
            self._form = form
            return answer
        raise InputError(f"The server at {self._url} refuses draw {request.place} in every form: {refusals[0]}") from refusals[
            0
        ]

    async def _ask(self, request: Request, sampling: Sampling, form: Form) -> Completion:
        import openai

        prompt, served = len(request.prompt), self._model.max_model_len
        room = self._context or served  # of the model itself, if it is known
        most = min(sampling.max_tokens, room - prompt) if room else sampling.max_tokens
        if most < 1:
            raise InputError(f"The prompt of draw {request.place} has {prompt} tokens; the model reads {room} with the answer.")
        if served and served - prompt < most:
            # A server that reads less than the model would cut draws that count as the model's own.
            raise InputError(
                f"The prompt of draw {request.place} has {prompt} tokens and its answer may have {most}; the server at {self._url} "
                f"reads {served} in all. Start it with room for {prompt + most} (vLLM: --max-model-len)."
            )
        try:
            reply = await self._client.completions.with_raw_response.create(
                model=self._model.id,
                prompt=list(request.prompt) if form.ids else self._text(request),
                seed=request.seed,
                temperature=sampling.temperature,
                top_p=sampling.top_p,
                max_tokens=most,
                stop=list(sampling.stop) or openai.omit,
                extra_body=MORE if form.more else None,
                timeout=openai.Timeout(self._timeout or 120.0 + sampling.max_tokens, connect=10.0),
            )
            choice = Answer.model_validate_json(reply.content).choices[0]
        except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
            raise Refused(error.message) from error
        except (openai.APIError, ValidationError) as error:
            raise RemoteError(
                f"The server at {self._url} failed at draw {request.place}: {said(error)} "
                "What was drawn is kept; the same command goes on from there."
            ) from error
        text = choice.text
        if choice.token_ids:
            text = self._tokenizer.decode(choice.token_ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return Completion(request.place, tuple(choice.token_ids or ()), before(text, sampling.stop), choice.finish_reason)

    def _text(self, request: Request) -> str:
        """Return the prompt as text; InputError if the server, which will tokenize it, would not get the same ids."""
        ids = list(request.prompt)
        text = self._tokenizer.decode(ids[1:] if ids[0] == self._tokenizer.bos_token_id else ids)
        if self._tokenizer(text).input_ids != ids:
            raise InputError(
                f"The server at {self._url} takes prompts as text only, and that of draw {request.place} would become other "
                "tokens there. Take a server that accepts token ids, such as vLLM, or another --engine."
            )
        return str(text)

    def close(self) -> None:
        """End what is in flight and close the connections."""
        self._loop.run(self._client.close())
        self._loop.close()


def said(error: Exception) -> str:
    """Return what a failure says of itself: a server's own words, or how its answer differs from a completion."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the answer"
        return f"{where}: {first['msg']}, not {str(first['input'])[:200]!r}."
    hint = " Give its key in OPENAI_API_KEY." if getattr(error, "status_code", 0) in (401, 403) else ""
    return f"{getattr(error, 'message', error)}".rstrip(".") + "." + hint
