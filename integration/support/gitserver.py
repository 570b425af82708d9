"""Git repositories over smart HTTP on loopback, by git's own CGI program."""

from __future__ import annotations

import contextlib
import http.server
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from integration.support.programs import run
from integration.support.recipes import PAST, Node, make_files
from tests.support.loopback import serving

_BACKEND = "/usr/lib/git-core/git-http-backend"


def make_repository(folder: Path, commits: Mapping[str, Mapping[str, Node]]) -> Path:
    """A bare repository `folder` whose branch `main` has a commit, tagged with its name, for each recipe.

    Author, times and so the commit ids are the same on every machine.
    """
    person = {"NAME": "Tester", "EMAIL": "tester@example.com", "DATE": f"@{PAST} +0000"}
    env = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in person.items()}
    env = {**os.environ, **env, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    tree = folder.with_suffix(".tree")
    run(["git", "init", "--quiet", "--initial-branch=main", tree], env=env)
    for name, files in commits.items():
        make_files(tree, files)
        for words in (["add", "--all"], ["commit", "--quiet", f"--message={name}"], ["tag", name]):
            run(["git", "-C", tree, *words], env=env)
    run(["git", "clone", "--quiet", "--bare", tree, folder], env=env)
    run(["git", "-C", folder, "config", "uploadpack.allowAnySHA1InWant", "true"], env=env)
    return folder


class _Backend(http.server.BaseHTTPRequestHandler):
    """Hands each request to git-http-backend. `root` and `token` are set on a subclass."""

    root: Path
    token: str = ""
    protocol_version = "HTTP/1.0"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """A request without a body."""
        self._answer(b"")

    def do_POST(self) -> None:
        """A request with a body."""
        self._answer(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

    def _answer(self, body: bytes) -> None:
        if self.token and self.token not in (self.headers.get("Authorization") or ""):
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.end_headers()
            return
        done = subprocess.run([_BACKEND], input=body, env=self._environment(), capture_output=True, check=True)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        fields = [line.partition(": ")[::2] for line in head.decode().split("\r\n")]
        self.send_response(next((int(value[:3]) for name, value in fields if name == "Status"), 200))
        for name, value in fields:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _environment(self) -> dict[str, str]:
        url = urlsplit(self.path)
        return {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol") or "",
            "PATH_INFO": url.path,
            "QUERY_STRING": url.query,
            "REQUEST_METHOD": self.command,
            "REMOTE_ADDR": "127.0.0.1",
            "CONTENT_TYPE": self.headers.get("Content-Type") or "",
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding") or "",
        }


@contextlib.contextmanager
def serve_git(folder: Path, *, token: str = "") -> Iterator[str]:
    """Serve the repositories in `folder` and yield `127.0.0.1:port`.

    `token`, when given, is the Base64 of `user:password` that requests must show.
    """
    handler = type("Handler", (_Backend,), {"root": folder, "token": token})
    with serving(handler) as host:
        yield host
