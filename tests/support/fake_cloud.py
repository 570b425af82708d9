"""A server on loopback that stands for token services, metadata servers and stores: it answers as told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler

from tests.support.loopback import serving


@dataclass(frozen=True)
class Note:
    method: str
    path: str
    headers: Message
    body: str


@dataclass(frozen=True)
class Answer:
    body: bytes | str = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    after: float = 0  # seconds until the answer, cut short at the end of the test


@dataclass
class Cloud:
    """`answers` maps `METHOD path` (without the query) to an answer, or to a function of the request."""

    url: str
    answers: dict[str, Answer | Callable[[Note], Answer]] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)

    @property
    def asked(self) -> list[str]:
        return [f"{note.method} {note.path}" for note in self.notes]


@contextmanager
def serve_cloud() -> Iterator[Cloud]:
    """The server, until the context ends."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def do_PUT(self) -> None:
            self._answer()

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            note = Note(self.command, self.path, self.headers, body)
            cloud.notes.append(note)
            answer = cloud.answers.get(f"{self.command} {self.path.partition('?')[0]}", Answer(status=404))
            if not isinstance(answer, Answer):
                answer = answer(note)
            over.wait(answer.after)
            content = answer.body.encode() if isinstance(answer.body, str) else answer.body
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with serving(Handler) as host:
        cloud = Cloud(f"http://{host}")
        try:
            yield cloud
        finally:
            over.set()
