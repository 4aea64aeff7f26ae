"""Six toy questions, and a folder with a catalog and a store to build them in."""

import json
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from registry.build.build import Built, build
from registry.catalog import read as catalog
from registry.catalog.plan import Step, plan
from registry.files import sha256_file
from registry.maker import Options
from registry.names import ArtifactId, parse_id
from registry.query.api import Registry
from registry.rows import question_id
from registry.store.record import Record, Stored
from registry.store.store import Store

ROOT = Path(__file__).parent.parent
CASE_FILES = Path(__file__).parent / "cases"
SIX = [
    {
        "question": "A baker makes 4 trays of 6 rolls and sells 9 of them. How many rolls are left?",
        "answer": "He makes 4*6=<<4*6=24>>24 rolls.\nThere are 24-9=<<24-9=15>>15 left.\n#### 15",
    },
    {
        "question": "Mia has 12 pencils and buys 3 boxes of 8. How many pencils does she have now?",
        "answer": "The boxes hold 3*8=<<3*8=24>>24 pencils.\nShe has 12+24=<<12+24=36>>36.\n#### 36",
    },
    {
        "question": "A ticket to the fair costs $2.50. How many dollars do 6 tickets cost?",
        "answer": "They cost 2.5*6=$<<2.5*6=15>>15.\n#### 15",
    },
    {
        "question": "A tank for 1,200 liters is a quarter full. How many liters are missing?",
        "answer": "It holds 1200/4=<<1200/4=300>>300 liters.\nMissing are 1200-300=<<1200-300=900>>900.\n#### 900",
    },
    {
        "question": "Tom reads 15 pages a day. How many pages does he read in two weeks?",
        "answer": "Two weeks have 2*7=<<2*7=14>>14 days.\nHe reads 15*14=<<15*14=210>>210 pages.\n#### 210",
    },
    {
        "question": "Of 30 apples half are red, and a third of the others are green. How many are neither?",
        "answer": "Red are 30/2=<<30/2=15>>15.\nGreen are 15/3=<<15/3=5>>5.\nThe rest are 15-5=<<15-5=10>>10.\n#### 10",
    },
]
IDS = [question_id(row["question"]) for row in SIX]
SECTIONS = {"trainer": "models", "builder": "datasets", "eval": "evals"}


def json_lines(rows: Iterable[Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def samples_of(texts: dict[int, list[str]], **fields: Any) -> str:
    """Return a samples file: for each question (0 to 5) its completions."""
    return json_lines(
        {"question": SIX[n]["question"], "completion": text, **fields}
        for n, completions in texts.items()
        for text in completions
    )


def least_seconds(call: Callable[[], object], times: int = 3) -> float:
    """Return the processor time of the quickest of some calls. A generous bound on it catches what grows out of hand."""
    found = []
    for _ in range(times):
        start = time.process_time()
        call()
        found.append(time.process_time() - start)
    return min(found)


class Made(NamedTuple):
    """An artifact that was built: its record and its tables (None: it has no such table)."""

    record: Record
    rows: pl.DataFrame
    verdicts: pl.DataFrame | None
    drops: pl.DataFrame | None
    path_stats: pl.DataFrame | None


class Workspace:
    """A folder with a catalog.yaml, data files and a store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "catalog.yaml"
        self.store = Store(folder / ".rft")
        self.registry = Registry(folder / ".rft")
        self._lines: dict[str, str] = {}

    def write(self, name: str, data: str | bytes | list[Any]) -> Path:
        """Write a data file; a list becomes JSON lines."""
        file = self.folder / name
        text = json_lines(data) if isinstance(data, list) else data
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return file

    def add(self, *lines: str) -> None:
        """Add lines to the catalog, or replace those of the same id; `sha256: ?` becomes that of the line's `path`."""
        for line in lines:
            if path := re.search(r"path: ([^,} ]+)", line):
                digest = sha256_file(self.folder / path[1]) if (self.folder / path[1]).is_file() else "0" * 64
                line = line.replace("sha256: ?", f'sha256: "{digest}"')
            self._lines[line.partition(":")[0]] = line
        text = ""
        for key, section in SECTIONS.items():
            if found := [line for line in self._lines.values() if re.search(rf"\{{{key}:", line)]:
                text += f"{section}:\n" + "".join(f"  {line}\n" for line in found)
        self.file.write_text(text, encoding="utf-8")

    def plan(self) -> dict[ArtifactId, Step]:
        return plan(catalog.read(self.file), self.store)

    def state(self, name: str) -> str:
        return self.plan()[parse_id(name)].state

    def step(self, name: str) -> Step:
        return self.plan()[parse_id(name)]

    def build(self, *names: str, options: Options | None = None) -> list[Built]:
        """Build what is missing for `names`, as `rft build` does."""
        return build(names, catalog.read(self.file), self.store, options=options)

    def stored(self, name: str) -> Stored:
        return self.store.require(parse_id(name))

    def made(self, name: str) -> Made:
        stored = self.stored(name)
        tables = [stored.file(f"{table}.parquet") for table in ("rows", "verdicts", "drops", "path_stats")]
        rows, *others = [pl.read_parquet(file) if file else None for file in tables]
        assert rows is not None
        return Made(stored.record, rows, *others)
