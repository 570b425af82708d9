"""What every way of uploading a blob is made of: the upload that was begun, its body, and its Location."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO
from urllib.parse import quote, urljoin, urlsplit

from executor.errors import ImageError, RegistryError
from executor.image.descriptor import Descriptor
from executor.registry.connection import Call
from executor.registry.http import Body, Response

Opener = Callable[[], BinaryIO]
OCTETS = {"Content-Type": "application/octet-stream"}

TAKEN = (201, 202, 204)
"""What registries answer to a PATCH that they took: 202 by the spec, 201 at Amazon ECR, 204 at Pulp."""

DONE = (200, 201, 202, 204)
"""What they answer to a PUT that made a blob or a manifest: 201 by the spec, 202 at Quay once, 200 and 204."""

_PIECE = 256 * 1024


class Upload:
    """An upload that a registry has begun. `location` is the address that it takes the next request at."""

    def __init__(
        self, repository: str, descriptor: Descriptor, open_blob: Opener, location: str, doing: str
    ) -> None:
        self.repository = repository
        self.descriptor = descriptor
        self.open_blob = open_blob
        self.location = location
        self.doing = doing

    def body(self, start: int = 0) -> BlobBody:
        """The blob from byte `start` on, as the body of a request."""
        return BlobBody(self.open_blob, self.descriptor, start)

    def closing(self, body: Body = None) -> Call:
        """The PUT that ends the upload, with what is still to be sent."""
        separator = "&" if "?" in self.location else "?"
        return Call(
            method="PUT",
            url=f"{self.location}{separator}digest={quote(self.descriptor.digest, safe='')}",
            doing=self.doing,
            repository=self.repository,
            headers=OCTETS,
            body=body,
            expect=DONE,
        )


class BlobBody:
    """A request body of known length that opens the blob anew for each try, and begins at byte `start` of it."""

    def __init__(self, open_blob: Opener, descriptor: Descriptor, start: int) -> None:
        self._open = open_blob
        self._descriptor = descriptor
        self._start = start

    def __len__(self) -> int:
        return self._descriptor.size - self._start

    def __iter__(self) -> Iterator[bytes]:
        left, skipped = len(self), 0
        with self._open() as stream:
            while skipped < self._start:
                skipped += len(read_exactly(stream, min(_PIECE, self._start - skipped), self._descriptor))
            while left:
                piece = read_exactly(stream, min(_PIECE, left), self._descriptor)
                left -= len(piece)
                yield piece


def read_exactly(stream: BinaryIO, size: int, descriptor: Descriptor) -> bytes:
    """`size` bytes of a blob. A failing disk must not look like a failing network: OSError becomes ImageError."""
    pieces: list[bytes] = []
    while size:
        try:
            piece = stream.read(size)
        except OSError as error:
            raise ImageError(f"cannot read blob {descriptor.digest}: {error.strerror}") from error
        if not piece:
            raise ImageError(
                f"blob {descriptor.digest} is shorter than the {descriptor.size} bytes it should have"
            )
        pieces.append(piece)
        size -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def location_in(response: Response) -> str:
    """Where the answer says that an upload goes on, '' for nowhere.

    What is no whole path counts from what was asked for (RFC 9110, 10.2.2).
    """
    location = response.headers.get("Location", "")
    if not location or location.lower().startswith(("/", "http://", "https://")):
        return location
    return urljoin(urlsplit(response.url).path, location)


def location_of(response: Response, doing: str) -> str:
    """Where an upload goes on. Raises RegistryError, to be retried, when the answer does not say."""
    location = location_in(response)
    if not location:
        raise RegistryError(f"cannot {doing}: the registry names no location for the upload", status=502)
    return location
