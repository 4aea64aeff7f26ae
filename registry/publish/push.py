"""`rft push`: put artifacts into a repository of the Hub so that readers see all of it or nothing.

One commit, read back byte for byte, then a tag on it for each artifact. A pass looks at what is there and does what is
missing; so the passes after a failure, in this run or in the next, need to know nothing of the one that failed.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from pydantic import ValidationError

from registry.errors import Conflict, RemoteError, UsageError
from registry.hub import TRIES, said, tries, worth_another_look
from registry.publish.card import readme as card_of
from registry.publish.layout import Publication, record_path
from registry.publish.repository import README, File, Look, Repository, remote_errors
from registry.store import Manifest
from registry.text import number, size


@dataclass(frozen=True)
class Pushed:
    """What a push did: the commit that holds the artifacts, whether it is a new one, and the tags that were put on it."""

    repository: str
    commit: str
    new: bool
    tags: list[str]
    files: list[str]  # of the commit, those that changed

    def address(self, tag: str) -> str:
        """Return where people see what a tag stands for."""
        from huggingface_hub import constants

        return f"{constants.ENDPOINT}/datasets/{self.repository}/tree/{tag}"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def push(
    publications: Sequence[Publication],
    name: str,
    *,
    public: bool = False,
    say: Callable[[str], None] = lambda text: None,
    passes: int = TRIES,
) -> Pushed:
    """Publish artifacts in the dataset repository `name`, which is made (private, unless `public`) if it is not there.

    Raises Conflict if a tag means other content or a newer version is there, UsageError if the repository is public and
    that was not said, RemoteError if the Hub cannot be reached, refuses, or gives back other bytes than it was given. What
    was done stays; the next push goes on from there.
    """
    done = Pushed(name, "", False, [], [])
    with remote_errors(f"pushing to {name}"):
        repository = Repository(name)
        for attempt in tries(_again(say), passes):
            with attempt:
                done = _pass(repository, publications, public, say)
    return done


def _again(say: Callable[[str], None]) -> Callable[[Exception], bool | float]:
    def again(error: Exception) -> bool | float:
        wait = worth_another_look(error)
        if wait is not False:
            say(f"{said(error)}: looking again")
        return wait

    return again


class _Todo(NamedTuple):
    """What is missing: artifacts without their tag, the files of their commit, those that must change and go, and the card."""

    left: list[Publication]
    wanted: list[File]
    changed: list[File]
    gone: list[str]
    card: str


def _todo(repository: Repository, look: Look | None, publications: Sequence[Publication]) -> _Todo:
    left = [p for p in publications if look is None or not is_published(repository, look, p)]
    if not left:
        return _Todo([], [], [], [], "")
    there = repository.files(look.head) if look else {}
    for publication in left:
        if look is not None and record_path(publication.name) in there:
            _check_not_older(repository, look, publication)
    readme = repository.read(README, look.head).decode() if look and README in there else None
    card = card_of(repository.name, [p.about for p in left], readme)
    wanted = [file for p in left for file in p.files] + [File(README, card.encode())]
    paths, folders = {file.path for file in wanted}, {p.name for p in left}
    gone = [path for path in there if path.partition("/")[0] in folders and path not in paths]
    return _Todo(left, wanted, [file for file in wanted if not file.is_same(there.get(file.path))], gone, card)


def _pass(repository: Repository, publications: Sequence[Publication], public: bool, say: Callable[[str], None]) -> Pushed:
    look = repository.look() or repository.create(private=not public)
    check_visibility(repository.name, look, public)
    todo = _todo(repository, look, publications)
    head = look.head
    if todo.changed or todo.gone:
        say(f"sending {number(len(todo.changed), 'file')}, {size(sum(file.size for file in todo.changed))}")
        head = repository.commit(todo.changed, todo.gone, look.head, f"Add {', '.join(str(p.id) for p in todo.left)}")
    if todo.wanted:
        say(f"reading {number(len(todo.wanted), 'file')} back")
        repository.read_back(todo.wanted, head)
    for publication in todo.left:
        repository.tag(publication.tag, head)
    changed = [file.path for file in todo.changed]
    return Pushed(repository.name, head, bool(changed or todo.gone), [p.tag for p in todo.left], changed)


def check_visibility(name: str, look: Look, public: bool) -> None:
    """Raise UsageError if a repository that exists is not as private or public as was said."""
    if public and look.private:
        raise UsageError(f"{name} exists and is private. Make it public in its settings, or push without --public.")
    if not public and not look.private:
        raise UsageError(f"{name} is public: everyone could read what is pushed there. Say so with --public.")


def is_published(repository: Repository, look: Look, publication: Publication) -> bool:
    """Return whether the artifact's tag is there; Conflict if it means other content."""
    commit = look.tags.get(publication.tag)
    if commit is None:
        return False
    there = _record(repository, publication, commit)
    if there is None or (there.id, there.content) != (publication.id, publication.content):
        what = f"content {there.content[:12]}" if there else "no artifact of that name"
        raise Conflict(
            f"the tag {publication.tag} of {repository.name} means {what}; {publication.id} here has {publication.content[:12]}. "
            f"A tag is never moved: give the artifact a new version, or push to another repository."
        )
    return True


def _record(repository: Repository, publication: Publication, commit: str) -> Manifest | None:
    if record_path(publication.name) not in repository.files(commit):
        return None
    try:
        return Manifest.model_validate_json(repository.read(record_path(publication.name), commit))
    except ValidationError as error:
        raise RemoteError(
            f"{record_path(publication.name)} of {repository.name} at {commit[:12]} is damaged. Mend it there, or push to another repository."
        ) from error


def _check_not_older(repository: Repository, look: Look, publication: Publication) -> None:
    newest = _record(repository, publication, look.head)
    if newest is not None and newest.version > publication.id.version:
        raise Conflict(
            f"{repository.name} holds {newest.id} already, and {publication.id} would take its place. "
            "Push older versions to another repository."
        )


@dataclass(frozen=True)
class Preview:
    """What a push would do: the tags it would set, the files that differ from what is there, and the card."""

    repository: str
    state: str
    tags: list[str]
    files: dict[str, int]  # size in bytes by path
    gone: list[str]
    card: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def report(self) -> str:
        lines = [f"{self.repository}: {self.state}", *(f"tag {tag}" for tag in self.tags)]
        lines += [f"{size(count).rjust(10)}  {path}" for path, count in self.files.items()]
        lines += [f"{'removed'.rjust(10)}  {path}" for path in self.gone]
        return "\n".join(lines) + (f"\n\n{self.card}" if self.card else "")


def preview(publications: Sequence[Publication], name: str, *, public: bool = False) -> Preview:
    """Return what `push` would do now. Nothing is touched. Raises what `push` would."""
    with remote_errors(f"looking at {name}"):
        repository = Repository(name)
        look = repository.look()
        todo = _todo(repository, look, publications)
    state = f"would be made, {'public' if public else 'private'}" if look is None else f"is there, {look.head[:12]}"
    files = {file.path: file.size for file in todo.changed}
    return Preview(name, state, [p.tag for p in todo.left], files, todo.gone, todo.card)
