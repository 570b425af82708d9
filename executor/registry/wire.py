"""HTTP/1.1 on one connection as a client needs it (RFC 9112): requests written, answers read.

The standard library's http.client brings the mail package to read headers, and with it calendars, locales and
random numbers: a tenth of what a small build imports.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from io import BufferedReader
    from ssl import SSLContext

_PORTS = {"http": 80, "https": 443}
_LONGEST_LINE = 64 * 1024
_MOST_HEADERS = 100
_MOST_PROVISIONAL = 10
"""Answers of status 1xx before the one that counts."""
_SENT_AT_ONCE = 16 * 1024
"""Bytes of a body up to which it goes out with the head."""
_LINE_ENDS = "\r\n\0"
_HEXADECIMAL = b"0123456789abcdefABCDEF"
_MOST_DIGITS = 18


class ProtocolError(OSError):
    """What came is no answer, or not all of it; or what was to be sent is no request."""


def connected(host: str, port: int, seconds: float) -> socket.socket:
    """A TCP connection, made within `seconds`. Raises OSError."""
    # a name as bytes where that goes: for text Python imports the rules for names in other scripts
    name = host.encode("ascii") if host.isascii() else host
    return socket.create_connection((name, port), seconds)  # type: ignore[arg-type]


class HttpConnection:
    """A connection to a server. Raises OSError where it cannot be made. One request at a time."""

    def __init__(self, host: str, port: int | None, seconds: float, context: SSLContext | None) -> None:
        """With a `context` by TLS. `seconds` is how long connecting may take."""
        scheme = "https" if context else "http"
        self.sock = connected(host, port or _PORTS[scheme], seconds)
        try:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if context:
                self.sock = context.wrap_socket(self.sock, server_hostname=host)
        except BaseException:
            self.sock.close()
            raise
        name = f"[{host}]" if ":" in host else host
        self._host = f"{name}:{port}" if port and port != _PORTS[scheme] else name

    def send(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | Iterable[bytes] | None,
        *,
        chunked: bool = False,
    ) -> None:
        """Send a request; the headers say how long its body is, or that it is `chunked`. Raises OSError."""
        fields = {"Host": self._host, **headers}
        if any(mark in text for pair in fields.items() for text in pair for mark in _LINE_ENDS):
            raise ProtocolError("a header has more than one line")
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
        try:
            head = "\r\n".join(lines).encode("latin-1")
        except UnicodeEncodeError:
            raise ProtocolError("a header has letters that cannot be sent") from None
        if isinstance(body, bytes):
            if len(body) <= _SENT_AT_ONCE:
                head, body = head + body, b""
            body = (body,) if body else ()
        self.sock.sendall(head)
        for block in _pieces(body or ()) if chunked else body or ():
            self.sock.sendall(block)

    def answer(self, method: str) -> HttpAnswer:
        """The answer to the request that was sent, its body unread. Raises OSError, and ProtocolError."""
        return HttpAnswer(self.sock.makefile("rb"), method)

    def close(self) -> None:
        """Give it up."""
        self.sock.close()


class HttpAnswer:
    """Status, headers and body of an answer; closes `stream` with its end."""

    def __init__(self, stream: BufferedReader, method: str) -> None:
        self._stream = stream
        try:
            version, self.status, self.headers = self._head()
            self._chunked = "chunked" in _words(self.headers, "transfer-encoding")
            self._left = self._length(method)
        except BaseException:
            stream.close()
            raise
        self._ended = False
        options = _words(self.headers, "connection")
        self.persists = "close" not in options and (version != "HTTP/1.0" or "keep-alive" in options)
        """Whether the server keeps the connection (RFC 9112, 9.3)."""
        if self._left is None:
            self.persists = False
        elif not self._left and not self._chunked:
            self._end()

    @property
    def ended(self) -> bool:
        """Whether all of it was read."""
        return self._ended

    def read(self, size: int) -> bytes:
        """`size` bytes of the body, fewer at its end. Raises ProtocolError where the server ended it early."""
        if self._chunked:
            return self._read_chunks(size)
        return self._read(size, self._stream.read)

    def read_some(self, size: int) -> bytes:
        """What has come of the body, up to `size` bytes, b'' at its end; waits for the first. Raises as `read`."""
        if self._chunked and not self._left and not self._ended:
            self._begin_chunk()
        data = self._read(size, self._stream.read1)
        if self._chunked and data and not self._left:
            self._line()
        return data

    def close(self) -> None:
        """Read no more of it."""
        self._stream.close()

    def _read(self, size: int, read: Callable[[int], bytes]) -> bytes:
        if self._ended or not size:
            return b""
        data = read(size if self._left is None else min(size, self._left))
        if self._left is None:
            if not data:
                self._end()
            return data
        if not data:
            raise ProtocolError("the answer ended early")
        self._left -= len(data)
        if not self._left and not self._chunked:
            self._end()
        return data

    def _end(self) -> None:
        self._ended = True
        self._stream.close()

    def _read_chunks(self, size: int) -> bytes:
        pieces: list[bytes] = []
        while size and not self._ended:
            if not self._left:
                self._begin_chunk()
                continue
            data = self._stream.read(min(size, self._left))
            if not data:
                break
            pieces.append(data)
            size -= len(data)
            self._left -= len(data)
            if not self._left:
                self._line()  # the end of the chunk's line
        if not pieces and not self._ended:
            raise ProtocolError("the answer ended early")
        return b"".join(pieces)

    def _begin_chunk(self) -> None:
        number = self._line().partition(b";")[0].strip()
        if not number or len(number) > _MOST_DIGITS or number.strip(_HEXADECIMAL):
            raise ProtocolError("a piece of the answer has no size")
        self._left = int(number, 16)
        if not self._left:
            self._fields()  # trailers
            self._end()

    def _head(self) -> tuple[str, int, list[tuple[str, str]]]:
        """Version, status and headers of the answer that counts."""
        for _ in range(_MOST_PROVISIONAL + 1):
            version, status = self._status()
            fields = self._fields()
            if not 100 <= status < 200:
                return version, status, fields
        raise ProtocolError("the answer does not come after all that was said beforehand")

    def _status(self) -> tuple[str, int]:
        line = self._stream.readline(_LONGEST_LINE)
        if not line:
            raise ConnectionResetError("the connection was closed before an answer came")
        version, _, rest = line.decode("latin-1").strip().partition(" ")
        code = rest.strip()[:3]
        if not version.startswith("HTTP/1.") or not (code.isascii() and code.isdecimal() and len(code) == 3):
            raise ProtocolError("the answer is not HTTP")
        return version, int(code)

    def _fields(self) -> list[tuple[str, str]]:
        """Names in small letters, and values. A line that begins with a blank goes on with the one before."""
        fields: list[tuple[str, str]] = []
        for _ in range(_MOST_HEADERS + 1):
            line = self._line().decode("latin-1").rstrip("\r\n")
            if not line:
                return fields
            name, colon, value = line.partition(":")
            if line[0] in " \t" and fields:
                fields[-1] = (fields[-1][0], f"{fields[-1][1]} {line.strip()}")
            elif colon:
                fields.append((name.strip().lower(), value.strip()))
        raise ProtocolError("the answer has too many headers")

    def _line(self) -> bytes:
        line = self._stream.readline(_LONGEST_LINE)
        if not line.endswith(b"\n"):
            raise ProtocolError("the answer has a line without an end")
        return line

    def _length(self, method: str) -> int | None:
        """How long the body is; None when it lasts as long as the connection, 0 too before the first chunk."""
        if method == "HEAD" or self.status in (204, 304):
            self._chunked = False
            return 0
        if self._chunked:
            return 0
        if _words(self.headers, "transfer-encoding"):
            return None
        found = set(_words(self.headers, "content-length"))
        if len(found) > 1 or not all(
            each.isascii() and each.isdecimal() and len(each) <= _MOST_DIGITS for each in found
        ):
            raise ProtocolError("the answer has no clear length")
        return int(found.pop()) if found else None


def _pieces(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The blocks as pieces of known size, and the end of them (RFC 9112, 7.1)."""
    for block in blocks:
        if block:
            yield b"%x\r\n%b\r\n" % (len(block), block)
    yield b"0\r\n\r\n"


def _words(fields: Iterable[tuple[str, str]], name: str) -> list[str]:
    """What the headers of a name list, in small letters."""
    values = (value for found, value in fields if found == name)
    return [word.strip().lower() for value in values for word in value.split(",") if word.strip()]
