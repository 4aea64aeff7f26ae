"""What is published of an artifact: a folder of its name, with the store's own Parquet files, byte for byte.

    demo-rft-union/train-00000-of-00001.parquet   the rows: config demo-rft-union, split train
    demo-rft-union/verdicts.parquet               config demo-rft-union_verdicts (no artifact's name has an underscore)
    demo-rft-union/path_stats.parquet             config demo-rft-union_path_stats
    demo-rft-union/drops.parquet                  config demo-rft-union_drops
    demo-rft-union/statistics.parquet             config statistics: of every set of the repository, paths by k
    demo-rft-union/artifact.json                  the record
    demo-rft-union/ancestors.jsonl                a record a line: of everything it was made from
    demo-rft-union/catalog.yaml                   the lines that made it and them
    demo-rft-union/publication.json               what was checked, what was overridden, whose licences hold
    demo-rft-union/paths.png, lineage.png         pictures for the card

The tag demo-rft-union-v1 stands for demo-rft-union@1.
"""

import io
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import polars as pl

from registry.errors import RftError
from registry.names import ArtifactId, parse_id
from registry.rows import TABLES
from registry.store.record import RECORD
from rft.publish.card.card import Published
from rft.publish.card.pictures import pictures
from rft.publish.gate.check import Checked
from rft.publish.remote.repository import File
from rft.reports.paths import Statistics, statistics

ANCESTORS, LINES, PUBLICATION, STATISTICS = "ancestors.jsonl", "catalog.yaml", "publication.json", "statistics.parquet"
STATISTICS_CONFIG = "statistics"
ROWS = re.compile(r"(train|validation|test)-00000-of-00001\.parquet")


@dataclass(frozen=True)
class Publication:
    """An artifact as it is published: what the card says of it, and all its files but the card."""

    about: Published
    files: list[File]

    @property
    def id(self) -> ArtifactId:
        return self.about.record.id

    @property
    def name(self) -> str:
        return self.about.name

    @property
    def content(self) -> str:
        return self.about.record.content

    @property
    def tag(self) -> str:
        return self.about.tag


def tag_of(id: ArtifactId) -> str:
    return f"{id.name}-v{id.version}"


def id_of(tag: str) -> ArtifactId | None:
    """Return the artifact that a tag stands for, or None if it is no tag of ours."""
    match = re.fullmatch(r"(.+)-v([1-9][0-9]*)", tag)
    try:
        return parse_id(f"{match[1]}@{match[2]}") if match else None
    except RftError:
        return None


def record_path(name: str) -> str:
    return f"{name}/{RECORD}"


def configs(name: str, split: str, paths: Iterable[str]) -> dict[str, list[dict[str, str]]]:
    """Return the configs of an artifact's folder, its rows first; `statistics` is one for all folders."""
    found = {}
    for path in paths:
        file = path.removeprefix(f"{name}/")
        if ROWS.fullmatch(file):
            found[name] = [{"split": split, "path": path}]
        elif (table := file.removesuffix(".parquet")) in TABLES:
            found[f"{name}_{table}"] = [{"split": split, "path": path}]
        elif file == STATISTICS:
            found[STATISTICS_CONFIG] = [{"split": "train", "path": f"*/{STATISTICS}"}]
    order = [name, *(f"{name}_{table}" for table in TABLES), STATISTICS_CONFIG]
    return {config: found[config] for config in order if config in found}


def lay_out(checked: Checked) -> Publication:
    """Return an artifact that was checked as it is published."""
    m, split = checked.artifact.record, checked.split
    folder = checked.artifact.stored.folder
    counted = statistics(checked.artifact) if checked.artifact.stored.file("path_stats.parquet") else None
    said = {
        "format": 1,
        "split": split,
        "overrides": [finding.name for finding in checked.overridden],
        "findings": [{"gate": f.gate, "name": f.name, "stops": f.stops} for f in checked.findings],
        "compared": [asdict(figures) for figures in checked.compared],
        "licences": [asdict(term) for term in checked.terms],
    }
    made: dict[str, bytes] = {
        RECORD: (folder / RECORD).read_bytes(),
        ANCESTORS: "".join(record.model_dump_json() + "\n" for record in checked.records.values()).encode(),
        LINES: checked.lines.encode(),
        PUBLICATION: (json.dumps(said, ensure_ascii=False, indent=1) + "\n").encode(),
        **pictures(m, checked.records, counted),
    }
    if counted is not None and counted.at_k:
        made[STATISTICS] = _by_k(str(m.id), counted)
    files = [File(f"{m.name}/{published_name(file.name, split)}", folder / file.name) for file in m.files]
    files += [File(f"{m.name}/{name}", data) for name, data in made.items()]
    files.sort(key=lambda file: file.path)
    about = Published(
        record=m,
        ancestors=checked.records,
        split=split,
        tag=tag_of(m.id),
        configs=configs(m.name, split, (file.path for file in files)),
        lines=checked.lines,
        statistics=counted,
        terms=checked.terms,
        compared=checked.compared,
        overridden=checked.overridden,
        first=checked.first,
    )
    return Publication(about, files)


def published_name(file: str, split: str) -> str:
    """Return what a file of an artifact's folder is called on the Hub."""
    return f"{split}-00000-of-00001.parquet" if file == "rows.parquet" else file


def _by_k(id: str, counted: Statistics) -> bytes:
    """Return Parquet with the same columns for sets and evals: these have no human paths."""
    names = ("draws", "right_answers", "accepted", "paths", "paths_canonical", "paths_with_human", "paths_canonical_with_human")
    schema = {"k": pl.Int64, **dict.fromkeys(names, pl.Float64)}
    file = io.BytesIO()
    pl.DataFrame(counted.at_k, schema=schema).select(pl.lit(id).alias("artifact"), pl.all()).write_parquet(file)
    return file.getvalue()
