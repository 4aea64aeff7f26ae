"""A small Hugging Face Hub for tests: read-only, over HTTP, with one dataset or model repository served from a folder.

Strict where the real one is: an unknown repository, revision or file is a 404 with the Hub's error code.
"""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit


class Hub(ThreadingHTTPServer):
    """Serves `folder` as the dataset or model `repo`, whose only commit is `revision` (also the branch main)."""

    daemon_threads = True

    def __init__(self, repo: str, revision: str, folder: Path, kind: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repo, self.revision, self.folder = repo, revision, folder
        self.api, self.files_at = f"/api/{kind}s/{repo}", f"/datasets/{repo}" if kind == "dataset" else f"/{repo}"
        self.requests: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def files(self) -> list[Path]:
        return sorted(file for file in self.folder.rglob("*") if file.is_file())


@contextmanager
def serving(repo: str, revision: str, folder: Path, kind: str = "dataset") -> Iterator[Hub]:
    """Yield a hub that answers until the block ends."""
    hub = Hub(repo, revision, folder, kind)
    thread = threading.Thread(target=hub.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *words: object) -> None:
        self.server.requests.append(format % words)

    def do_GET(self) -> None:
        self.answer()

    def do_HEAD(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer(body)

    def answer(self, body: bytes = b"") -> None:
        path = unquote(urlsplit(self.path).path)
        api, resolve = self.server.api, f"{self.server.files_at}/resolve/"
        if path.startswith(resolve):
            revision, _, name = path.removeprefix(resolve).partition("/")
            if self.known(revision):
                self.file(name)
        elif path == api or path.startswith(f"{api}/"):
            what, _, rest = path.removeprefix(api).lstrip("/").partition("/")
            revision, _, name = rest.partition("/")
            if not self.known(revision or "main"):
                return
            if what in ("", "revision"):
                siblings = [{"rfilename": str(f.relative_to(self.server.folder))} for f in self.server.files()]
                self.send_json(
                    {"id": self.server.repo, "sha": self.server.revision, "siblings": siblings, "private": False, "tags": []}
                )
            elif what == "tree":
                self.tree(name)
            elif what == "paths-info":
                asked = parse_qs(body.decode())["paths"] if b"=" in body else json.loads(body)["paths"]
                self.send_json([self.entry(path) for name in asked if (path := self.server.folder / name).exists()])
            else:
                self.missing("EntryNotFound")
        else:
            self.missing("RepoNotFound")

    def known(self, revision: str) -> bool:
        if revision in ("main", self.server.revision):
            return True
        self.missing("RevisionNotFound")
        return False

    def tree(self, name: str) -> None:
        folder = self.server.folder / name
        if not folder.is_dir():
            self.missing("EntryNotFound")
            return
        recursive = parse_qs(urlsplit(self.path).query).get("recursive", ["false"])[0].lower() in ("true", "1")
        self.send_json([self.entry(path) for path in sorted(folder.rglob("*") if recursive else folder.iterdir())])

    def entry(self, file: Path) -> dict[str, object]:
        name = str(file.relative_to(self.server.folder))
        if file.is_dir():
            return {"type": "directory", "path": name, "oid": hashlib.sha1(name.encode()).hexdigest()}
        data = file.read_bytes()
        return {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}

    def file(self, name: str) -> None:
        file = self.server.folder / name
        if not file.is_file():
            self.missing("EntryNotFound")
            return
        data = file.read_bytes()
        self.send_response(200)
        self.send_header("ETag", f'"{hashlib.sha1(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", self.server.revision)
        self.send_body(data)

    def send_json(self, value: object) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_body(json.dumps(value).encode())

    def missing(self, code: str) -> None:
        self.send_response(404)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", code)
        if code == "EntryNotFound":
            self.send_header("X-Repo-Commit", self.server.revision)
        self.send_body(b"{}")

    def send_body(self, data: bytes) -> None:
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
