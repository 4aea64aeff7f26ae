"""Write lines of catalog.yaml, leaving every other byte as it is."""

import json
import shutil
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from registry.catalog.read import SECTIONS, Entry, compose, is_empty, read
from registry.errors import CatalogError
from registry.files import locked, replaced
from registry.names import ArtifactId


def line(entry: Entry) -> str:
    """Return the entry as its line in catalog.yaml. JSON strings and numbers are YAML too."""
    _, maker_key = next(pair for pair in SECTIONS.values() if pair[0] == entry.kind)
    parts = [f"{maker_key}: {entry.maker}"]
    if entry.inputs:
        parts.append(f"inputs: [{', '.join(map(str, entry.inputs))}]")
    if entry.params:
        params = ", ".join(f"{name}: {_written(value)}" for name, value in entry.params.items())
        parts.append(f"params: {{{params}}}")
    return f"{entry.id}: {{{', '.join(parts)}}}"


def _written(value: Any) -> str:
    if isinstance(value, float):
        return f"{Decimal(repr(value)):f}"  # YAML reads 1e-05 as text
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_written(key)}: {_written(each)}' for key, each in value.items())}}}"
    text = json.dumps(value, ensure_ascii=False)
    return text if text.isprintable() else "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in text)


def add_lines(file: Path, lines: Sequence[tuple[str, str]], entries: Mapping[ArtifactId, Entry]) -> None:
    """Add (section, line) pairs at the ends of their sections of catalog.yaml, all or none, leaving every other byte as it is.

    `entries` are what the lines must read back as. Raises CatalogError, and writes nothing, if the file is not YAML or not
    written one artifact a line, or if the lines would not read back so.
    """
    file = file.resolve()  # of a link, the file it means
    # The folder itself is locked against others who add lines: no lock file is left beside the catalog.
    with locked(file.parent), replaced(file) as scratch:
        try:
            if file.exists():
                shutil.copy(file, scratch)
            for section, line in lines:
                _add_line(scratch, file.name, section, line)
            found = read(scratch).entries
            for id, entry in entries.items():
                if (found[id].maker, found[id].inputs, found[id].params) != (entry.maker, entry.inputs, entry.params):
                    raise CatalogError(
                        f"{id} cannot be written as a line of {file.name}: {found[id].params} is not {entry.params}."
                    )
        except CatalogError as error:
            raise CatalogError(str(error).replace(scratch.name, f"{file.name} with the new lines")) from error


def _add_line(file: Path, name: str, section: str, line: str) -> None:
    root = compose(file) if file.exists() else None
    text = file.read_bytes().decode() if file.exists() else ""
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    here = next((value for key, value in pairs if key.value == section), None)
    if not (root is None or is_empty(root) or _is_block(root)) or not (here is None or is_empty(here) or _is_block(here)):
        raise CatalogError(f"{name}: write {section} in block form (`{section}:`, one artifact a line), then add:\n  {line}")
    end = "\r\n" if "\r\n" in text else "\n"
    rows = text.splitlines(keepends=True)
    if rows and not rows[-1].endswith(("\n", "\r")):
        rows[-1] += end
    if here is None:
        rows += [end] if rows else []
        rows += [f"{section}:{end}", f"  {line}{end}"]
    elif is_empty(here):
        rows.insert(here.start_mark.line + 1, f"  {line}{end}")
    else:
        rows.insert(_last_line(here) + 1, " " * here.start_mark.column + f"{line}{end}")
    file.write_bytes("".join(rows).encode())


def _is_block(node: yaml.Node) -> bool:
    return isinstance(node, yaml.MappingNode) and not node.flow_style


def _last_line(node: yaml.Node) -> int:
    """Return the (0-based) line on which a node's text ends, without the comments and blank lines after it."""
    while isinstance(node, yaml.CollectionNode) and not node.flow_style:
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    mark = node.end_mark
    # A block scalar ends at the start of the line after it.
    return int(mark.line) - (1 if mark.column == 0 and mark.line > node.start_mark.line else 0)
