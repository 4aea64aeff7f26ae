"""Names of artifacts: `gsm8k-rft-u13b@1`, or `gsm8k-rft-u13b@dev` for one that is rebuilt every time."""

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import NamedTuple

from registry.errors import RftError

NAME = re.compile(r"[a-z0-9]+([.-][a-z0-9]+)*")
MAX_LENGTH = 96
DEV = 0  # the version number of `@dev` wherever a version is an integer (paths spell it out)


class ArtifactId(NamedTuple):
    """A name and a version; version 0 is `dev`."""

    name: str
    version: int

    def __str__(self) -> str:
        return f"{self.name}@{'dev' if self.version == DEV else self.version}"

    @property
    def is_dev(self) -> bool:
        return self.version == DEV


def parse_id(text: str) -> ArtifactId:
    """Return the id that `text` (`name@3` or `name@dev`) spells; RftError says what is wrong with it."""
    name, at, version = text.partition("@")
    check_name(name)
    if not at:
        raise RftError(f"{text!r} has no version. Write {name}@1.")
    if version == "dev":
        return ArtifactId(name, DEV)
    # No leading zeros: a@1 and a@01 would be one folder under two names.
    if not re.fullmatch(r"[1-9][0-9]{0,8}", version):
        raise RftError(f"{text!r}: the version must be a whole number from 1, or dev. Write {name}@1.")
    return ArtifactId(name, int(version))


def check_name(name: str) -> None:
    """Raise RftError unless `name` is one an artifact may have."""
    if len(name) > MAX_LENGTH:
        raise RftError(f"the name {name[:40]}... has {len(name)} characters; {MAX_LENGTH} is the most.")
    if not NAME.fullmatch(name):
        raise RftError(
            f"{name!r} is not an artifact name: lower-case letters and digits, joined by single - or . (gsm8k-train-1of32)."
        )


def is_glob(word: str) -> bool:
    return any(c in word for c in "*?[")


def meant(word: str, ids: Iterable[ArtifactId]) -> list[ArtifactId]:
    """Return those of `ids` that a word of a command means: name@1, a bare name (its highest version), or a glob."""
    if is_glob(word):
        return [id for id in ids if fnmatchcase(str(id), word) or fnmatchcase(id.name, word)]
    if "@" in word:
        return [id for id in ids if str(id) == word]
    return sorted(id for id in ids if id.name == word)[-1:]
