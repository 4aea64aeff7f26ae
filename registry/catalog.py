"""Read and extend catalog.yaml: one line for each artifact that should exist.

datasets:
  gsm8k-train-1of32@1: {builder: fraction, inputs: [gsm8k-train@1], params: {denominator: 32, seed: 42}}
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from registry.errors import CatalogError, NotFound, RftError, near
from registry.names import ArtifactId, parse_id
from registry.store import Kind

FILE_NAME = "catalog.yaml"
SECTIONS: dict[str, tuple[Kind, str]] = {  # section -> the kind of its artifacts, and the key that names the maker
    "models": ("model", "trainer"),
    "datasets": ("dataset", "builder"),
    "evals": ("eval", "eval"),
}


@dataclass(frozen=True)
class Entry:
    """One line of the catalog, not yet compared with its maker's signature."""

    id: ArtifactId
    kind: Kind
    maker: str
    inputs: tuple[ArtifactId, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    where: str = ""  # "catalog.yaml:12", for messages


@dataclass(frozen=True)
class Catalog:
    """All lines, in file order, and the folder that relative paths in them start from."""

    file: Path
    entries: Mapping[ArtifactId, Entry]

    @property
    def folder(self) -> Path:
        return self.file.parent

    def get(self, id: ArtifactId) -> Entry | None:
        return self.entries.get(id)

    def named(self, name: str) -> list[ArtifactId]:
        """Return the versions of `name`, in file order."""
        return [id for id in self.entries if id.name == name]


def find(start: Path) -> Path:
    """Return the nearest catalog.yaml in `start` or above it; NotFound if there is none."""
    for folder in (start.resolve(), *start.resolve().parents):
        if (folder / FILE_NAME).is_file():
            return folder / FILE_NAME
    raise NotFound(f"no {FILE_NAME} in {start} or above it. `rft init` writes a first one; --catalog FILE names another.")


def read(file: Path) -> Catalog:
    """Return the catalog that `file` holds; CatalogError names the line that is wrong and the cure."""
    try:
        text = file.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except FileNotFoundError:
        raise NotFound(f"{file} does not exist. `rft init` writes a first one.") from None
    except UnicodeDecodeError as error:
        raise CatalogError(f"{file.name}: not UTF-8 text (byte {error.start}). Save it as UTF-8.") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise CatalogError(f"{file.name}:{line}: not YAML: {error.problem}. Mend the line.") from error
    except yaml.YAMLError as error:
        raise CatalogError(f"{file.name}: not YAML: {error}") from error
    entries: dict[ArtifactId, Entry] = {}
    if root is not None:
        for section, node, at in _items(root, file.name):
            if section not in SECTIONS:
                raise CatalogError(
                    f"{at}: unknown section {section!r}; there are {', '.join(SECTIONS)}.{near(str(section), SECTIONS)}"
                )
            if _is_null(node):
                continue
            for key, fields, where in _items(node, file.name):
                entry = _entry(key, fields, section, where, file.name)
                if (
                    other := next((e for e in entries.values() if e.id.name == entry.id.name and e.kind != entry.kind), None)
                ) is not None:
                    raise CatalogError(
                        f"{where}: {entry.id.name} is a {other.kind} already ({other.where}). A name is one thing; choose another."
                    )
                if entry.id in entries:
                    raise CatalogError(
                        f"{where}: {entry.id} is listed twice; the first is {entries[entry.id].where}. Remove one."
                    )
                entries[entry.id] = entry
    return Catalog(file.resolve(), entries)


def _entry(key: Any, node: yaml.Node, section: str, where: str, file: str) -> Entry:
    kind, maker_key = SECTIONS[section]
    try:
        id = parse_id(str(key))
    except RftError as error:
        raise CatalogError(f"{where}: {error}") from error
    if not isinstance(node, yaml.MappingNode):
        raise CatalogError(f"{where}: {id} needs {{{maker_key}: ..., inputs: [...], params: {{...}}}}.")
    fields: dict[str, Any] = {}
    for name, child, at in _items(node, file):
        if name not in (maker_key, "inputs", "params"):
            raise CatalogError(
                f"{at}: {id} has an unknown key {name!r}; there are {maker_key}, inputs and params.{near(str(name), (maker_key, 'inputs', 'params'))}"
            )
        fields[name] = _value(child, file)
    maker, inputs, params = fields.get(maker_key), fields.get("inputs") or [], fields.get("params") or {}
    if not isinstance(maker, str):
        raise CatalogError(f"{where}: {id} names no {maker_key}. Write {{{maker_key}: NAME, ...}}.")
    if not isinstance(inputs, list) or not all(isinstance(given, str) for given in inputs):
        raise CatalogError(f"{where}: the inputs of {id} must be a list of names with versions: [gsm8k-train@1].")
    if not isinstance(params, dict) or not all(isinstance(name, str) for name in params):
        raise CatalogError(f"{where}: the params of {id} must be a mapping: {{seed: 42}}.")
    try:
        ids = tuple(parse_id(given) for given in inputs)
    except RftError as error:
        raise CatalogError(f"{where}: an input of {id}: {error}") from error
    for given in ids:
        if given.is_dev and not id.is_dev:
            raise CatalogError(
                f"{where}: {id} is released and cannot use {given}, which changes. Give {given.name} a version, or write {id.name}@dev."
            )
    return Entry(id, kind, maker, ids, params, where)


def _items(node: yaml.Node, file: str) -> Iterator[tuple[Any, yaml.Node, str]]:
    """Yield (key, value node, "file:line") of a mapping; duplicate keys are refused (YAML keeps the last without a word)."""
    if not isinstance(node, yaml.MappingNode):
        raise CatalogError(f"{file}:{node.start_mark.line + 1}: a mapping is needed here.")
    seen: dict[Any, int] = {}
    for key_node, value in node.value:
        line = key_node.start_mark.line + 1
        where = f"{file}:{line}"
        if key_node.tag == "tag:yaml.org,2002:merge":
            raise CatalogError(f"{where}: no << merges here: every line says all of its own, so that a search finds it.")
        key = _value(key_node, file)
        if isinstance(key, list | dict):
            raise CatalogError(f"{where}: a key must be a word.")
        if key in seen:
            raise CatalogError(f"{where}: {key!r} stands here and on line {seen[key]}. Remove one, or give it another version.")
        seen[key] = line
        yield key, value, where


# PyYAML reads these plain words as something else than they look like.
_FLOAT_AS_TEXT = re.compile(r"[-+]?[0-9][0-9_]*(?:\.[0-9_]*)?[eE][-+]?[0-9]+")
_ODD_INTEGER = re.compile(r"[-+]?(?:0[0-7_]+|[0-9_]+(?::[0-5]?[0-9])+(?:\.[0-9_]*)?|0[bx].*|.*_.*)")


def _value(node: yaml.Node, file: str) -> Any:
    where = f"{file}:{node.start_mark.line + 1}"
    if isinstance(node, yaml.MappingNode):
        values = {}
        for key, child, at in _items(node, file):
            values[key] = _value(child, file)
            if key == "revision" and isinstance(values[key], int | float):
                raise CatalogError(
                    f'{at}: the revision {child.value} is read as a number. Write it in quotes: revision: "{child.value}".'
                )
        return values
    if isinstance(node, yaml.SequenceNode):
        return [_value(child, file) for child in node.value]
    text, tag = node.value, node.tag.removeprefix("tag:yaml.org,2002:")
    plain = isinstance(node, yaml.ScalarNode) and node.style is None
    if plain and tag == "str" and _FLOAT_AS_TEXT.fullmatch(text):
        mantissa, _, exponent = text.lower().partition("e")
        good = f"{mantissa if '.' in mantissa else mantissa + '.0'}e{exponent if exponent[0] in '+-' else '+' + exponent}"
        raise CatalogError(f"{where}: YAML reads {text} as text, not as a number. Write {good}, or quote it if text is meant.")
    if plain and tag in ("int", "float") and _ODD_INTEGER.fullmatch(text):
        raise CatalogError(
            f"{where}: {text} would be read as {_plain(node)}. Write the number in plain decimal digits, or quote it."
        )
    if tag == "bool" and text.lower() not in ("true", "false"):
        raise CatalogError(f"{where}: YAML reads {text} as {_plain(node)}. Write true or false, or quote it if text is meant.")
    if tag in ("str", "int", "float", "bool", "null"):
        return _plain(node)
    raise CatalogError(f"{where}: {text!r} is read as a {tag}. Quote it if text is meant.")


def _plain(node: yaml.Node) -> Any:
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_object(node)
    finally:
        loader.dispose()


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"


def add_line(file: Path, section: str, line: str) -> None:
    """Add `line` at the end of a section of catalog.yaml, leaving every other byte as it is."""
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    root = yaml.compose(text, Loader=yaml.SafeLoader) if text.strip() else None
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    here = next((value for key, value in pairs if key.value == section), None)
    if here is None:
        lines += [f"\n{section}:\n" if lines else f"{section}:\n", f"  {line}\n"]
    elif not isinstance(here, yaml.MappingNode) or here.flow_style:
        if not _is_null(here):
            raise CatalogError(
                f"{file.name}: write the section {section} in block form (one artifact a line), then add:\n  {line}"
            )
        lines.insert(here.start_mark.line + 1, f"  {line}\n")
    else:
        last = here.value[-1][1].end_mark
        at = last.line + (1 if last.column else 0)
        lines.insert(at, " " * here.start_mark.column + f"{line}\n")
    scratch = file.with_name(f".{file.name}.new")
    scratch.write_text("".join(lines), encoding="utf-8")
    scratch.replace(file)
