"""Put front matter and sections into a README that is there already, and leave everything else as its author wrote it."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from registry.errors import InputError
from rft.publish.gate.licences import OTHER

LISTS = {"language", "license", "tags", "size_categories", "source_datasets", "task_categories"}
GONE = object()
# Up to three spaces before it: with four it is code, which shows such a comment.
COMMENT = re.compile(r"(?<![^\r\n]) {0,3}<!--[ \t]*rft:[^\r\n]*")
WHOLE = re.compile(r" {0,3}<!-- rft:(begin|end) (\S+) -->[ \t]*")


def merged(existing: str, data: Mapping[str, Any], body: str, names: Sequence[str]) -> str:
    """Return the README `existing` with the front matter `data` and the sections of `body` put in, all else byte for byte.

    Lists of the front matter gain what they lack; of `configs` the entries called NAME or NAME_* belong to the artifact NAME of
    `names` and are replaced. Raises InputError, with the line, for front matter that cannot be read or comments of ours that do
    not go together, and if the first of `configs` is not Parquet.
    """
    from huggingface_hub.repocard import REGEX_YAML_BLOCK  # what the Hub takes for front matter

    mark = "\ufeff" if existing.startswith("\ufeff") else ""
    text = existing.removeprefix(mark)
    eol = "\r\n" if 2 * text.count("\r\n") > text.count("\n") else "\n"
    found = REGEX_YAML_BLOCK.match(text)
    if found:
        before, block, after, rest = text[: found.start(2)], found[2], found[3], text[found.end() :]
        after += "" if found[4] else eol
    else:
        before, block, after, rest = f"---{eol}", "", f"{eol}---{eol}", text
    front = before + _merged_block(block, data, names, _line(text, len(before) if found else 0), eol) + after
    _check_first(front)
    if not rest.strip():
        return mark + front + body.replace("\n", eol)
    return mark + front + _merged_sections(rest, body, _line(text, len(text) - len(rest)), eol)


def sections(text: str | None) -> set[str]:
    """Return the names of the sections that a README has; InputError, with the line, for damaged comments."""
    return set(_spans(text, 1)) if text else set()


def _check_first(front: str) -> None:
    """Raise InputError if the first config is not Parquet: `datasets` reads all of a repository's as it reads the first."""
    first = yaml.safe_load(front.strip().strip("-"))["configs"][0]
    paths = re.findall(r"[^\s'\",\[\]{}]+\.\w+", json.dumps(first.get("data_files")))
    if other := [path for path in paths if not path.endswith(".parquet")]:
        raise InputError(
            f"README.md: the first of `configs`, {first.get('config_name')!r}, is {other[0]}, which is not Parquet, and `datasets` takes "
            "its format for all: nothing that is pushed could be loaded. Move it behind the others, or into another repository."
        )


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def _merged_sections(text: str, new: str, line: int, eol: str) -> str:
    """Return `text`, which begins at a line of README.md, with the sections of `new`; one that it lacks follows its last one."""
    there = _spans(text, line)
    sections = {name: new[start:end].replace("\n", eol) for name, (start, end) in _spans(new, 1).items()}
    for name, (start, end) in reversed(there.items()):
        if name in sections:
            text = text[:start] + sections[name] + text[end:]
    added = [section for name, section in sections.items() if name not in there]
    if not added:
        return text
    if there:
        at = max(end for _, end in _spans(text, line).values())
        return text[:at] + "".join(f"{eol}{eol}{section}" for section in added) + text[at:]
    gap = "" if text.endswith(eol + eol) else eol if text.endswith("\n") else eol + eol
    return text + gap + (eol + eol).join(added) + eol


def _spans(text: str, line: int) -> dict[str, tuple[int, int]]:
    """Return where each section begins and ends; InputError if that is not clear."""
    spans: dict[str, tuple[int, int]] = {}
    opened: tuple[str, int, int] | None = None  # name, place, line
    for found in COMMENT.finditer(text):
        at, now = found.start(), line + text.count("\n", 0, found.start())
        whole = WHOLE.fullmatch(found[0])
        if whole is None:
            raise _damaged(
                now, f"{found[0].strip()!r} is not <!-- rft:begin NAME --> or <!-- rft:end NAME --> alone on its line"
            )
        name = whole[2]
        if whole[1] == "begin":
            if opened:
                raise _damaged(opened[2], f"the section {opened[0]} begins and does not end before {name} begins in line {now}")
            if name in spans:
                raise _damaged(now, f"the section {name} begins a second time")
            opened = (name, at, now)
        elif opened is None or opened[0] != name:
            raise _damaged(now, f"the section {name} ends and did not begin")
        else:
            spans[name] = (opened[1], found.end())
            opened = None
    if opened:
        raise _damaged(opened[2], f"the section {opened[0]} begins and does not end")
    return spans


def _damaged(line: int, what: str) -> InputError:
    return InputError(
        f"README.md, line {line}: {what}. Put the comments of each section back (one begin, one end), or remove the section with "
        "both of them: a push writes it anew. To show such a comment, indent it by four spaces."
    )


def _merged_block(block: str, ours: Mapping[str, Any], names: Sequence[str], line: int, eol: str) -> str:
    """Return the YAML of a front matter, which begins at `line`, with what it lacks of `ours`, and the configs of `names`."""
    text = block + eol if block else ""
    try:
        now = yaml.safe_load(text)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that is none
        mark = getattr(error, "problem_mark", None)
        raise _unreadable(line + (mark.line if mark else 0), getattr(error, "problem", None) or str(error)) from error
    if not isinstance(now, dict | None):
        raise _unreadable(line, "it is not a mapping of names to values")
    now = now or {}
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    indent = " " * root.start_mark.column if root else ""
    nodes = {key.value: (key, value) for key, value in pairs}
    if len(nodes) < len(pairs):
        raise _unreadable(line, "a name stands in it twice")
    if not isinstance(now.get("configs"), list | None):
        raise _unreadable(line, "configs is not a list")

    edits: list[tuple[int, int, str]] = []  # from, to, what is to stand there
    changes = _changes(now, ours, names)
    for key in changes.keys() & nodes.keys():
        edits += _edits(text, *nodes[key], now[key], changes[key], indent, eol)
    for start, end, new in sorted(edits, reverse=True):  # from the end, so that the places before stay
        text = text[:start] + new + text[end:]
    text += "".join(_dumped({key: change.value}, indent, eol) for key, change in changes.items() if key not in nodes)
    try:
        fits = yaml.safe_load(text) == now | {key: change.value for key, change in changes.items()}
    except yaml.YAMLError:
        fits = False
    if not fits:  # aliases, or braces around the whole
        raise _unreadable(line, f"{', '.join(changes)} cannot be put into it; write it as plain `name: value` lines")
    return text.removesuffix(eol) if changes else block


def _unreadable(line: int, what: str) -> InputError:
    return InputError(
        f"README.md, line {line}: the front matter cannot be used: {what}. Mend it and push again; nothing was changed."
    )


@dataclass(frozen=True)
class Change:
    """What a key of the front matter is to have: for each item there is, what stands in its place (GONE: nothing), then more."""

    slots: Sequence[Any]
    added: Any

    @property
    def value(self) -> Any:
        return [slot for slot in self.slots if slot is not GONE] + self.added if isinstance(self.added, list) else self.added


def _changes(now: Mapping[str, Any], ours: Mapping[str, Any], names: Sequence[str]) -> dict[str, Change]:
    """Return what is to change of `now`: values that it lacks, items that its lists lack, and the configs of `names`."""
    changes = {}
    licence = now.get("license")
    named = licence is not None and (not isinstance(licence, list) or OTHER in licence)  # which one, its author knows
    for key, value in ours.items():
        had = now.get(key)
        if key == "configs":
            change = _config_change(had or [], value, names)
        elif key in LISTS and isinstance(had, list):
            change = Change(had, [each for each in value if each not in had])
        elif had is None and not (named and key in ("license_name", "license_link")):
            change = Change([], value)
        else:
            continue
        if change.value != had:
            changes[key] = change
    return changes


def _config_change(had: Sequence[Any], ours: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Change:
    left = {entry["config_name"]: {k: v for k, v in entry.items() if k != "default"} for entry in ours}
    replaced = {*left, *names}
    slots: list[Any] = []
    for entry in had:
        name = str(entry.get("config_name")) if isinstance(entry, dict) else ""
        if name in left:
            slots.append(left.pop(name) | ({"default": entry["default"]} if "default" in entry else {}))
        else:
            slots.append(GONE if name in replaced or name.partition("_")[0] in names else entry)
    change = Change(slots, list(left.values()))
    if not any(isinstance(e, dict) and (e.get("default") or e.get("config_name") == "default") for e in change.value):
        next(e for e in change.value if isinstance(e, dict) and e.get("config_name") == names[0])["default"] = True
    return change


def _edits(
    text: str, key: yaml.ScalarNode, node: yaml.Node, had: Any, change: Change, indent: str, eol: str
) -> Iterator[tuple[int, int, str]]:
    """Yield the pieces of YAML that a change replaces, and with what; comments lie outside of them."""
    items = node.value if isinstance(node, yaml.SequenceNode) else []
    flow = isinstance(node, yaml.CollectionNode) and node.flow_style  # [a, b]
    if items and flow and change.slots == had and all(isinstance(each, str) for each in change.added):
        at = items[-1].end_mark.index
        yield at, at, "".join(f", {json.dumps(each, ensure_ascii=False)}" for each in change.added)
    elif items and not flow:
        dash = " " * node.start_mark.column
        for item, old, new in zip(items, had, change.slots, strict=True):
            if new != old:
                start = text.rfind("\n", 0, item.start_mark.index) + 1
                yield start, _next_line(text, _end(item)), "" if new is GONE else _dumped([new], dash, eol)
        if change.added:
            at = _next_line(text, _end(items[-1]))
            yield at, at, _dumped(change.added, dash, eol)
    else:
        yield key.start_mark.index, _end(node), _dumped({key.value: change.value}, indent, eol).strip()


def _end(node: yaml.Node) -> int:
    """Return where a value ends, without the comments and empty lines after it."""
    if isinstance(node, yaml.CollectionNode) and node.value and not node.flow_style:
        last = node.value[-1]
        return _end(last[1] if isinstance(node, yaml.MappingNode) else last)
    return int(node.end_mark.index)


def _next_line(text: str, at: int) -> int:
    return at if text[at - 1] == "\n" else text.find("\n", at) + 1 or len(text)


def _dumped(value: Any, indent: str, eol: str) -> str:
    return "".join(f"{indent}{line}{eol}" for line in yaml.dump(value, allow_unicode=True, sort_keys=False).splitlines())
