"""HTTP/1.1 with servers that are reached directly, over connections that are kept for the next request.

Nearly every build does without proxies, and without importing `requests`, which takes longer than a small build's
own work: `proxied` has it for the rest.
"""

from __future__ import annotations

import select
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sized
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, IncompleteRead
from itertools import chain
from typing import TYPE_CHECKING, Protocol, Self, TypeAlias
from urllib.parse import SplitResult, urlsplit

if TYPE_CHECKING:
    from ssl import SSLContext

CONNECT_SECONDS = 20.0
KEPT_CONNECTIONS = 16
"""As many as threads use at once."""

FAILURES = (OSError, HTTPException)
"""What is raised when there is no answer, or not all of it; also by `requests`, whose exceptions are OSErrors."""


_TLS_ENDED = 8  # ssl.SSL_ERROR_EOF

_Idle: TypeAlias = dict[tuple[str, str], list[HTTPConnection]]
"""By scheme and server."""


class StreamedBody(Protocol):
    """A request body of known length that can be iterated anew for each try."""

    def __len__(self) -> int:
        """The length in bytes."""

    def __iter__(self) -> Iterator[bytes]:
        """The bytes, from the start."""


class GrowingBody(Protocol):
    """One of unknown length, which is sent in chunks (RFC 9112, 7.1)."""

    def __iter__(self) -> Iterator[bytes]:
        """The bytes, from the start."""


Body = bytes | StreamedBody | GrowingBody | None


class Headers(Protocol):
    """The headers of an answer; several of one name are one with commas (RFC 9110, 5.3)."""

    def get(self, name: str, default: str, /) -> str:
        """The value of `name`, in whatever case that was sent."""


class Response(Protocol):
    """An answer whose body is not yet read. Close it, or leave its context, to give the connection back."""

    @property
    def url(self) -> str:
        """What was asked for."""

    @property
    def status_code(self) -> int:
        """The status."""

    @property
    def headers(self) -> Headers:
        """The headers."""

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes of the body as they came over the wire; b'' at its end. Raises one of FAILURES."""

    def close(self) -> None:
        """Give the connection back, or up where some of the body is unread."""

    def __enter__(self) -> Self:
        """The answer itself."""

    def __exit__(self, *exc: object) -> None:
        """Close it."""


class Connections:
    """Connections to the servers that a registry leads to. Safe for several threads.

    `make_context` is called once, before the first connection with TLS.
    """

    def __init__(self, make_context: Callable[[], SSLContext]) -> None:
        self._make_context = make_context
        self._context: SSLContext | None = None
        self._idle: _Idle = {}
        self._lock = threading.Lock()
        weakref.finalize(self, _close, self._idle)  # whoever drops a client needs no connection any more

    def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: Body, silence: float
    ) -> DirectResponse:
        """Send a request; the body of the answer is unread. Raises one of FAILURES, also after `silence` s."""
        parts = urlsplit(url)
        sent = dict(headers)
        is_growing = not (body is None or isinstance(body, Sized))
        if is_growing:
            sent["Transfer-Encoding"] = "chunked"
        elif isinstance(body, Sized):
            sent["Content-Length"] = str(len(body))
        connection = self._take(parts)
        try:
            connection.sock.settimeout(silence)
            try:
                connection.request(method, _target(parts), body=body, headers=sent, encode_chunked=is_growing)
            except OSError as error:  # it may have answered before it had everything, with a TLS alert too
                if not isinstance(error, BrokenPipeError | ConnectionResetError) and error.errno != _TLS_ENDED:
                    raise
            answer = connection.getresponse()
        except BaseException:
            connection.close()
            raise
        return DirectResponse(url, answer, lambda: self._keep(parts, connection), connection.close)

    def close(self) -> None:
        """Close idle connections."""
        with self._lock:
            _close(self._idle)

    def _take(self, parts: SplitResult) -> HTTPConnection:
        """A kept connection that the server has not closed meanwhile, else a new one."""
        while True:
            with self._lock:
                kept = self._idle.get((parts.scheme, parts.netloc))
                connection = kept.pop() if kept else None
            if connection is None:
                return self._connect(parts)
            if not _has_ended(connection):
                return connection
            connection.close()

    def _keep(self, parts: SplitResult, connection: HTTPConnection) -> None:
        with self._lock:
            kept = self._idle.setdefault((parts.scheme, parts.netloc), [])
            if len(kept) < KEPT_CONNECTIONS:
                kept.append(connection)
                return
        connection.close()

    def _connect(self, parts: SplitResult) -> HTTPConnection:
        host = parts.hostname or ""
        connection = (
            HTTPConnection(host, parts.port, CONNECT_SECONDS)
            if parts.scheme == "http"
            else HTTPSConnection(host, parts.port, timeout=CONNECT_SECONDS, context=self._tls())
        )
        connection.connect()
        return connection

    def _tls(self) -> SSLContext:
        with self._lock:
            if self._context is None:
                self._context = self._make_context()
            return self._context


def _close(idle: _Idle) -> None:
    for connection in chain.from_iterable(idle.values()):
        connection.close()
    idle.clear()


class DirectResponse:
    """See `Response`. `keep` takes the connection for further requests, `give_up` closes it."""

    def __init__(
        self, url: str, answer: HTTPResponse, keep: Callable[[], None], give_up: Callable[[], None]
    ) -> None:
        self.url = url
        self.status_code = answer.status
        self.headers = _Headers(answer)
        self._answer = answer
        self._keep = keep
        self._give_up = give_up
        self._closed = False

    def read(self, size: int, /) -> bytes:
        """See `Response.read`."""
        data = self._answer.read(size)
        if not data and size and self._answer.length:
            raise IncompleteRead(b"", self._answer.length)
        return data

    def close(self) -> None:
        """See `Response.close`."""
        if self._closed:
            return
        self._closed = True
        answer = self._answer
        if answer.length == 0:
            answer.read()  # of nothing: then it knows that it is at its end
        if answer.isclosed() and not answer.length and not answer.will_close:
            self._keep()
        else:
            answer.close()
            self._give_up()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class _Headers:
    """See `Headers`."""

    def __init__(self, answer: HTTPResponse) -> None:
        self._message = answer.headers

    def get(self, name: str, default: str, /) -> str:
        found = self._message.get_all(name)
        return ", ".join(found) if found else default


def _target(parts: SplitResult) -> str:
    """What the request line asks for."""
    path = parts.path or "/"
    return f"{path}?{parts.query}" if parts.query else path


def _has_ended(connection: HTTPConnection) -> bool:
    """Whether there is something to read: on an idle connection that is its end."""
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return bool(poll.poll(0))
