"""A blob as it comes from a registry: a stream that is checked as it is read and survives broken connections."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable

from executor.errors import ImageError, RegistryError
from executor.image.descriptor import Descriptor
from executor.registry.answers import PIECE, read_piece
from executor.registry.http import Response
from executor.registry.numbers import whole_number
from executor.registry.retry import Retrying

Fetch = Callable[[int], Response]
"""Asks for the blob from an offset on; answers 200 (from the start, whatever the offset) or 206."""


class BlobReader(io.BufferedIOBase):
    """The bytes of a blob, as the registry has them.

    The read that returns the last bytes first checks size and digest and raises ImageError when they are not the
    descriptor's, so no consumer sees the end of a wrong blob. When the connection breaks, the blob is asked for
    again from where it broke; `retrying` says how often within one `read`, so give it large sizes.
    """

    def __init__(self, descriptor: Descriptor, fetch: Fetch, retrying: Retrying, *, name: str) -> None:
        self._descriptor = descriptor
        self._fetch = fetch
        self._retrying = retrying
        self._name = name
        self._hash = hashlib.new(descriptor.digest.algorithm)
        self._received = 0
        self._pieces: list[bytes] = []
        self._checked = False
        self._response: Response | None = None
        self._retrying(self._connect)

    def readable(self) -> bool:
        """True: a blob can be read, not written."""
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        """Up to `size` bytes (fewer only at the end), all that is left when negative or None; b'' at the end."""
        if size is None or size < 0:
            return b"".join(iter(lambda: self.read(PIECE), b""))
        if size == 0 or self._checked:
            return b""
        data = self._retrying(self._gather, size)
        self._hash.update(data)
        if self._received == self._descriptor.size:
            self._check()
        return data

    def read1(self, size: int = -1, /) -> bytes:
        """As `read`, at most one piece."""
        return self.read(PIECE if size < 0 else size)

    def close(self) -> None:
        """Give the connection up."""
        self._disconnect()
        super().close()

    def _connect(self) -> Response:
        """Ask for what is missing and skip what comes again. Raises ImageError on another size than promised."""
        response = self._fetch(self._received)
        skip = 0 if response.status_code == 206 else self._received
        announced = whole_number(response.headers.get("Content-Length", ""))
        expected = self._descriptor.size - self._received + skip
        if announced is not None and announced != expected:
            response.close()
            raise ImageError(f"{self._name} has {announced} bytes where {expected} are expected")
        self._response = response
        while skip:
            skip -= len(self._receive(min(skip, PIECE)))
        return response

    def _gather(self, size: int) -> bytes:
        """`size` bytes, or what is left; what came before the connection broke is kept for the next try."""
        missing = min(size - sum(map(len, self._pieces)), self._descriptor.size - self._received)
        while missing > 0:
            piece = self._receive(missing)
            self._pieces.append(piece)
            self._received += len(piece)
            missing -= len(piece)
        data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        return data

    def _receive(self, size: int) -> bytes:
        """The next bytes. Raises RegistryError, and forgets the connection, when there are none."""
        response = self._connect() if self._response is None else self._response
        try:
            data = read_piece(response, size, self._name)
        except RegistryError:
            self._disconnect()
            raise
        if not data and self._received < self._descriptor.size:
            self._disconnect()
            raise RegistryError(f"{self._name} ends after {self._received} of {self._descriptor.size} bytes")
        return data

    def _check(self) -> None:
        if self._has_more():
            raise ImageError(f"{self._name} is longer than the {self._descriptor.size} bytes of its descriptor")
        found = f"{self._descriptor.digest.algorithm}:{self._hash.hexdigest()}"
        if found != self._descriptor.digest:
            raise ImageError(
                f"{self._name} is not what its digest says: its content has {found}",
                hint="the registry or a proxy before it holds damaged data",
            )
        self._checked = True
        self._disconnect()

    def _has_more(self) -> bool:
        try:
            return self._response is not None and bool(read_piece(self._response, 1, self._name))
        except RegistryError:  # the connection broke after the last byte, which is all that was wanted
            return False

    def _disconnect(self) -> None:
        if self._response is not None:
            self._response.close()
            self._response = None
