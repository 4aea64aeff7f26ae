"""Read and extend catalog.yaml: one line for each artifact that should exist.

datasets:
  gsm8k-train-1of32@1: {builder: fraction, inputs: [gsm8k-train@1], params: {denominator: 32, seed: 42}}
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from registry.errors import CatalogError, NotFound, RftError, near
from registry.names import ArtifactId, parse_id
from registry.store.record import Kind

FILE_NAME = "catalog.yaml"
SECTIONS: dict[str, tuple[Kind, str]] = {  # section -> the kind of its artifacts, and the key that names the maker
    "models": ("model", "trainer"),
    "datasets": ("dataset", "builder"),
    "evals": ("eval", "eval"),
}
MAX_DEPTH = 20  # of nested mappings and lists; a line has three
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


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
    raise NotFound(
        f"no {FILE_NAME} in {start} or above it. `rft init` writes a first one; --catalog FILE names another, --home DIR a store that needs none."
    )


def default_home(home: str | Path | None = None, catalog_file: Path | None = None) -> Path:
    """Return the store's folder: `home`, else RFT_HOME, else `.rft` beside the catalog.

    Raises NotFound if there is no catalog to be beside, or if the home is a file.
    """
    named = home or os.environ.get("RFT_HOME")
    if catalog_file is not None and not catalog_file.is_file():
        raise NotFound(f"{catalog_file} does not exist. `rft init` writes a first one.")
    folder = Path(named) if named else (catalog_file or find(Path.cwd())).resolve().parent / ".rft"
    if folder.is_file():
        raise NotFound(f"{folder} is a file. The store is a folder: .rft beside the catalog.")
    return folder


def read(file: Path) -> Catalog:
    """Return the catalog that `file` holds; CatalogError names the line that is wrong and the cure."""
    root = compose(file)
    entries: dict[ArtifactId, Entry] = {}
    first_of_name: dict[str, Entry] = {}
    if root is not None and not is_empty(root):
        for section, node, at in _items(root, file.name):
            if section not in SECTIONS:
                raise CatalogError(
                    f"{at}: unknown section {section!r}; there are {', '.join(SECTIONS)}.{near(str(section), SECTIONS)}"
                )
            if _is_null(node):
                continue
            for key, fields, where in _items(node, file.name):
                entry = _entry(key, fields, section, where, file.name)
                other = first_of_name.setdefault(entry.id.name, entry)
                if other.kind != entry.kind:
                    raise CatalogError(
                        f"{where}: {entry.id.name} is a {other.kind} already ({other.where}). A name is one thing; choose another."
                    )
                if entry.id in entries:
                    raise CatalogError(
                        f"{where}: {entry.id} is listed twice; the first is {entries[entry.id].where}. Remove one."
                    )
                entries[entry.id] = entry
    return Catalog(file.resolve(), entries)


def compose(file: Path) -> yaml.Node | None:
    """Return the root node of a YAML file that uses nothing but mappings, lists and plain values."""
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        raise NotFound(f"{file} does not exist. `rft init` writes a first one.") from None
    except IsADirectoryError:
        raise CatalogError(f"{file} is a folder. Name the file: {file / FILE_NAME}.") from None
    try:
        text = data.decode()
        depth = 0
        # Events first: they are read without recursion, and composing a thousand nested brackets ends Python.
        for event in yaml.parse(text, Loader=_LOADER):
            where = f"{file.name}:{event.start_mark.line + 1 if event.start_mark else 1}"
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
                raise CatalogError(f"{where}: no & anchors and * aliases here: every line says all of its own. Write it out.")
            if (tag := getattr(event, "tag", None)) is not None:
                raise CatalogError(f"{where}: no ! tags here ({tag}). Remove it, and quote the value if text is meant.")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise CatalogError(f"{where}: nested more than {MAX_DEPTH} deep. Is a bracket left open?")
        root: yaml.Node | None = yaml.compose(text, Loader=_LOADER)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise CatalogError(f"{file.name}:{line}: not UTF-8 text (byte {error.start} of the file). Save it as UTF-8.") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise CatalogError(f"{file.name}:{line}: not YAML: {error.problem}. Mend the line.") from error
    except yaml.reader.ReaderError as error:
        line = data.count(b"\n", 0, error.position) + 1
        raise CatalogError(f"{file.name}:{line}: not YAML: {error.reason}. Remove the character.") from error
    return root


def _entry(key: Any, node: yaml.Node, section: str, where: str, file: str) -> Entry:
    kind, maker_key = SECTIONS[section]
    try:
        id = parse_id(str(key))
    except RftError as error:
        raise CatalogError(f"{where}: {error}") from error
    if id.name == "human":
        raise CatalogError(
            f"{where}: the name human is taken: it is the origin of the questions' own solutions. Choose another."
        )
    if not isinstance(node, yaml.MappingNode):
        raise CatalogError(f"{where}: {id} needs {{{maker_key}: ..., inputs: [...], params: {{...}}}}.")
    fields: dict[str, Any] = {}
    for name, child, at in _items(node, file):
        if home := next((other for other, (_, key) in SECTIONS.items() if key == name != maker_key), None):
            raise CatalogError(f"{at}: {id} is made by a {name}: lines like this go under {home}, not under {section}.")
        if name not in (maker_key, "inputs", "params"):
            raise CatalogError(
                f"{at}: {id} has an unknown key {name!r}; there are {maker_key}, inputs and params.{near(str(name), (maker_key, 'inputs', 'params'))}"
            )
        fields[name] = _value(child, file)
    maker, inputs, params = fields.get(maker_key), fields.get("inputs"), fields.get("params")
    inputs, params = [] if inputs is None else inputs, {} if params is None else params
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
        raise CatalogError(f"{file}:{node.start_mark.line + 1}: a mapping is needed here (key: value).")
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
    plain = isinstance(node, yaml.ScalarNode) and not node.style  # None, and "" from the loader written in C
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


def is_empty(node: yaml.Node) -> bool:
    return _is_null(node) and not node.value
