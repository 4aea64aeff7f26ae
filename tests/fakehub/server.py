"""The server of the Hub of tests: what each request is answered.

The file is long because a visit is one class: what the Hub does for each kind of request, in one place.
"""

import base64
import hashlib
import json
import os
import re
import socket
import struct
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from tests.fakehub.card import read_card
from tests.fakehub.faults import Fault, Seen
from tests.fakehub.repository import ATTRIBUTES, REF, Commit, File, Repo, flipped

TOKEN = "hf_someone"  # the token of the user "someone", who may write


class User(NamedTuple):
    name: str
    writes: bool = True


class Request(NamedTuple):
    method: str
    target: str  # the path as it came, with the query
    headers: Mapping[str, str]  # by names in lower case
    body: bytes

    def __str__(self) -> str:
        return f"{self.method} {unquote(urlsplit(self.target).path)}"


class Reply(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    def raw(self, with_body: bool) -> bytes:
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}", f"Content-Length: {len(self.body)}"]
        lines += [f"{key}: {value}" for key, value in self.headers.items()]
        return "\r\n".join([*lines, "", ""]).encode() + (self.body if with_body else b"")


def as_json(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    return Reply(status, {"Content-Type": "application/json", **(headers or {})}, json.dumps(value, default=str).encode())


class Refused(Exception):
    """A request is answered with an error, as the Hub words it: with `more` in the body, and an error code or commit as header."""

    def __init__(self, status: int, message: str, code: str = "", commit: str = "", **more: Any) -> None:
        super().__init__(message)
        headers = {"X-Error-Message": message, "X-Error-Code": code, "X-Repo-Commit": commit}
        self.reply = as_json({"error": message, **more}, status, {key: text for key, text in headers.items() if text})


class Hub(ThreadingHTTPServer):
    """The server. Listings come in pages of `page` entries."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, page: int) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.page = page
        self.users: dict[str, User] | None = {TOKEN: User("someone")}  # by token; None: any token is good
        self.repos: dict[tuple[str, str], Repo] = {}  # by kind and id
        self.requests: list[Seen] = []
        self.faults: list[Fault] = []  # those that have not come yet
        self.crashes: list[Exception] = []  # of this server itself
        self.connections: set[socket.socket] = set()
        self._lock = threading.RLock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def repo(self, id: str, kind: str = "dataset") -> Repo:
        return self.repos[kind, id]

    def create(self, id: str, kind: str = "dataset", private: bool = False) -> Repo:
        """Return a new repository; as on the Hub its first commit holds .gitattributes."""
        repo = self.repos[kind, id] = Repo(id, kind, private)
        repo.commit({".gitattributes": ATTRIBUTES.encode()}, "initial commit", user=id.partition("/")[0])
        return repo

    def fail(self, *faults: Fault) -> None:
        with self._lock:
            self.faults += [replace(fault) for fault in faults]

    def count(self, glob: str = "*") -> int:
        """Return how many requests a glob over "METHOD /path" matched."""
        return sum(fnmatchcase(seen.request, glob) for seen in self.requests)

    def settle(self) -> None:
        """Wait until nothing is being carried out: a client that was killed may have asked for something."""
        while any(seen.status is None for seen in self.requests):
            time.sleep(0.001)

    def answer(self, request: Request) -> tuple[Reply | None, Fault | None]:
        """Carry out a request; return the reply (None: nothing was done) and what goes wrong."""
        with self._lock:
            fault, place = self._fault(str(request)), len(self.requests)
            self.requests.append(Seen(str(request), None, fault.what if fault else None))
        reply = None
        try:
            if fault and fault.what == "call" and fault.call() is False:  # without the lock: it may use the hub
                return None, fault
            with self._lock:
                reply = self._reply(request, fault)
        finally:
            self.requests[place] = self.requests[place]._replace(status=reply.status if reply else 0)
        return reply, fault

    def _reply(self, request: Request, fault: Fault | None) -> Reply | None:
        if fault and fault.what in ("429", "500", "503"):
            status = HTTPStatus(int(fault.what))
            wait = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
            return as_json({"error": status.phrase}, status.value, wait)
        if fault and fault.what == "reset" and fault.after is None:
            return None
        return _Visit(self, request, fault).reply()

    def _fault(self, request: str) -> Fault | None:
        """Return the fault whose turn it is; of several the others come with their next requests."""
        for fault in self.faults:
            fault.matched += fnmatchcase(request, fault.glob)
        due = (fault for fault in self.faults if fault.matched >= fault.at and fnmatchcase(request, fault.glob))
        found = next(due, None)
        self.faults = [fault for fault in self.faults if fault is not found]
        return found

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that is gone is no error, and a crash was kept."""


class _Connection(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        super().finish()

    def log_message(self, format: str, *words: object) -> None:
        """Say nothing: the hub keeps what it saw."""

    def carry_out(self) -> None:
        request = Request(self.command, self.path, {key.lower(): text for key, text in self.headers.items()}, self.read_body())
        try:
            reply, fault = self.server.answer(request)
        except Exception as crash:
            self.server.crashes.append(crash)
            raise
        raw = reply.raw(self.command != "HEAD") if reply else b""
        if fault and fault.what in ("reset", "lost"):
            raw, self.close_connection = raw[: fault.after or 0], True
        elif reply is None:
            self.close_connection = True
        self.wfile.write(raw)  # headers and body at once, or the client waits for a delayed acknowledgement
        if fault and fault.what == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())  # closed so, and not shut down first: RST instead of FIN

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = carry_out

    def read_body(self) -> bytes:
        """Return the body; raise ConnectionError if it ends too early: such a request is not carried out."""
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline() or b"0", 16):
            chunks.append(self.read(size))
            self.read(2)
        self.read(2)
        return b"".join(chunks)

    def read(self, size: int) -> bytes:
        data = self.rfile.read(size)
        if len(data) < size:
            raise ConnectionError("the client is gone")
        return data


# -- endpoints -------------------------------------------------------------------------------------------------------------

ROUTES = """
whoami     GET    /api/whoami-v2
validate   POST   /api/validate-yaml
create     POST   /api/repos/create
settings   PUT    /api/REPO/settings
info       GET    /api/REPO
info       GET    /api/REPO/revision/REV
refs       GET    /api/REPO/refs
commits    GET    /api/REPO/commits/REV
tree       GET    /api/REPO/tree/REV
tree       GET    /api/REPO/tree/REV/PATH
paths_info POST   /api/REPO/paths-info/REV
preupload  POST   /api/REPO/preupload/REV
commit     POST   /api/REPO/commit/REV
tag        POST   /api/REPO/tag/REV
untag      DELETE /api/REPO/tag/REV
branch     POST   /api/REPO/branch/REV
unbranch   DELETE /api/REPO/branch/REV
resolve    GET    /HOME/resolve/REV/PATH
batch      POST   /HOME.git/info/lfs/objects/batch
verify     POST   /HOME.git/info/lfs/objects/verify
upload     PUT    /lfs/REPO/PATH
"""
PARTS = {
    "REPO": "(?P<kind>datasets|models)/(?P<id>[^/]+/[^/]+)",
    "HOME": "((?P<kind>datasets)/)?(?P<id>[^/]+/[^/]+?)",
    "REV": "(?P<revision>[^/]+)",
    "PATH": "(?P<path>.+)",
}
FREE = ("whoami", "validate", "create", "paths_info", "upload")  # not GET, or without a repository: they write in none


def _route(line: str) -> tuple[str, re.Pattern[str]]:
    name, method, path = line.split()
    return name, re.compile(f"{method} " + re.sub("[A-Z]+", lambda word: PARTS[word[0]], path))


PATTERNS = [_route(line) for line in ROUTES.strip().splitlines()]


class _Visit:
    """One request, on its way to a reply. Its methods are the endpoints: they return the reply or raise Refused."""

    repo: Repo

    def __init__(self, hub: Hub, request: Request, fault: Fault | None) -> None:
        self.hub, self.request, self.fault = hub, request, fault
        self.what = fault.what if fault else None
        url = urlsplit(request.target)
        self.route = f"{request.method.replace('HEAD', 'GET')} {url.path}"
        self.query = {key: values[-1] for key, values in parse_qs(url.query).items()}
        self.user: User | None = None

    def reply(self) -> Reply:
        try:
            name, parts = self.find()
            if name != "upload":  # those links are signed: no token is sent to them
                self.user = self.who()
            self.revision, self.path = parts.get("revision") or "main", parts.get("path") or ""
            if id := parts.get("id"):
                self.repo = self.repository(parts.get("kind") or "models", id, signed=name == "upload")
            if name not in FREE and not self.route.startswith("GET"):
                self.may_write(self.repo.id)
            reply: Reply = getattr(self, name)()
        except Refused as refused:
            return refused.reply
        return reply

    def find(self) -> tuple[str, dict[str, str]]:
        """Return the name of the endpoint and the parts of the path."""
        for name, pattern in PATTERNS:
            if match := pattern.fullmatch(self.route):
                return name, {key: unquote(part) for key, part in match.groupdict().items() if part}
        raise Refused(404, "Sorry, we can't find the page you are looking for.")

    # -- who may do what

    def who(self) -> User | None:
        scheme, _, token = self.request.headers.get("authorization", "").partition(" ")
        if not scheme:
            return None
        user = User("someone") if self.hub.users is None else self.hub.users.get(token)
        if scheme != "Bearer" or user is None:
            raise Refused(401, "Invalid credentials in Authorization header")
        return user

    def repository(self, kinds: str, id: str, signed: bool) -> Repo:
        repo = self.hub.repos.get((kinds.removesuffix("s"), id))
        mine = signed or (self.user is not None and self.user.name == id.partition("/")[0])
        if repo is None or (repo.private and not mine):
            raise Refused(404 if self.user else 401, "Repository not found", code="RepoNotFound")
        return repo

    def may_write(self, id: str) -> User:
        if self.user is None:
            raise Refused(401, "Invalid username or password.")
        if not self.user.writes or self.user.name != id.partition("/")[0]:
            raise Refused(403, f"You don't have the rights to write {id}")
        return self.user

    def at(self, revision: str) -> Commit:
        if commit := self.repo.at(revision):
            return commit
        raise Refused(404, f"Invalid rev id: {revision}", code="RevisionNotFound")

    def json(self) -> Any:
        return json.loads(self.request.body)

    def asks(self, key: str) -> bool:
        return self.query.get(key, "").lower() in ("true", "1")

    # -- accounts, cards, repositories

    def whoami(self) -> Reply:
        if self.user is None:
            raise Refused(401, "Invalid username or password.")
        auth = {"type": "access_token", "accessToken": {"role": "write" if self.user.writes else "read"}}
        return as_json({"type": "user", "name": self.user.name, "fullname": self.user.name, "orgs": [], "auth": auth})

    def validate(self) -> Reply:
        _, errors, warnings = read_card(self.json()["content"])
        status = 400 if errors else 200
        if self.request.headers.get("accept") == "text/plain":
            lines = [f"- Error: {text}" for text in errors] + [f"- Warning: {text}" for text in warnings]
            return Reply(status, {"Content-Type": "text/plain"}, "\n".join(lines).encode())
        return as_json({"errors": messages(errors), "warnings": messages(warnings)}, status)

    def create(self) -> Reply:
        asked = self.json()
        kind, name = asked.get("type", "model"), asked["name"]
        id = f"{asked.get('organization') or (self.user or User('')).name}/{name}"
        self.may_write(id)
        if kind not in ("dataset", "model") or not re.fullmatch(r"(?!.*(--|\.\.|\.git$))\w([\w.-]{0,94}\w)?", name):
            raise Refused(400, f"Invalid type or name: {kind} {name}")
        url = self.hub.url + ("/datasets/" if kind == "dataset" else "/") + id
        if (kind, id) in self.hub.repos:
            raise Refused(409, f"You already created this {kind} repo", url=url)
        self.hub.create(id, kind, private(asked, False))
        return as_json({"url": url, "name": id})

    def settings(self) -> Reply:
        self.repo.private = private(self.json(), self.repo.private)
        return as_json({"private": self.repo.private})

    # -- reading

    def info(self) -> Reply:
        commit = self.at(self.revision)
        siblings: list[dict[str, Any]] = [{"rfilename": path} for path in sorted(commit.tree)]
        if self.asks("blobs"):
            siblings = [s | (file := commit.tree[s["rfilename"]]).about("sha256") | {"blobId": file.oid} for s in siblings]
        card = read_card(commit.tree.get("README.md", File(b"")).data.decode())[0]
        dates = {"createdAt": self.repo.history(commit.id)[-1].date, "lastModified": commit.date}
        about = {"id": self.repo.id, "author": self.repo.id.partition("/")[0], "sha": commit.id, "siblings": siblings}
        state = {"private": self.repo.private, "gated": False, "disabled": False, "downloads": 0, "likes": 0}
        return as_json({**about, **dates, **state, "tags": card.get("tags", []), "cardData": card})

    def refs(self) -> Reply:
        def listed(kind: str, refs: dict[str, str]) -> list[dict[str, str]]:
            return [{"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": id} for name, id in refs.items()]

        found = {"branches": listed("heads", self.repo.branches), "tags": listed("tags", self.repo.tags), "converts": []}
        return as_json(found | ({"pullRequests": []} if "include_prs" in self.query else {}))

    def commits(self) -> Reply:
        history = self.repo.history(self.at(self.revision).id)
        about = [{"id": c.id, "title": c.title, "message": c.message, "date": c.date} for c in history]
        return self.pages([facts | {"authors": [{"user": c.user}]} for facts, c in zip(about, history, strict=True)])

    def tree(self) -> Reply:
        commit = self.at(self.revision)
        entries = self.entries(commit, self.asks("expand"))
        if self.path and self.path not in entries:
            raise self.no_entry(commit)
        if self.path and entries[self.path]["type"] == "file":
            return self.pages([entries[self.path]])
        under = f"{self.path}/" if self.path else ""
        inside = [path for path in sorted(entries) if path.startswith(under)]
        return self.pages([entries[path] for path in inside if self.asks("recursive") or "/" not in path[len(under) :]])

    def paths_info(self) -> Reply:
        form = parse_qs(self.request.body.decode()) if b"=" in self.request.body else self.json()
        if len(form["paths"]) > 1000:
            raise Refused(413, "too many parameters")
        entries = self.entries(self.at(self.revision), form.get("expand") in (["true"], True))
        return as_json([entries[path.rstrip("/")] for path in form["paths"] if path.rstrip("/") in entries])

    def entries(self, commit: Commit, expand: bool) -> dict[str, dict[str, Any]]:
        """Return the files and folders of a commit by their paths, as listings show them."""
        found: dict[str, dict[str, Any]] = {}
        for path, file in commit.tree.items():
            found[path] = {"type": "file", "path": path, "oid": file.oid} | file.about("oid")
            for folder in map(str, list(PurePosixPath(path).parents)[:-1]):
                oid = hashlib.sha1(f"{commit.id} {folder}".encode()).hexdigest()
                found[folder] = {"type": "directory", "path": folder, "oid": oid, "size": 0}
        if expand:
            about = {"lastCommit": {"id": commit.id, "title": commit.title, "date": commit.date}}
            found = {path: entry | about for path, entry in found.items()}
        return found

    def pages(self, entries: list[dict[str, Any]]) -> Reply:
        """Reply with one page, and the link to the next one if there is more."""
        start = int(self.query.get("cursor", 0))
        end = start + min(int(self.query.get("limit", self.hub.page)), self.hub.page)
        target = urlsplit(self.request.target).path + "?" + urlencode(self.query | {"cursor": end})
        more = {"Link": f'<{self.hub.url}{target}>; rel="next"'} if end < len(entries) else {}
        return as_json(entries[start:end], headers=more)

    def resolve(self) -> Reply:
        commit = self.at(self.revision)
        file = commit.tree.get(self.path)
        if file is None:
            raise self.no_entry(commit)
        headers = {"X-Repo-Commit": commit.id, "ETag": f'"{file.etag}"', "Accept-Ranges": "bytes"}
        if file.lfs:
            headers |= {"X-Linked-Etag": f'"{file.sha256}"', "X-Linked-Size": str(len(file.data))}
        data, status = self.repo.stored(file), 200
        if asked := re.fullmatch(r"bytes=(\d*)-(\d*)", self.request.headers.get("range", "")):
            size = len(data)
            first = int(asked[1]) if asked[1] else max(0, size - int(asked[2]))
            last = min(int(asked[2]), size - 1) if asked[1] and asked[2] else size - 1
            headers["Content-Range"] = f"bytes {first}-{last}/{size}" if first <= last else f"bytes */{size}"
            data, status = data[first : last + 1], 206 if first <= last else 416
        return Reply(status, headers, flipped(data) if self.what == "wrong bytes" else data)

    def no_entry(self, commit: Commit) -> Refused:
        message = f"Entry not found: {self.path}"
        return Refused(404, message, code="EntryNotFound", commit=commit.id)

    # -- writing

    def preupload(self) -> Reply:
        tree = self.at(self.revision).tree
        answers: list[dict[str, Any]] = []
        for asked in self.json()["files"]:
            path = check_path(asked["path"])
            lfs = self.repo.wants_lfs(path, asked["size"], base64.b64decode(asked["sample"]))
            there = {"oid": tree[path].etag} if path in tree else {}
            answers.append({"path": path, "uploadMode": "lfs" if lfs else "regular", "shouldIgnore": False} | there)
        return as_json({"files": answers})

    def batch(self) -> Reply:
        asked = self.json()
        if (asked["operation"], asked["hash_algo"]) != ("upload", "sha256") or "basic" not in asked["transfers"]:
            raise Refused(400, "Only uploads by sha256 with basic transfers are known here")
        verify = self.hub.url + self.request.target.removesuffix("batch") + "verify"
        answers: list[dict[str, Any]] = []
        for wanted in asked["objects"]:
            upload = f"{self.hub.url}/lfs/{self.repo.kind}s/{self.repo.id}/{wanted['oid']}"
            there = wanted["oid"] in self.repo.objects
            answers.append(wanted | ({} if there else {"actions": {"upload": {"href": upload}, "verify": {"href": verify}}}))
            self.repo.promised[wanted["oid"]] = wanted["size"]
        return as_json({"transfer": "basic", "objects": answers})

    def upload(self) -> Reply:
        file = File(self.request.body, lfs=True)
        if file.sha256 != self.path or self.repo.promised.get(file.sha256) != len(file.data):
            raise Refused(400, "The bytes are not those that were announced: another sha256 or size")
        self.repo.objects[file.sha256] = file
        if self.what == "stored wrong":
            self.repo.damaged.add(file.sha256)
        return Reply(200, {}, b"")

    def verify(self) -> Reply:
        asked = self.json()
        file = self.repo.objects.get(asked["oid"])
        if file is None or len(file.data) != asked["size"]:
            raise Refused(404, f"There is no object {asked['oid']} of {asked['size']} bytes")
        return as_json({})

    def commit(self) -> Reply:
        repo, branch = self.repo, self.revision
        if branch not in repo.branches:
            raise Refused(404, f"Invalid rev id: {branch}", code="RevisionNotFound")
        if self.fault and self.what == "412":
            repo.commit(self.fault.files, branch=branch)
        parent = repo.commits[repo.branches[branch]]
        header, *lines = [json.loads(line) for line in self.request.body.splitlines()]
        if header["key"] != "header" or not header["value"]["summary"] or "create_pr" in self.query:
            raise Refused(400, "The first line must be a header with a summary; a pull request is not known here")
        if not parent.id.startswith(header["value"].get("parentCommit", "")):
            raise Refused(412, "A commit has happened since. Please refresh and try again.")
        changes: dict[str, File | None] = {}
        for line in lines:
            changes |= self.change(parent, line["key"], line["value"])
        self.check(changes, {path for path in parent.tree | changes if changes.get(path, path)})
        title, message = header["value"]["summary"], header["value"].get("description", "")
        id = repo.commit(changes, title, message=message, user=self.may_write(repo.id).name, branch=branch)
        regular = [file.sha256 for file in changes.values() if file and not file.lfs]
        if self.what == "stored wrong":
            repo.damaged.update(regular[:1])
        url = f"{self.hub.url}/{'datasets/' if repo.kind == 'dataset' else ''}{repo.id}/commit/{id}"
        return as_json({"success": True, "commitOid": id, "commitUrl": url, "hookOutput": ""})

    def change(self, parent: Commit, key: str, value: dict[str, Any]) -> dict[str, File | None]:
        """Return what one line of a commit writes (None: removes)."""
        path = check_path(value["path"].removesuffix("/") if key == "deletedFolder" else value["path"])
        if key == "file":
            data = base64.b64decode(value["content"], validate=True)
            if value["encoding"] != "base64" or self.repo.wants_lfs(path, len(data), data[:512]):
                raise Refused(400, f"Your push was rejected because it contains binary or large files: {path}")
            return {path: File(data)}
        if key == "lfsFile":
            file = self.repo.objects.get(value["oid"])
            if file is None or value["algo"] != "sha256" or value.get("size", len(file.data)) != len(file.data):
                raise Refused(
                    400, f"Your push was rejected because an LFS pointer pointed to a file that does not exist: {path}"
                )
            return {path: file}
        under = {"deletedFile": path, "deletedFolder": f"{path}/*"}[key]
        gone = [name for name in parent.tree if name == under or (under.endswith("/*") and name.startswith(under[:-1]))]
        if not gone:
            message = f"A file with this name doesn't exist: {path}"
            raise Refused(404, message, code="EntryNotFound", commit=parent.id)
        return dict.fromkeys(gone)

    def check(self, changes: dict[str, File | None], after: set[str]) -> None:
        """Refuse a commit whose tree could not be, or whose card is not valid."""
        if both := {str(folder) for path in after for folder in PurePosixPath(path).parents} & after:
            raise Refused(400, f"{min(both)} would be a file and a folder")
        readme = changes.get("README.md")
        if readme and (errors := read_card(readme.data.decode())[1]):
            raise Refused(400, "Invalid metadata in README.md", errors=messages(errors))

    def tag(self) -> Reply:
        commit, name, tags = self.at(self.revision), check_ref(self.json()["tag"]), self.repo.tags
        if self.fault and self.what == "409 tag" and name not in tags:
            tags[name] = self.repo.commit(self.fault.files, branch=None)
        if name in tags:
            raise Refused(409, f"Tag reference exists already: refs/tags/{name}")
        tags[name] = commit.id
        return as_json({})

    def branch(self) -> Reply:
        start, name = self.at(self.json().get("startingPoint", "main")), check_ref(self.revision)
        if name in self.repo.branches:
            raise Refused(409, f"Reference already exists: refs/heads/{name}")
        self.repo.branches[name] = start.id
        return as_json({})

    def untag(self) -> Reply:
        return self.remove(self.repo.tags)

    def unbranch(self) -> Reply:
        return self.remove({name: id for name, id in self.repo.branches.items() if name != "main"}, self.repo.branches)

    def remove(self, refs: dict[str, str], *others: dict[str, str]) -> Reply:
        if self.revision not in refs:
            raise Refused(404, f"Invalid rev id: {self.revision}", code="RevisionNotFound")
        for held in (refs, *others):
            del held[self.revision]
        return as_json({})


def messages(texts: list[str]) -> list[dict[str, str]]:
    return [{"message": text} for text in texts]


def private(asked: dict[str, Any], otherwise: bool) -> bool:
    """Read `visibility`, or `private` as clients below 2.0 send it."""
    found = asked.get("visibility", {True: "private", False: "public"}[asked.get("private", otherwise)])
    if found not in ("public", "private"):
        raise Refused(400, '"visibility" must be one of [public, private]')
    return bool(found == "private")


def check_path(path: str) -> str:
    if any(part in ("", ".", "..", ".git") for part in path.split("/")):
        raise Refused(400, f"Invalid path: {path!r}")
    return path


def check_ref(name: str) -> str:
    if not REF.fullmatch(name):
        raise Refused(400, f"Invalid reference name: {name!r}")
    return name
