"""What may pass if it is tried again, and how often to try."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager

REDO = (408, 409, 412, 425, 429, 500, 502, 503, 504)  # HTTP answers after which looking again and going on may help
TRIES = 5


class Differs(Exception):
    """What was read back is not what was sent."""


class Broken(Exception):
    """An upload or a download broke off, as the Hub's client says by a RuntimeError."""


@contextmanager
def broken_off() -> Iterator[None]:
    """Raise Broken, or what was behind it, where the client raises RuntimeError: on an LFS upload, and on anything with xet."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error.__cause__, Exception) and not isinstance(error.__cause__, RuntimeError):
            raise error.__cause__ from error
        raise Broken(str(error)) from error


def worth_another_look(error: Exception) -> bool | float:
    """Return whether an error may pass, in seconds if the server says when."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    if isinstance(error, HfHubHTTPError):
        if error.response.status_code not in REDO:
            return False
        wait = error.response.headers.get("Retry-After", "")
        return min(float(wait), 300.0) if wait.isdecimal() else True
    if isinstance(error, LocalEntryNotFoundError):  # a download that got no answer
        return isinstance(error.__cause__, Exception) and worth_another_look(error.__cause__)
    if isinstance(error, httpx2.ConnectError | httpx2.UnsupportedProtocol | OfflineModeIsEnabled):
        return False  # no network, or no such server: that is better said at once
    # The client says plain OSError of a file that arrived with another length; the disk's have a number.
    cut = type(error) is OSError and error.errno is None
    return isinstance(error, Differs | Broken | httpx2.TransportError | ConnectionError) or cut


def tries(
    on: Callable[[Exception], bool | float] = worth_another_look, attempts: int = TRIES
) -> Iterable[AbstractContextManager[object]]:
    """Yield attempts, with waits of one second to half a minute between them, until one succeeds or fails for good."""
    import stamina

    return stamina.retry_context(on=on, attempts=attempts, timeout=None, wait_initial=1.0, wait_max=30.0)
