r"""Find what should not be published in metadata: tokens, keys, paths of home folders, e-mail addresses.

{"params": {"path": "/home/ada/q.jsonl"}}  ->  secrets/six@1/params.path: holds the path of a home folder (/hom..., 17 characters)
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from rft.publish import Finding

RECORD = "artifact.json"  # findings in the record of an artifact are named after the artifact alone


class Kind(NamedTuple):
    """Something that should not be published: what it is, its pattern, and what to do about it."""

    says: str
    pattern: str
    do: str


REVOKE = "Take it out and revoke it: assume that somebody has read it"
RELATIVE = "Name the file as it lies from the catalog's folder"
# Every pattern begins where a word can begin, repeats without going back (++) or ends with its last repetition, and so is tried once
# a word: the time is in proportion to the text. Hex digits alone are never a secret: they are revisions and hashes.
KINDS = (
    Kind("a URL with a password", r"(?<![\w+.-])[A-Za-z][\w+.-]{0,20}://[^\s/:@<>{}\"']*+:[^\s/@<>{}\"']++@", REVOKE),
    Kind("a Hugging Face token", r"(?<![A-Za-z0-9])(?:hf_|api_org_)[A-Za-z0-9]{20,}", REVOKE),
    Kind("an Anthropic key", r"(?<![A-Za-z0-9])sk-ant-[\w-]{10,}", REVOKE),
    Kind("an OpenAI key", r"(?<![A-Za-z0-9])sk-(?:(?:proj|svcacct|admin|None)-[\w-]{20,}|[A-Za-z0-9]{20,})", REVOKE),
    Kind("a GitHub token", r"(?<![A-Za-z0-9])(?:gh[opsur]_[A-Za-z0-9]{20,}|github_pat_\w{20,})", REVOKE),
    Kind("an AWS key", r"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])", REVOKE),
    Kind("a Google key", r"(?<![A-Za-z0-9])AIza[\w-]{30,}", REVOKE),
    Kind("a Slack token", r"(?<![A-Za-z0-9])xox[a-z]-[\w-]{10,}", REVOKE),
    Kind("a JSON web token", r"(?<![\w-])eyJ[\w-]{8,}+\.eyJ[\w-]{8,}+\.[\w-]*+", REVOKE),
    Kind("a private key", r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY", REVOKE),
    Kind(
        "the path of a home folder",
        r"(?<![\w./~-])(?:file://)?(?:/[\w.-]++)*?/(?:home|Users)/[\w.-]+"  # also /mnt/home/ada, but not https://a.org/home/ada
        r"|(?<![\w./~-])(?:file://)?/root/"
        r"|(?<![A-Za-z0-9])[A-Za-z]:[\\/]{1,4}Users[\\/]{1,4}[^\s\\/\"']+"
        r"|(?<![\w./~-])~/[\w.-]+",
        RELATIVE,
    ),
    Kind(
        "an e-mail address",
        # Not git@github.com:a/b, nor demo@1.parquet or demo@1.0.dev, which are files and versions of an artifact.
        r"(?<![\w.+%/@-])(?!git@)[\w.+%-]++@(?![0-9]{1,9}\.(?:[0-9]|dev|alpha|beta|rc|post|parquet|jsonl?|csv|ya?ml|md|png|txt))"
        r"(?:[A-Za-z0-9-]++\.)+[A-Za-z]{2,}+(?![\w-])",
        "Leave it out, unless its owner wants it published",
    ),
)
ANY_KIND = re.compile("|".join(f"(?P<k{i}>{kind.pattern})" for i, kind in enumerate(KINDS)), re.ASCII)
LINE_OF = re.compile(r"\s*([a-z0-9.-]{1,96}@[a-z0-9]{1,9}):")  # of a catalog: the artifact it is about


def find_secrets(texts: Mapping[str, str]) -> list[Finding]:
    """Return what was found, one finding for each place: a value of JSON, or a line of any other text.

    `texts` maps what a text is ("artifact.json of six@1", "catalog.yaml of six@1", "README.md") to the text. No finding
    repeats a secret: it has its first four characters and its length.
    """
    findings = []
    for text_of, text in texts.items():
        file, _, id = text_of.partition(" of ")
        of_record = file == RECORD and bool(id)
        for place, value in _values(text):
            kinds: dict[Kind, str] = {}
            for match in ANY_KIND.finditer(value):
                kinds.setdefault(_kind(match), match[0])
            if kinds:
                what = " and ".join(f"{kind.says} ({_masked(secret)})" for kind, secret in kinds.items())
                name = "/".join(part for part in ("secrets", id, "" if of_record else file, place) if part)
                do = "; ".join(dict.fromkeys(kind.do for kind in kinds))
                how = " (in a new version: what is built stays as it is)" if of_record else ""
                says = f"{text_of}: {place or 'it'} holds {what}. {do}{how}, or override {name}."
                findings.append(Finding("secrets", name, says, stops=True))
    return findings


def masked(text: str) -> str:
    """Return a text without the secrets in it."""
    return "\n".join(ANY_KIND.sub(lambda match: _masked(match[0]), line) for line in text.split("\n"))


def _kind(match: re.Match[str]) -> Kind:
    return next(kind for i, kind in enumerate(KINDS) if match[f"k{i}"] is not None)


def _masked(secret: str) -> str:
    return f"{secret[: min(4, len(secret) // 2)]}..., {len(secret)} characters"


def _values(text: str) -> Iterator[tuple[str, str]]:
    """Yield (place, text) of every key and value of JSON ("params.path"), or of every line ("line-3", "six@1")."""
    try:
        value = json.loads(text)
    except ValueError:
        # YAML too is taken line by line: what stands in its comments would be published as well.
        for number, line in enumerate(text.splitlines(), 1):
            about = LINE_OF.match(line)
            yield about[1] if about else f"line-{number}", line
    else:
        yield from _inside("", value)


def _inside(place: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _inside(f"{place}.{number}".removeprefix("."), inner)
    elif isinstance(value, dict):
        for key, inner in value.items():
            secret = ANY_KIND.search(key)
            here = f"{place}.{_masked(secret[0]) if secret else key}".removeprefix(".")
            if secret:
                yield here, key
            yield from _inside(here, inner)
