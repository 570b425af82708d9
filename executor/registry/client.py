"""Manifests and blobs of registries: the calls of the OCI distribution spec that pulling and pushing need."""

from __future__ import annotations

import functools
import hashlib
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO, Self, TypeVar, cast

from executor.dataclass import dataclass, replace
from executor.errors import ImageError, NotFoundError
from executor.events import Sink
from executor.image import mediatypes
from executor.image.descriptor import Descriptor
from executor.image.digest import Digest
from executor.image.manifest import parse_manifest
from executor.image.reference import Reference
from executor.image.verified import LARGEST_DOCUMENT
from executor.registry.answers import read_body
from executor.registry.blobs import BlobReader
from executor.registry.connection import Call, Connection
from executor.registry.credentials import Keychain
from executor.registry.hosts import Purpose
from executor.registry.http import Response
from executor.registry.mirrors import Mirrors
from executor.registry.numbers import whole_number
from executor.registry.retry import Retrying
from executor.registry.upload import DONE, Opener
from executor.registry.uploads import Outcome, Uploader
from executor.spec import RegistryOptions, RetryPolicy

if TYPE_CHECKING:
    from executor.registry.early import EarlyUpload, GrowingBlob

_T = TypeVar("_T")
_ACCEPT = ", ".join((*mediatypes.MANIFESTS, *mediatypes.INDEXES))


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedManifest:
    """A manifest or an index as a registry has it, verified: `descriptor` is true of `content`."""

    descriptor: Descriptor
    content: bytes


class RegistryClient:
    """Talks to all registries of one build, for pulling or for pushing. Safe for several threads.

    Temporary failures are tried again by `retry`, by default `options.pull_retry` for pulls and not at all for
    pushes; one is a silence of `silence` seconds, None for the usual patience. Repositories are
    `registry/repository`, as in `Reference.name`. Pulls ask the mirrors that `options` name first.
    """

    def __init__(
        self,
        options: RegistryOptions,
        keychain: Keychain,
        sink: Sink,
        purpose: Purpose,
        *,
        retry: RetryPolicy | None = None,
        silence: float | None = None,
    ) -> None:
        self.sink = sink
        self._options = options
        self._keychain = keychain
        self._purpose: Purpose = purpose
        self._silence = silence
        self._retry = retry or (options.pull_retry if purpose == "pull" else RetryPolicy())
        self._lock = threading.Lock()
        self._connections: dict[str, Connection] = {}
        self._uploaders: dict[str, Uploader] = {}
        self._mirrors = Mirrors(options if purpose == "pull" else RegistryOptions(), sink)

    def get_manifest(self, reference: Reference) -> FetchedManifest:
        """The manifest or index that `reference` names.

        Raises NotFoundError, AuthError or RegistryError as the registry answers, ImageError when the content is
        not what the digest asked for says, or not a manifest of schema 2 or OCI.
        """
        return Retrying(self._retry, self.sink, f"pull {reference}")(self._get_manifest, reference)

    def head_manifest(self, reference: Reference) -> Descriptor | None:
        """The descriptor of what `reference` names without its content, None when the registry has no such."""
        return Retrying(self._retry, self.sink, f"look up {reference}")(self._head_manifest, reference)

    def open_blob(self, repository: str, descriptor: Descriptor) -> BinaryIO:
        """Stream a blob's raw bytes, checked against the descriptor at the end (see BlobReader). Close it.

        Raises NotFoundError, AuthError or RegistryError as the registry answers; ImageError also when reading.
        """
        doing = f"pull blob {descriptor.digest} of {repository}"

        def fetch(offset: int) -> Response:
            return self._pulled(repository, lambda place: self._fetch(place, descriptor.digest, offset))

        reader = BlobReader(
            descriptor, fetch, Retrying(self._retry, self.sink, doing), name=f"blob {descriptor.digest}"
        )
        return cast(BinaryIO, reader)  # typeshed wants a subclass of typing.BinaryIO, which cannot be inherited

    def has_blob(self, repository: str, digest: Digest) -> bool:
        """True when `repository` has the blob."""
        registry, path = _split(repository)
        call = _blob_call("HEAD", path, digest, f"look up blob {digest} of {repository}")
        return Retrying(self._retry, self.sink, call.doing)(self._exists, registry, call)

    def upload_blob(
        self, repository: str, descriptor: Descriptor, open_blob: Opener, *, mount_from: str = ""
    ) -> Outcome:
        """Bring a blob to `repository`, whether or not it is there: "mounted" or "sent".

        `open_blob` opens its raw bytes from the start and may be called again for each try. `mount_from` is a
        `registry/repository` that has the blob; it serves only when the registry is the same.
        """
        registry, path = _split(repository)
        source_registry, source = _split(mount_from) if mount_from else ("", "")
        source = source if source_registry == registry and source != path else ""
        upload = self._uploader(registry).upload
        action = f"upload {descriptor.digest} to {repository}"
        return Retrying(self._retry, self.sink, action)(upload, path, descriptor, open_blob, mount_from=source)

    def send_early(self, repository: str, blob: GrowingBlob) -> EarlyUpload | None:
        """Begin to send a blob that is still being written; None where the registry would not take it."""
        from executor.registry.early import EarlyUpload

        registry, path = _split(repository)
        uploader = self._uploader(registry)
        return EarlyUpload(self._connection(registry), uploader, path, blob) if uploader.takes_early else None

    def put_manifest(self, reference: Reference, media_type: str, content: bytes) -> Digest:
        """Give `content` the name `reference`; its blobs must be there. Returns its digest.

        Raises ImageError when the registry says it stored something else.
        """
        return Retrying(self._retry, self.sink, f"push {reference}")(
            self._put_manifest, reference, media_type, content
        )

    def check_push(self, reference: Reference) -> Callable[[], None]:
        """Begin an upload: raises AuthError or RegistryError when pushing would not be allowed.

        What is returned gives the upload up, which is no part of the answer.
        """
        uploader = self._uploader(reference.registry)
        begin = Retrying(self._retry, self.sink, f"check the permission to push to {reference.name}")
        location = begin(uploader.begin, reference.repository, f"push to {reference.name}")
        return functools.partial(uploader.cancel, reference.repository, location)

    def close(self) -> None:
        """Close idle connections."""
        with self._lock:
            for connection in self._connections.values():
                connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def _pulled(self, repository: str, ask: Callable[[str], _T]) -> _T:
        return cast(_T, self._mirrors.first(repository, ask))

    def _fetch(self, repository: str, digest: Digest, offset: int) -> Response:
        registry, path = _split(repository)
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        call = _blob_call("GET", path, digest, f"pull blob {digest} of {repository}")
        return self._connection(registry).call(replace(call, headers=headers, expect=(200, 206)))

    def _get_manifest(self, reference: Reference) -> FetchedManifest:
        return self._pulled(reference.name, lambda place: self._get_manifest_at(_moved(reference, place)))

    def _get_manifest_at(self, reference: Reference) -> FetchedManifest:
        call = _manifest_call("GET", reference, f"pull {reference}")
        response = self._connection(reference.registry).call(call)
        content_type = response.headers.get("Content-Type", "")
        content = read_body(response, LARGEST_DOCUMENT, reference.registry)
        digest = Digest.of(content) if reference.digest is None else _verified(content, reference.digest)
        media_type = parse_manifest(content, content_type).media_type
        return FetchedManifest(descriptor=Descriptor(media_type, digest, len(content)), content=content)

    def _head_manifest(self, reference: Reference) -> Descriptor | None:
        return self._mirrors.first(reference.name, lambda place: self._head_manifest_at(_moved(reference, place)))

    def _head_manifest_at(self, reference: Reference) -> Descriptor | None:
        call = _manifest_call("HEAD", reference, f"look up {reference}")
        try:
            with self._connection(reference.registry).call(call) as response:
                headers = response.headers
        except NotFoundError:
            return None
        digest, size = headers.get("Docker-Content-Digest", ""), whole_number(headers.get("Content-Length", ""))
        if not digest or size is None:
            return self._get_manifest_at(reference).descriptor
        media_type = headers.get("Content-Type", "").partition(";")[0].strip()
        return Descriptor(media_type, Digest.parse(digest), size)

    def _put_manifest(self, reference: Reference, media_type: str, content: bytes) -> Digest:
        digest = Digest.of(content)
        selector = reference.tag or str(digest)
        call = Call(
            method="PUT",
            url=f"/v2/{reference.repository}/manifests/{selector}",
            doing=f"push {reference}",
            repository=reference.repository,
            headers={"Content-Type": media_type},
            body=content,
            expect=DONE,
        )
        with self._connection(reference.registry).call(call) as response:
            stored = response.headers.get("Docker-Content-Digest", str(digest))
        if stored.startswith("sha256:") and stored != digest:
            raise ImageError(f"{reference.registry} stored {reference} as {stored}, not as the {digest} sent")
        return digest

    def _exists(self, registry: str, call: Call) -> bool:
        try:
            self._connection(registry).call(call).close()
        except NotFoundError:
            return False
        return True

    def _connection(self, registry: str) -> Connection:
        with self._lock:
            if registry not in self._connections:
                self._connections[registry] = Connection(
                    registry, self._options, self._keychain, self._purpose, silence=self._silence
                )
            return self._connections[registry]

    def _uploader(self, registry: str) -> Uploader:
        connection = self._connection(registry)
        with self._lock:
            return self._uploaders.setdefault(registry, Uploader(connection))


def _manifest_call(method: str, reference: Reference, doing: str) -> Call:
    return Call(
        method=method,
        url=f"/v2/{reference.repository}/manifests/{reference.selector}",
        doing=doing,
        repository=reference.repository,
        headers={"Accept": _ACCEPT},
    )


def _blob_call(method: str, path: str, digest: Digest, doing: str) -> Call:
    return Call(method=method, url=f"/v2/{path}/blobs/{digest}", doing=doing, repository=path)


def _verified(content: bytes, digest: Digest) -> Digest:
    found = f"{digest.algorithm}:{hashlib.new(digest.algorithm, content).hexdigest()}"
    if found != digest:
        raise ImageError(f"the registry's manifest {digest} has the digest {found}")
    return digest


def _moved(reference: Reference, repository: str) -> Reference:
    registry, path = _split(repository)
    return replace(reference, registry=registry, repository=path)


def _split(repository: str) -> tuple[str, str]:
    registry, _, path = repository.partition("/")
    return registry, path
