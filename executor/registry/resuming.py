"""Going on with uploads that broke off (distribution spec, "Pushing blobs"): the registry says what it has.

    GET Location                                  204, Range: 0-41    it has 42 bytes
    PATCH Location, Content-Range: 42-99 (rest)   202
    PUT Location?digest=DIGEST                    201

A registry that has thrown them away says 404, and the blob is sent from its first byte.
"""

from __future__ import annotations

import re
import threading

from executor.errors import RegistryError
from executor.image.descriptor import Descriptor
from executor.image.digest import Digest
from executor.registry.connection import Call, Connection
from executor.registry.upload import OCTETS, TAKEN, Opener, Upload, location_in, location_of

SMALLEST = 4 * 1024 * 1024
"""Bytes. Less is sent again sooner than asked about."""

_HELD = re.compile(r"(?:bytes=)?0-([0-9]{1,18})\Z")


class BrokenUploads:
    """The uploads to one registry that broke off. Safe for several threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._locations: dict[tuple[str, Digest], str] = {}

    def note(self, upload: Upload, error: RegistryError) -> None:
        """Remember an upload that `error` ended, if another try can be of use."""
        if error.retryable and upload.descriptor.size >= SMALLEST:
            with self._lock:
                self._locations[upload.repository, upload.descriptor.digest] = upload.location

    def finish(self, repository: str, descriptor: Descriptor, open_blob: Opener) -> bool:
        """Send what is missing of a blob whose upload broke off before. False when there is nothing to go on with.

        Raises RegistryError when it breaks off again.
        """
        with self._lock:
            location = self._locations.pop((repository, descriptor.digest), "")
        if not location:
            return False
        doing = f"go on with the upload of {descriptor.digest} to {repository}"
        upload = Upload(repository, descriptor, open_blob, location, doing)
        try:
            return self._finish(upload)
        except RegistryError as error:
            self.note(upload, error)
            if error.retryable:
                raise
            return False

    def _finish(self, upload: Upload) -> bool:
        held = self._held(upload)
        if not 0 < held <= upload.descriptor.size:
            return False
        if held < upload.descriptor.size:
            self._send_rest(upload, held)
        self._connection.call(upload.closing()).close()
        return True

    def _held(self, upload: Upload) -> int:
        """How many bytes the registry has; 0 also when it does not say. `0-0` is what it says of none."""
        call = Call(
            method="GET", url=upload.location, doing=upload.doing, repository=upload.repository, expect=(204,)
        )
        with self._connection.call(call) as response:
            upload.location = location_in(response) or upload.location
            held = _HELD.match(response.headers.get("Range", ""))
        return int(held[1]) + 1 if held and held[1] != "0" else 0

    def _send_rest(self, upload: Upload, held: int) -> None:
        call = Call(
            method="PATCH",
            url=upload.location,
            doing=upload.doing,
            repository=upload.repository,
            headers={**OCTETS, "Content-Range": f"{held}-{upload.descriptor.size - 1}"},
            body=upload.body(held),
            expect=TAKEN,
        )
        with self._connection.call(call) as response:
            upload.location = location_of(response, upload.doing)
