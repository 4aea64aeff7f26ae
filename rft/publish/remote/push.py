"""`rft push`: put artifacts into a repository of the Hub so that readers see all of it or nothing.

One commit, read back byte for byte, then a tag on it for each artifact. A pass looks at what is there and does what is
missing; so the passes after a failure, in this run or in the next, need to know nothing of the one that failed.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from pydantic import ValidationError

from registry.errors import Conflict, RemoteError, UsageError
from registry.hub_client import said
from registry.retries import TRIES, tries, worth_another_look
from registry.store.record import Record
from registry.text import number, size
from rft.publish.card.card import license_note
from rft.publish.card.card import readme as card_of
from rft.publish.remote.layout import STATISTICS_CONFIG, Publication, record_path
from rft.publish.remote.repository import README, File, Look, Repository, check_repository, remote_errors

Say = Callable[[str], None]

RESUME = "Nothing was tagged that was not read back whole; the same command goes on from there."


@dataclass
class Pushed:
    """What a push did: the files that it sent, the tags that it set, and the commit that they are on.

    Without new tags `commit` is the repository's head.
    """

    repository: str
    commit: str = ""
    files: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)

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
    say: Say = lambda text: None,
    passes: int = TRIES,
) -> Pushed:
    """Publish artifacts in the dataset repository `name`, which is made (private, unless `public`) if it is not there.

    Raises Conflict if a tag means other content or a newer version is there, UsageError if the names do not go together or
    the repository is public and that was not said, InputError for a README that cannot be merged, RemoteError if the Hub
    cannot be reached, refuses, or gives back other bytes than it was given. What was done stays; the next push goes on.
    """
    check_names(publications, name)
    done = Pushed(name)
    with remote_errors(f"pushing to {name}", RESUME):
        repository = Repository(name)
        for attempt in tries(_again(say), passes):
            with attempt:
                _pass(repository, publications, public, say, done)
    return done


def check_names(publications: Sequence[Publication], repository: str) -> None:
    """Raise UsageError if two artifacts would lie in one folder, or a name cannot be one."""
    check_repository(repository)
    names = [p.name for p in publications]
    if twice := [str(p.id) for p in publications if names.count(p.name) > 1]:
        raise UsageError(f"{' and '.join(twice)} are versions of one name. Push one after the other, the older first.")
    if STATISTICS_CONFIG in names:
        raise UsageError(
            f"a repository's config {STATISTICS_CONFIG} is a table about all artifacts. Call this one something else."
        )


def _again(say: Say) -> Callable[[Exception], bool | float]:
    def again(error: Exception) -> bool | float:
        wait = worth_another_look(error)
        if wait is not False:
            say(f"{said(error)}: looking again")
        return wait

    return again


class _Todo(NamedTuple):
    """What is missing: artifacts without their tag, the files their commit must hold, those that must change, those to go."""

    left: list[Publication]
    wanted: list[File]
    changed: list[File]
    gone: list[str]
    card: str


def _todo(repository: Repository, look: Look | None, publications: Sequence[Publication]) -> _Todo:
    there = repository.files(look.head) if look else {}
    left, shown, sent = [], [], []
    for publication in publications:
        newest = _record(repository, publication, look.head) if look and record_path(publication.name) in there else None
        tagged = look is not None and is_published(repository, look, publication)
        if newest is not None and newest.version > publication.id.version:
            if not tagged:
                raise _older(repository, newest, publication)
            continue  # main tells of the newer one
        shown.append(publication)
        if not tagged:
            left.append(publication)
        if not tagged or newest is None or newest.content != publication.content:  # others may have pushed meanwhile
            sent.append(publication)
    if not shown:
        return _Todo([], [], [], [], "")
    readme = repository.readme(look.head) if look and README in there else None
    card = card_of(repository.name, [p.about for p in shown], readme)
    wanted = [file for p in sent for file in p.files] + [File(README, card.encode())]
    paths, folders = {file.path for file in wanted}, {p.name for p in sent}
    gone = [path for path in there if path.partition("/")[0] in folders and path not in paths]
    return _Todo(left, wanted, [file for file in wanted if not file.is_same(there.get(file.path))], gone, card)


def _pass(repository: Repository, publications: Sequence[Publication], public: bool, say: Say, done: Pushed) -> None:
    look = repository.look() or repository.create(private=not public)
    check_visibility(repository.name, look, public)
    todo = _todo(repository, look, publications)
    done.commit = look.head
    if todo.changed or todo.gone:
        say(f"sending {number(len(todo.changed), 'file')}, {size(sum(file.size for file in todo.changed))}")
        done.files = [*dict.fromkeys([*done.files, *(file.path for file in todo.changed)])]
        done.commit = repository.commit(todo.changed, todo.gone, look.head, _message(todo.left))
    if todo.card and (note := license_note(todo.card, [p.about for p in publications])):
        say(note)
    if todo.left or todo.changed:
        say(f"reading {number(len(todo.wanted), 'file')} back")
        repository.read_back(todo.wanted, done.commit)
    for publication in todo.left:
        if publication.tag not in done.tags:  # its reply may be lost, and the next pass finds it there
            done.tags.append(publication.tag)
        repository.tag(publication.tag, done.commit)


def _message(left: Sequence[Publication]) -> str:
    return f"Add {', '.join(str(p.id) for p in left)}" if left else "Bring the card up to date"


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


def _record(repository: Repository, publication: Publication, commit: str) -> Record | None:
    """Return the record of the artifact that a commit holds under this name, or None."""
    from huggingface_hub.errors import RemoteEntryNotFoundError

    try:
        return Record.model_validate_json(repository.read(record_path(publication.name), commit))
    except RemoteEntryNotFoundError:
        return None
    except ValidationError as error:
        raise RemoteError(
            f"{record_path(publication.name)} of {repository.name} at {commit[:12]} is damaged. Mend it there, or push to another repository."
        ) from error


def _older(repository: Repository, newest: Record, publication: Publication) -> Conflict:
    return Conflict(
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
    check_names(publications, name)
    with remote_errors(f"looking at {name}", "Nothing was changed."):
        repository = Repository(name)
        look = repository.look()
        if look is not None:
            check_visibility(name, look, public)
        todo = _todo(repository, look, publications)
    state = f"would be made, {'public' if public else 'private'}" if look is None else f"is there, {look.head[:12]}"
    files = {file.path: file.size for file in todo.changed}
    return Preview(name, state, [p.tag for p in todo.left], files, todo.gone, todo.card if files else "")
