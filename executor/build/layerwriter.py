"""From what a step changed to a layer in the store: deterministic tar, compressor and two digests in one pass.

The reading thread makes the tar and hashes the diff ID; a second compresses, hashes and writes, so that both
cores work on a large layer.
"""

from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Iterable

from executor.image.compression import gzip_compressor
from executor.image.descriptor import Descriptor
from executor.image.digest import Digest
from executor.image.layer import Layer
from executor.image.mediatypes import OCI_LAYER_GZIP
from executor.image.tar import write_layer
from executor.snapshot.changes import Change
from executor.store import BlobStore, BlobWriter

_PIECE = 256 * 1024
_QUEUED_PIECES = 8
_REPRODUCIBLE_LEVEL = 6


class LayerWriter:
    """Makes layers. `epoch` (seconds) is the latest time an entry may have; `reproducible` fixes the bytes."""

    def __init__(self, blobs: BlobStore, *, reproducible: bool = False, epoch: int | None = None) -> None:
        self._blobs = blobs
        self._reproducible = reproducible
        self._epoch = epoch

    def write(self, changes: Iterable[Change]) -> Layer | None:
        """The layer of `changes`, None when there are none. Raises StepError when a file changes meanwhile."""
        iterator = iter(changes)
        first = next(iterator, None)
        if first is None:
            return None
        with self._blobs.writer() as blob:
            stream = _LayerStream(blob, reproducible=self._reproducible)
            try:
                write_layer(_chain(first, iterator), stream.write, epoch=self._epoch)
                diff_id = stream.finish()
            finally:
                stream.abandon()
            digest = blob.commit()
            return Layer(descriptor=Descriptor(OCI_LAYER_GZIP, digest, blob.size), diff_id=diff_id)


def _chain(first: Change, rest: Iterable[Change]) -> Iterable[Change]:
    yield first
    yield from rest


class _LayerStream:
    """Takes a tar in pieces of any size; a second thread turns it into the blob once it is larger than one."""

    def __init__(self, blob: BlobWriter, *, reproducible: bool) -> None:
        self._blob = blob
        level = _REPRODUCIBLE_LEVEL if reproducible else 1
        self._compressor = gzip_compressor(level=level, reproducible=reproducible)
        self._diff_id = hashlib.sha256()
        self._pending = bytearray()
        self._pieces: queue.Queue[bytes | None] = queue.Queue(_QUEUED_PIECES)
        self._thread: threading.Thread | None = None
        self._failure: Exception | None = None

    def write(self, data: bytes) -> None:
        self._pending += data
        if len(self._pending) >= _PIECE:
            self._flush()

    def finish(self) -> Digest:
        """End the blob and return the tar's digest."""
        if self._thread is None:
            self._diff_id.update(self._pending)
            self._compress(bytes(self._pending))
        else:
            self._flush()
            self.abandon()
        if self._failure:
            raise self._failure
        self._blob.write(self._compressor.flush())
        return Digest.from_hex(self._diff_id.hexdigest())

    def abandon(self) -> None:
        """Stop the second thread; harmless when it has ended."""
        if self._thread is not None:
            self._pieces.put(None)
            self._thread.join()
            self._thread = None

    def _flush(self) -> None:
        if self._failure:
            raise self._failure
        piece = bytes(self._pending)
        self._pending.clear()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="compress", daemon=True)
            self._thread.start()
        self._pieces.put(piece)
        self._diff_id.update(piece)

    def _work(self) -> None:
        while (piece := self._pieces.get()) is not None:
            if self._failure is None:
                try:
                    self._compress(piece)
                except Exception as error:  # noqa: BLE001 - raised again by the thread that writes
                    self._failure = error

    def _compress(self, piece: bytes) -> None:
        self._blob.write(self._compressor.compress(piece))
