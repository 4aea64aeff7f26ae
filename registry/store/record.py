"""The record of an artifact, artifact.json: what it is, where it came from, which files it has."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from registry.files import sha256_file
from registry.names import MAX_LENGTH, NAME, ArtifactId

RECORD = "artifact.json"


Kind = Literal["dataset", "model", "eval"]


# A record may come from elsewhere: what becomes part of a path, of SQL or of a line is checked where it is read.
Name = Annotated[str, StringConstraints(pattern=f"^{NAME.pattern}$", max_length=MAX_LENGTH)]


Id = Annotated[str, StringConstraints(pattern=f"^{NAME.pattern}@(dev|[1-9][0-9]{{0,8}})$", max_length=MAX_LENGTH + 10)]


Word = Annotated[str, StringConstraints(pattern=r"^\w+$", max_length=MAX_LENGTH)]


Hash = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]


Count = Annotated[int, Field(ge=0, lt=2**31)]


Size = Annotated[int, Field(ge=0, lt=2**63)]


def _inside(name: str) -> str:
    parts = name.split("/")
    if "" in parts or "." in parts or ".." in parts or "\0" in name or "\\" in name:
        raise ValueError(f"{name!r} is no path inside an artifact")
    return name


class FileRecord(BaseModel):
    """One data file: its name inside the artifact's folder, its size and its sha256."""

    model_config = ConfigDict(frozen=True)
    name: Annotated[str, AfterValidator(_inside)]
    bytes: Size
    sha256: Hash


class InputRecord(BaseModel):
    """One input, as it was when it was used: its id (`name@version`) and its content."""

    model_config = ConfigDict(frozen=True)
    id: Id
    content: Hash


class Record(BaseModel):
    """What artifact.json holds: the recipe with every parameter bound, the content, counts, files and provenance."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    format: Literal[1] = 1
    name: Name
    version: Annotated[int, Field(ge=0, lt=10**9)]
    kind: Kind
    maker: Word
    edition: Count
    inputs: list[InputRecord]
    params: dict[Word, Any]
    rows_are: Word | None = None  # the shape of the rows: QUESTIONS, TRAINING, ...
    columns: dict[Word, list[Word]] = {}  # of each table; without them, those that its shape had first
    content: Hash
    rows: Size
    drops: dict[str, Size]
    facts: dict[str, Any]
    files: list[FileRecord]
    provenance: dict[str, Any]
    built_at: datetime

    @property
    def id(self) -> ArtifactId:
        return ArtifactId(self.name, self.version)

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)

    @property
    def again(self) -> str:
        """What brings the artifact back once it was removed."""
        published = self.provenance.get("published")
        return (
            f"`rft pull {published['repository']}@{published['tag']}` brings it back"
            if published
            else f"`rft build {self.id}` makes it again"
        )


@dataclass(frozen=True)
class Damaged:
    """An artifact whose record cannot be read: `why`, and the cure."""

    why: str


@dataclass(frozen=True)
class Stored:
    """An artifact that exists: its record and its folder."""

    record: Record
    folder: Path

    @property
    def id(self) -> ArtifactId:
        return self.record.id

    def file(self, name: str) -> Path | None:
        """Return the path of a data file, or None if the artifact has none of that name."""
        return self.folder / name if any(file.name == name for file in self.record.files) else None


def files_in(folder: Path) -> list[FileRecord]:
    """Return every file below `folder`, hashed, in order of name."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return [FileRecord(name=p.relative_to(folder).as_posix(), bytes=p.stat().st_size, sha256=sha256_file(p)) for p in paths]


class HubFiles(BaseModel):
    """A pinned snapshot: which files, with their sizes and hashes."""

    model_config = ConfigDict(frozen=True)
    repo: str
    revision: str
    files: list[FileRecord]
