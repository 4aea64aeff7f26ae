"""What the Hub of tests is told to do wrong, and what it has seen."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

What = Literal["429", "500", "503", "reset", "lost", "412", "409 tag", "wrong bytes", "stored wrong", "call"]


@dataclass
class Fault:
    """What goes wrong, once: at the `at`th request (from 1, counted from when the hub is told) that the glob `on` matches.

    429, 500, 503   the request is refused and does nothing
    reset           the connection is reset (TCP RST): before anything is done, or when `after` bytes of the reply are out
    lost            the request is carried out, and the connection closed without a reply, or after `after` bytes of it
    412             before a commit is looked at, somebody else commits `files` to its branch
    409 tag         before a tag is made, somebody else makes it, on another commit
    wrong bytes     a file is sent with its right length and headers, and one other byte
    stored wrong    an uploaded LFS object (with `on` a commit: its first regular file) is stored with one other byte, and
                    listed as if it were not; Repo.damaged.clear() mends it
    call            `call` is called before the request is carried out; if it returns False, the connection is closed instead
    """

    what: What
    at: int = 1
    on: str = ""  # over "METHOD /path", decoded and without the query; empty: what can go wrong so
    retry_after: int | None = None  # seconds
    after: int | None = None  # bytes
    files: Mapping[str, bytes] = field(default_factory=lambda: {"somebody-else.txt": b"Somebody else was here.\n"})
    call: Callable[[], object] = lambda: None
    matched: int = field(default=0, init=False)

    @property
    def glob(self) -> str:
        usual = {"412": "POST /api/*/commit/*", "409 tag": "POST /api/*/tag/*"}
        usual |= {"wrong bytes": "GET */resolve/*", "stored wrong": "PUT /lfs/*"}
        return self.on or usual.get(self.what, "*")


class Seen(NamedTuple):
    request: str  # "METHOD /path", decoded and without the query
    status: int | None  # of the answer, sent or not; 0 if the request was not carried out; None until it is known
    fault: What | None
