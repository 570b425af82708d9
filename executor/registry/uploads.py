"""Uploading a blob: mounted from another repository, in one PUT, or in pieces by PATCH.

    POST …/blobs/uploads/[?mount=DIGEST&from=REPOSITORY]   201: mounted, done   202: Location of an upload
    PUT Location?digest=DIGEST (the whole blob)            201: done
    PATCH Location (one piece), …, PUT Location?digest=    201: done

Registries and the proxies before them refuse either way now and then; what worked last is tried first. What
broke off is gone on with where the registry has kept it: see resuming.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal
from urllib.parse import quote

from executor.errors import RegistryError
from executor.image.descriptor import Descriptor
from executor.registry.connection import Call, Connection
from executor.registry.http import Response
from executor.registry.numbers import whole_number
from executor.registry.resuming import BrokenUploads
from executor.registry.upload import OCTETS, TAKEN, Opener, Upload, location_in, location_of, read_exactly

Outcome = Literal["sent", "mounted", "existing"]

_CHUNK = 8 * 1024 * 1024
_LARGEST_CHUNK = 64 * 1024 * 1024
_REFUSALS = (404, 405, 411, 413, 415, 416, 501)
_FAULTS_OF_CONTENT = ("DIGEST_INVALID", "SIZE_INVALID", "NAME_INVALID", "NAME_UNKNOWN", "DENIED")


class Uploader:
    """Uploads to one registry, and remembers which way it takes. Safe for several threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._ways: tuple[Way, ...] = (send_whole, send_in_chunks)
        self._broken = BrokenUploads(connection)
        self.takes_early = True
        """Whether the registry may take what is not whole yet: until it has refused to."""

    def upload(self, repository: str, descriptor: Descriptor, open_blob: Opener, *, mount_from: str) -> Outcome:
        """Bring the blob to `repository`; `mount_from`, if not '', is a repository of this registry that has it.

        Raises RegistryError when the registry refuses, ImageError when the bytes are not the descriptor's.
        """
        if self._broken.finish(repository, descriptor, open_blob):
            return "sent"
        location = self._mount(repository, descriptor, mount_from) if mount_from else ""
        if location is None:
            return "mounted"
        first, second = self._ways
        upload = self._upload(repository, descriptor, open_blob, location)
        try:
            first(self._connection, upload)
        except RegistryError as refused:
            if not is_refusal(refused):
                self._broken.note(upload, refused)
                raise
            self._try_other(second, self._upload(repository, descriptor, open_blob, ""), refused)
            self._ways = (second, first)
        return "sent"

    def begin(self, repository: str, doing: str) -> str:
        """Start an upload and return its location. Raises AuthError when pushing is not allowed."""
        call = Call(method="POST", url=uploads_path(repository), doing=doing, repository=repository, expect=(202,))
        with self._connection.call(call) as response:
            return location_of(response, doing)

    def cancel(self, repository: str, location: str) -> None:
        """Give an upload up, as far as the registry lets us: leftovers expire there anyway."""
        call = Call(
            method="DELETE", url=location, doing="cancel an upload", repository=repository, expect=(200, 202, 204)
        )
        try:
            self._connection.call(call).close()
        except RegistryError:
            return

    def _mount(self, repository: str, descriptor: Descriptor, source: str) -> str | None:
        """None when mounted; else the location of the upload that was begun instead, '' when none was."""
        doing = f"mount {descriptor.digest} from {source} into {repository}"
        url = f"{uploads_path(repository)}?mount={quote(descriptor.digest, safe='')}&from={quote(source, safe='')}"
        call = Call(
            method="POST", url=url, doing=doing, repository=repository, mount_from=source, expect=(201, 202)
        )
        try:
            with self._connection.call(call) as response:
                return None if response.status_code == 201 else location_in(response)
        except RegistryError as error:
            if error.retryable:
                raise
            return ""

    def _upload(self, repository: str, descriptor: Descriptor, open_blob: Opener, location: str) -> Upload:
        doing = f"upload {descriptor.digest} to {repository}"
        return Upload(repository, descriptor, open_blob, location or self.begin(repository, doing), doing)

    def _try_other(self, way: Way, upload: Upload, refused: RegistryError) -> None:
        try:
            way(self._connection, upload)
        except RegistryError as error:
            raise refused if is_refusal(error) else error from refused


Way = Callable[[Connection, Upload], None]


def send_whole(connection: Connection, upload: Upload) -> None:
    """One PUT with the whole blob, read from disk as it goes out."""
    connection.call(upload.closing(upload.body())).close()


def send_in_chunks(connection: Connection, upload: Upload) -> None:
    """A PATCH for each chunk, then an empty PUT. A chunk is held in memory, so that it can be sent again."""
    size = _CHUNK
    sent = 0
    with upload.open_blob() as stream:
        while sent < upload.descriptor.size:
            chunk = read_exactly(stream, min(size, upload.descriptor.size - sent), upload.descriptor)
            call = Call(
                method="PATCH",
                url=upload.location,
                doing=upload.doing,
                repository=upload.repository,
                headers={**OCTETS, "Content-Range": f"{sent}-{sent + len(chunk) - 1}"},
                body=chunk,
                expect=TAKEN,
            )
            with connection.call(call) as response:
                upload.location = location_of(response, upload.doing)
                size = _chunk_size(response)
            sent += len(chunk)
    connection.call(upload.closing()).close()


def uploads_path(repository: str) -> str:
    """Where uploads to `repository` begin."""
    return f"/v2/{repository}/blobs/uploads/"


def _chunk_size(response: Response) -> int:
    least = whole_number(response.headers.get("OCI-Chunk-Min-Length", ""))
    return min(max(_CHUNK, least or 0), _LARGEST_CHUNK)


def is_refusal(error: RegistryError) -> bool:
    """True when the registry may take the same blob another way."""
    if error.status == 400:
        return not set(error.codes) & set(_FAULTS_OF_CONTENT)
    return error.status in _REFUSALS and "NAME_UNKNOWN" not in error.codes
