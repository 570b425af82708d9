"""Pushing images: each blob goes to a registry once, whatever the number of destinations; manifests go last.

A `BlobUploads` outlives single pushes, so that layers can go out while the build still runs: `begin` a blob, and
`push_image` later waits for it; `begin_early` even one that is not whole yet. A second repository of the same
registry mounts the blob from the first.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, BinaryIO, Self

from executor.dataclass import dataclass
from executor.errors import Error
from executor.events import BlobPushed, PushFinished, PushStarted
from executor.image.descriptor import Descriptor
from executor.image.digest import Digest
from executor.image.reference import Reference
from executor.registry.client import RegistryClient
from executor.registry.uploads import Outcome

if TYPE_CHECKING:
    from executor.registry.early import EarlyUpload, GrowingBlob

_THREADS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class PushBlob:
    """A blob to push. `source` is a `registry/repository` known to hold it, '' if none; `open` may be called again
    for each try and gives the raw bytes."""

    descriptor: Descriptor
    source: str
    open: Callable[[], BinaryIO]


@dataclass(frozen=True, slots=True)
class PushDocument:
    """A manifest or an index as it is sent."""

    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PushSummary:
    """What a push did: counts of blobs sent, mounted and already there, and the bytes of those sent."""

    digest: Digest
    sent: int
    mounted: int
    existing: int
    size: int


class BlobUploads:
    """Uploads under way and done, by repository and digest. Safe for several threads; close it at the end."""

    def __init__(self, client: RegistryClient, *, threads: int = _THREADS) -> None:
        self._client = client
        self._pool = ThreadPoolExecutor(threads, "push")
        self._lock = threading.Lock()
        self._uploads: dict[tuple[str, Digest], Future[Outcome]] = {}
        self._first: dict[tuple[str, Digest], str] = {}
        self._early: list[tuple[str, EarlyUpload]] = []

    def begin_early(self, repository: str, blob: GrowingBlob) -> None:
        """Start sending a blob that is still being written to `repository`.

        `begin` will end that, or send the blob anew where it failed; nobody else hears of it.
        """
        early = self._client.send_early(repository, blob)
        if early:
            with self._lock:
                self._early.append((repository, early))

    def begin(self, repository: str, blob: PushBlob) -> Future[Outcome]:
        """Start bringing `blob` to `repository` (`registry/repository`), unless that is under way or done already.

        The future raises what RegistryClient raises; after a failure the next `begin` tries anew.
        """
        key = (repository, blob.descriptor.digest)
        with self._lock:
            known = self._uploads.get(key)
            if known is None or _failed(known):
                first = self._first.setdefault((_registry(repository), blob.descriptor.digest), repository)
                before = self._uploads.get((first, blob.descriptor.digest)) if first != repository else None
                known = self._uploads[key] = self._pool.submit(self._bring, repository, blob, first, before)
            return known

    def holder(self, registry: str, digest: Digest) -> str:
        """The repository of `registry` that a blob was brought to, which is waited for; '' when none has it."""
        with self._lock:
            name = self._first.get((registry, digest), "")
            upload = self._uploads.get((name, digest))
        try:
            if upload is None:
                return ""
            upload.result()
        except (Error, CancelledError):
            return ""
        return name

    def close(self) -> None:
        """Give up what has not begun or began early, and wait for the rest."""
        for _, early in self._early:
            early.give_up()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def _bring(self, repository: str, blob: PushBlob, first: str, before: Future[Outcome] | None) -> Outcome:
        """Look, mount or send. `before` is the upload to `first`, which the pool began earlier: no deadlock."""
        started = time.monotonic()
        outcome = self._brought(repository, blob, first, before)
        self._client.sink(
            BlobPushed(
                repository=repository,
                digest=blob.descriptor.digest,
                size=blob.descriptor.size,
                how=outcome,
                seconds=time.monotonic() - started,
            )
        )
        return outcome

    def _brought(self, repository: str, blob: PushBlob, first: str, before: Future[Outcome] | None) -> Outcome:
        descriptor = blob.descriptor
        with ExitStack() as stack:
            early = self._take_early(repository, descriptor.digest)
            if early:
                stack.callback(early.give_up)
            if self._client.has_blob(repository, descriptor.digest):
                return "existing"
            if early and early.finish(descriptor, blob.open):
                return "sent"
            if early and early.closed and self._client.has_blob(repository, descriptor.digest):
                return "sent"  # only its answer was lost
        source = first if before is not None and before.exception() is None else blob.source
        return self._client.upload_blob(repository, descriptor, blob.open, mount_from=source)

    def _take_early(self, repository: str, digest: Digest) -> EarlyUpload | None:
        """The early upload of a blob, if there is one, for whoever comes first."""
        with self._lock:
            for name, early in self._early:
                if name == repository and early.blob.digest == digest and not early.claimed:
                    early.claimed = True
                    return early
        return None


def push_image(
    client: RegistryClient,
    reference: Reference,
    documents: Sequence[PushDocument],
    blobs: Sequence[PushBlob],
    *,
    uploads: BlobUploads | None = None,
) -> PushSummary:
    """Push an image or an index to `reference`: layers and configurations in parallel, then manifests.

    The last of `documents` gets the name; before it come the manifests of an index, which get none. `blobs` are
    the layers and the configurations that they name. Foreign layers (those with URLs of their own)
    stay where they are. Emits PushStarted and PushFinished; raises what RegistryClient raises, after the uploads
    that were under way have ended.
    """
    started = time.monotonic()
    client.sink(PushStarted(reference=str(reference)))
    with ExitStack() as stack:
        session = uploads or stack.enter_context(BlobUploads(client))
        outcomes = _push_blobs(session, reference.name, blobs)
    for document in documents[:-1]:
        unnamed = Reference(reference.registry, reference.repository, digest=Digest.of(document.content))
        client.put_manifest(unnamed, document.media_type, document.content)
    digest = client.put_manifest(reference, documents[-1].media_type, documents[-1].content)
    summary = _summary(digest, outcomes)
    client.sink(
        PushFinished(
            reference=str(reference),
            digest=digest,
            sent=summary.sent,
            mounted=summary.mounted,
            existing=summary.existing,
            size=summary.size,
            seconds=time.monotonic() - started,
        )
    )
    return summary


def check_push_permission(client: RegistryClient, reference: Reference) -> None:
    """Raise AuthError or RegistryError now rather than after the build when pushing to `reference` cannot work."""
    client.check_push(reference)()


def _push_blobs(
    session: BlobUploads, repository: str, blobs: Sequence[PushBlob]
) -> list[tuple[PushBlob, Outcome]]:
    distinct = {blob.descriptor.digest: blob for blob in blobs if not blob.descriptor.urls}
    futures = [(blob, session.begin(repository, blob)) for blob in distinct.values()]
    return [(blob, future.result()) for blob, future in futures]


def _summary(digest: Digest, outcomes: Sequence[tuple[PushBlob, Outcome]]) -> PushSummary:
    kinds = [outcome for _, outcome in outcomes]
    return PushSummary(
        digest=digest,
        sent=kinds.count("sent"),
        mounted=kinds.count("mounted"),
        existing=kinds.count("existing"),
        size=sum(blob.descriptor.size for blob, outcome in outcomes if outcome == "sent"),
    )


def _failed(upload: Future[Outcome]) -> bool:
    return upload.done() and upload.exception() is not None


def _registry(repository: str) -> str:
    return repository.partition("/")[0]
