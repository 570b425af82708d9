"""Manifests and configurations of base images, kept in the store: a registry is asked whether they still hold.

That is a HEAD, which counts in no registry's rate limit, and tells whether these credentials may read the image.
"""

from __future__ import annotations

import io
from typing import BinaryIO

from executor.errors import AuthError, ImageError, RegistryError
from executor.events import Sink
from executor.image.descriptor import Descriptor
from executor.image.digest import Digest
from executor.image.manifest import Index, parse_manifest
from executor.image.reference import Reference
from executor.registry.client import FetchedManifest, RegistryClient
from executor.store import Store


class KeptImages:
    """Reads images through `client` and keeps what was read in `store`; a `ManifestSource`. Threads share it."""

    def __init__(self, store: Store, client: RegistryClient) -> None:
        self._store = store
        self._client = client
        self._vouched: set[Digest] = set()
        """What an index names that the registry has vouched for."""

    @property
    def sink(self) -> Sink:
        """Hears of warnings."""
        return self._client.sink

    def get_manifest(self, reference: Reference) -> FetchedManifest:
        """See `RegistryClient.get_manifest`."""
        known = reference.digest or self._store.names.get(str(reference))
        kept = self._kept(known) if known else None
        if kept and (known in self._vouched or self._is_current(reference, kept.descriptor.digest)):
            return self._vouching(kept)
        fetched = self._client.get_manifest(reference)
        self._store.blobs.put(fetched.content)
        if reference.digest is None:
            self._store.names.put(str(reference), fetched.descriptor.digest)
        return self._vouching(fetched)

    def open_blob(self, repository: str, descriptor: Descriptor) -> BinaryIO:
        """See `RegistryClient.open_blob`. For small blobs: it is read at once."""
        content = self._read(descriptor.digest)
        if content is None:
            with self._client.open_blob(repository, descriptor) as stream:
                content = stream.read()
            self._store.blobs.put(content)
        return io.BytesIO(content)

    def _vouching(self, read: FetchedManifest) -> FetchedManifest:
        parsed = parse_manifest(read.content, read.descriptor.media_type)
        if isinstance(parsed, Index):
            self._vouched.update(entry.digest for entry in parsed.manifests)
        return read

    def _kept(self, digest: Digest) -> FetchedManifest | None:
        content = self._read(digest)
        if content is None:
            return None
        descriptor = Descriptor(parse_manifest(content).media_type, digest, len(content))
        return FetchedManifest(descriptor=descriptor, content=content)

    def _read(self, digest: Digest) -> bytes | None:
        """A blob of the store; None when it is not there, or damaged."""
        try:
            return self._store.blobs.read(digest) if self._store.blobs.is_sound(digest) else None
        except (ImageError, OSError):
            return None

    def _is_current(self, reference: Reference, digest: Digest) -> bool:
        """Whether `reference` still stands for what is kept. What goes wrong for good is left to the fetching."""
        try:
            named = self._client.head_manifest(reference)
        except (RegistryError, AuthError) as error:
            if error.retryable:
                raise
            return False
        return named is not None and named.digest == digest
