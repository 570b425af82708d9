"""A web server on loopback that serves files as told, counts requests, and serves git repositories."""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from tests.support.loopback import serving


@dataclass(frozen=True)
class Page:
    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    claimed: int | None = None  # a Content-Length that is not the body's


@dataclass
class Web:
    """`pages` maps a path to a page, or to a function that gives one for the number of the request (from 1)."""

    url: str
    pages: dict[str, Page | Callable[[int], Page]] = field(default_factory=dict)
    repositories: Path | None = None
    credentials: str = ""
    requests: list[str] = field(default_factory=list)
    authorizations: list[str] = field(default_factory=list)


@contextmanager
def serve_web() -> Iterator[Web]:
    """The server, until the context ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            web.requests.append(path)
            if ".git/" in path:
                self._serve_git()
                return
            page = web.pages.get(path, Page(status=404))
            if not isinstance(page, Page):
                page = page(web.requests.count(path))
            self._answer(page)

        def do_POST(self) -> None:
            self.do_GET()

        def do_HEAD(self) -> None:
            self.do_GET()

        def _answer(self, page: Page) -> None:
            self.send_response(page.status)
            for name, value in page.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(page.body) if page.claimed is None else page.claimed))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(page.body)

        def _serve_git(self) -> None:
            given = self.headers.get("Authorization", "")
            web.authorizations.append(given)
            if web.credentials and given != f"Basic {base64.b64encode(web.credentials.encode()).decode()}":
                self._answer(Page(status=401, headers={"WWW-Authenticate": 'Basic realm="git"'}))
                return
            path, _, query = self.path.partition("?")
            environment = {
                "PATH": os.environ["PATH"],
                "GIT_PROJECT_ROOT": str(web.repositories),
                "GIT_HTTP_EXPORT_ALL": "1",
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": "safe.directory",
                "GIT_CONFIG_VALUE_0": "*",
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            }
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            done = subprocess.run(
                ["git", "http-backend"], input=body, env=environment, capture_output=True, check=True
            )
            head, _, content = done.stdout.partition(b"\r\n\r\n")
            fields = dict(line.split(": ", 1) for line in head.decode().splitlines())
            self._answer(Page(content, int(fields.pop("Status", "200").split()[0]), fields))

        def log_message(self, *_: object) -> None:
            pass

    with serving(Handler) as host:
        web = Web(f"http://{host}")
        yield web


def make_repository(path: Path, files: Mapping[str, str], *, tag: str = "", branch: str = "main") -> str:
    """Add a commit with `files` to the bare repository at `path`, made when missing. Returns the commit."""
    if not path.exists():
        subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", path], check=True)
        _git(path, "config", "uploadpack.allowAnySHA1InWant", "true")
    index = {"GIT_INDEX_FILE": str(path / "work-index")}
    for name, content in files.items():
        blob = _git(path, "hash-object", "-w", "--stdin", text=content)
        _git(path, "update-index", "--add", "--cacheinfo", f"100644,{blob},{name}", **index)
    tree = _git(path, "write-tree", **index)
    parent = _git(path, "for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}")
    commit = _git(path, "commit-tree", "-m", "a commit", *(["-p", parent] if parent else []), tree)
    _git(path, "update-ref", f"refs/heads/{branch}", commit)
    if tag:
        _git(path, "update-ref", f"refs/tags/{tag}", commit)
    return commit


def _git(repository: Path, *arguments: str, text: str = "", **environment: str) -> str:
    identity = {f"GIT_{role}_{what}": "a@b" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    return subprocess.run(
        ["git", f"--git-dir={repository}", *arguments],
        input=text,
        env={**os.environ, **identity, **environment},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
