"""The process that runs `rft`: signals, exit codes, environment."""

import logging
import os
import signal
import sys
from typing import NoReturn

from registry.errors import RftError
from rft.app import app, say

from rft.commands import make, look, count, share, keep  # isort: skip  # noqa: F401  each adds its commands: the help's order


class Stopped(BaseException):
    """SIGINT (Ctrl-C) or SIGTERM arrived."""

    by: int | None = None  # the signal


def _stop(number: int, frame: object) -> NoReturn:
    Stopped.by = number
    raise Stopped


def main() -> None:
    """Run the command; our own errors are printed without a traceback, anything else keeps it."""
    if sys.platform == "win32":
        sys.exit("rft runs on Linux and macOS.")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    # Torch's threads wait for each other by spinning. Beside any other program the default (300,000 rounds) makes
    # the training of a small model a hundred times slower; this many cost nothing on idle cores.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    logging.getLogger("stamina").disabled = True  # that something is tried again is said, not logged
    signal.signal(signal.SIGINT, _stop)
    signal.signal(signal.SIGTERM, _stop)
    try:
        app()
    except (RftError, Stopped, RuntimeError) as error:
        if Stopped.by is not None:  # DuckDB says RuntimeError where it was interrupted
            say("stopped. What was finished is kept; the same command goes on from there.")
            sys.exit(128 + Stopped.by)
        if not isinstance(error, RftError):
            raise
        say(f"error: {error}")
        sys.exit(error.exit_code)
