"""Sending a blob before it is whole, as `docker push` sends one (distribution spec, "Pushing a blob in chunks").

    POST …/blobs/uploads/             202: Location of an upload
    PATCH Location (chunked, the blob as it comes)    202
    PUT Location?digest=DIGEST        201: done, once the digest is known

It is an attempt: whatever goes wrong in it is told to nobody, and the blob is then sent as any other.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Protocol

from executor.errors import Error, ImageError, RegistryError, StoppedError
from executor.image.descriptor import Descriptor
from executor.image.digest import Digest
from executor.registry.connection import Call, Connection
from executor.registry.upload import OCTETS, TAKEN, Opener, Upload, location_of
from executor.registry.uploads import Uploader, is_refusal

SILENCE = 60.0
"""Seconds without a sign of the registry after which nobody waits for an early upload any more."""

_FAREWELL = 1.0
"""Seconds for giving one up before whoever does so goes on."""


class GrowingBlob(Protocol):
    """A blob that is being written."""

    @property
    def digest(self) -> Digest | None:
        """Known when the blob is whole."""

    def pieces(self) -> Iterator[bytes]:
        """The bytes from the first one on; waits for more. Raises Error when there will be no more."""


class EarlyUpload:
    """Sends `blob` to `repository` of the registry behind `connection` in a thread of its own, from now on."""

    def __init__(self, connection: Connection, uploader: Uploader, repository: str, blob: GrowingBlob) -> None:
        self.blob = blob
        self.claimed = False
        """Whether somebody has taken it upon himself to finish it."""
        self.closed = False
        """Whether the registry was asked to make a blob of it, whatever it answered."""
        self._connection = connection
        self._uploader = uploader
        self._repository = repository
        self._location = ""
        self._sent = False
        self._given_up = False
        self._ended = threading.Event()
        """Set when all is sent, and when nothing will be any more."""
        self._thread = threading.Thread(target=self._work, name="early", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # no more threads here
            self._ended.set()

    def finish(self, descriptor: Descriptor, open_blob: Opener) -> bool:
        """Wait until all is sent, and make a blob of it. False when that failed: send it in the usual way.

        Raises StoppedError when the build is being stopped, RegistryError when it was given up meanwhile.
        """
        self._ended.wait()
        if self._given_up:
            raise RegistryError(f"nobody wants {descriptor.digest} at {self._repository} any more")
        if not self._sent:
            return False
        self._sent = False
        doing = f"upload {descriptor.digest} to {self._repository}"
        self.closed = True
        closing = Upload(self._repository, descriptor, open_blob, self._location, doing).closing()
        try:
            self._connection.call(closing).close()
        except StoppedError:
            raise
        except Error:
            return False
        return True

    def give_up(self) -> None:
        """Send no more, and let the registry forget what it has. Nothing after it was finished."""
        self._given_up = True
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(_FAREWELL)
        if self._sent:
            self._sent = False
            self._cancel()

    def _work(self) -> None:
        try:
            self._send()
        except Exception as error:  # noqa: BLE001 - the usual way is left, and tells of whatever is wrong there too
            if isinstance(error, RegistryError) and is_refusal(error):
                self._uploader.takes_early = False
            self._ended.set()  # nobody has to wait for the registry to forget it
            self._cancel()
        self._ended.set()

    def _cancel(self) -> None:
        if self._location:
            with suppress(StoppedError):
                self._uploader.cancel(self._repository, self._location)

    def _send(self) -> None:
        doing = f"upload a layer to {self._repository}"
        self._location = self._uploader.begin(self._repository, doing)
        call = Call(
            method="PATCH",
            url=self._location,
            doing=doing,
            repository=self._repository,
            headers=OCTETS,
            body=_Body(self._pieces),
            expect=TAKEN,
            silence=SILENCE,
        )
        with self._connection.call(call) as response:
            self._location = location_of(response, doing)
        self._sent = True

    def _pieces(self) -> Iterator[bytes]:
        for piece in self.blob.pieces():
            if self._given_up:
                raise ImageError("nobody wants this layer any more")
            yield piece


class _Body:
    """A request body of unknown length that begins anew for each try."""

    def __init__(self, pieces: Callable[[], Iterator[bytes]]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces()
