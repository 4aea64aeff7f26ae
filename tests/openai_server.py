"""A small server of the OpenAI completions protocol on this machine, for what real ones do rarely: refuse, hang, babble, die."""

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Body = dict[str, Any]


class Hangup(Exception):
    """Close the connection without an answer."""


def drawn(body: Body) -> list[int]:
    """Return the token ids that "the model" draws: they depend on the prompt and the seed, and on nothing else."""
    digest = hashlib.sha256(json.dumps([body["prompt"], body["seed"]]).encode()).digest()
    return [40 + byte for byte in digest[: 1 + digest[0] % body["max_tokens"]]]


def reply(body: Body, tokenizer: Any, *, ids: bool = True) -> Body:
    """Return a completion as vLLM words it, with its token ids if they are asked for."""
    tokens = drawn(body)
    choice = {"index": 0, "text": tokenizer.decode(tokens), "finish_reason": "stop", "logprobs": None}
    if ids and body.get("return_token_ids"):
        choice["token_ids"] = tokens
    return {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": body["model"], "choices": [choice]}


class Server(ThreadingHTTPServer):
    """`answer` gets the body of a request and returns that of the answer, as JSON or bytes, with a status if not 200."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, answer: Callable[[Body], Any], models: list[Body], port: int) -> None:
        self.answer, self.models = answer, models
        self.bodies: list[Body] = []
        self.keys: set[str | None] = set()
        self.most_at_once = self._at_once = 0
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", port), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def take(self, body: Body) -> Any:
        with self._lock:
            self.bodies.append(body)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            return self.answer(body)
        finally:
            with self._lock:
                self._at_once -= 1


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self.server.keys.add(self.headers["Authorization"])
        self._send({"object": "list", "data": self.server.models} if self.path == "/v1/models" else ({"error": "?"}, 404))

    def do_POST(self) -> None:
        try:
            self._send(self.server.take(json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
        except Hangup:
            self.close_connection = True

    def _send(self, answer: Any) -> None:
        content, status = answer if isinstance(answer, tuple) else (answer, 200)
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        with suppress(BrokenPipeError, ConnectionResetError):  # the client has given up
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def serving(answer: Callable[[Body], Any], *models: str, port: int = 0, **facts: Any) -> Iterator[Server]:
    """Serve `models` (one named tiny, if none is given), each described by `facts`, at a free port or a given one."""
    server = Server(answer, [{"id": name, "object": "model"} | facts for name in models or ["tiny"]], port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
