"""A server for tests that must look at a build between two steps: it answers when the test has looked.

GET /NAME    calls `on_pass(NAME)`, then answers with a file that is always the same
/v2/…        a registry that lets uploads begin and refuses every one: a push that fails after the build
"""

from __future__ import annotations

import contextlib
import http.server
import threading
from collections.abc import Callable, Iterator

from tests.support.loopback import serving

_PAST = "Sat, 03 Feb 2001 04:05:06 GMT"


@contextlib.contextmanager
def serve_gate(on_pass: Callable[[str], None]) -> Iterator[str]:
    """Serve on loopback and yield `127.0.0.1:port`. `on_pass` is called from one thread at a time."""

    class Handler(_Handler):
        passing = staticmethod(on_pass)

    with serving(Handler) as host:
        yield host


class _Handler(http.server.BaseHTTPRequestHandler):
    passing: Callable[[str], None]
    lock = threading.Lock()

    def do_GET(self) -> None:
        if self.path.startswith("/v2/"):
            self._answer(200 if self.path == "/v2/" else 404)
            return
        with self.lock:
            self.passing(self.path.removeprefix("/"))
        self._answer(200, b"passed\n", {"Last-Modified": _PAST})

    def do_HEAD(self) -> None:
        self._answer(404)

    def do_POST(self) -> None:
        self._answer(202, headers={"Location": f"{self.path}upload", "Docker-Upload-UUID": "upload"})

    def do_PUT(self) -> None:
        self._refuse()

    def do_PATCH(self) -> None:
        self._refuse()

    def do_DELETE(self) -> None:
        self._answer(204)

    def _refuse(self) -> None:
        self.close_connection = True  # the upload is not read
        self._answer(403, b'{"errors": [{"code": "DENIED", "message": "not today"}]}', {"Connection": "close"})

    def _answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
