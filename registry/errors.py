"""Everything that can go wrong and is not our bug.

    RftError             1   the user can mend it
    |-- CatalogError     1   catalog.yaml cannot be read or bound; names the line
    |-- InputError       1   a file or its rows are not what a maker needs
    |-- NotFound         1   no such artifact, or listed but never built
    |-- UsageError       2   the command's words do not go together
    |-- Conflict         3   one name, two contents
    |   `-- EditedEntry  3   a released line differs from what was built
    |-- OutOfResources   4   disk or memory
    |-- RemoteError      5   the Hub or a server
    `-- Corrupt          6   bytes on disk are not the ones that were recorded
        `-- Drifted      6   an input is not the one this was built from

The number is the exit code of `rft`. A message says what, where, why and what to do next.
"""

import difflib
from collections.abc import Iterable


class RftError(Exception):
    exit_code = 1


class CatalogError(RftError):
    pass


class InputError(RftError):
    pass


class NotFound(RftError):
    pass


class UsageError(RftError):
    exit_code = 2


class Conflict(RftError):
    exit_code = 3


class EditedEntry(Conflict):
    pass


class OutOfResources(RftError):
    exit_code = 4


class RemoteError(RftError):
    exit_code = 5


class Corrupt(RftError):
    exit_code = 6


class Drifted(Corrupt):
    pass


def near(word: str, known: Iterable[str]) -> str:
    """Return " Did you mean a, b?" for the known words nearest to `word`, or an empty string."""
    close = difflib.get_close_matches(word, list(known), n=3, cutoff=0.6)
    return f" Did you mean {', '.join(close)}?" if close else ""
