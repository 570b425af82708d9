"""HTTP/1.1 with servers that are reached directly, over connections that are kept for the next request.

Nearly every build does without proxies, and without importing `requests`, which takes longer than a small build's
own work: `proxied` has it for the rest.
"""

from __future__ import annotations

import select
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sized
from itertools import chain
from typing import TYPE_CHECKING, Protocol, Self, TypeAlias
from urllib.parse import SplitResult, urlsplit

from executor.registry.wire import HttpAnswer, HttpConnection

if TYPE_CHECKING:
    from ssl import SSLContext

CONNECT_SECONDS = 20.0
KEPT_CONNECTIONS = 16
"""As many as threads use at once."""

_WITH_BODY = ("PATCH", "POST", "PUT")
"""Methods that say so when they have none (RFC 9110, 8.6)."""


_TLS_ENDED = 8  # ssl.SSL_ERROR_EOF

_Idle: TypeAlias = dict[tuple[str, str], list[HttpConnection]]
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
        """`size` bytes of the body as they came over the wire, fewer at its end. Raises OSError."""

    def read_some(self, size: int, /) -> bytes:
        """What has come of the body, up to `size` bytes, b'' at its end; waits for the first. Raises OSError."""

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
        """Send a request; the body of the answer is unread. Raises OSError, also after `silence` s."""
        parts = urlsplit(url)
        sent = dict(headers)
        is_growing = not (body is None or isinstance(body, Sized))
        if is_growing:
            sent["Transfer-Encoding"] = "chunked"
        elif isinstance(body, Sized) or method in _WITH_BODY:
            sent["Content-Length"] = str(len(body) if isinstance(body, Sized) else 0)
        connection = self._take(parts)
        try:
            connection.sock.settimeout(silence)
            try:
                connection.send(method, _target(parts), sent, body, chunked=is_growing)
            except OSError as error:  # it may have answered before it had everything, with a TLS alert too
                if not isinstance(error, BrokenPipeError | ConnectionResetError) and error.errno != _TLS_ENDED:
                    raise
            answer = connection.answer(method)
        except BaseException:
            connection.close()
            raise
        return DirectResponse(url, answer, lambda: self._keep(parts, connection), connection.close)

    def close(self) -> None:
        """Close idle connections."""
        with self._lock:
            _close(self._idle)

    def _take(self, parts: SplitResult) -> HttpConnection:
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

    def _keep(self, parts: SplitResult, connection: HttpConnection) -> None:
        with self._lock:
            kept = self._idle.setdefault((parts.scheme, parts.netloc), [])
            if len(kept) < KEPT_CONNECTIONS:
                kept.append(connection)
                return
        connection.close()

    def _connect(self, parts: SplitResult) -> HttpConnection:
        context = None if parts.scheme == "http" else self._tls()
        return HttpConnection(parts.hostname or "", parts.port, CONNECT_SECONDS, context)

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
        self, url: str, answer: HttpAnswer, keep: Callable[[], None], give_up: Callable[[], None]
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
        return self._answer.read(size)

    def read_some(self, size: int, /) -> bytes:
        """See `Response.read_some`."""
        return self._answer.read_some(size)

    def close(self) -> None:
        """See `Response.close`."""
        if self._closed:
            return
        self._closed = True
        self._answer.close()
        if self._answer.ended and self._answer.persists:
            self._keep()
        else:
            self._give_up()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class _Headers:
    """See `Headers`."""

    def __init__(self, answer: HttpAnswer) -> None:
        self._fields = answer.headers

    def get(self, name: str, default: str, /) -> str:
        wanted = name.lower()
        found = [value for each, value in self._fields if each == wanted]
        return ", ".join(found) if found else default


def _target(parts: SplitResult) -> str:
    """What the request line asks for."""
    path = parts.path or "/"
    return f"{path}?{parts.query}" if parts.query else path


def _has_ended(connection: HttpConnection) -> bool:
    """Whether there is something to read: on an idle connection that is its end."""
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return bool(poll.poll(0))
