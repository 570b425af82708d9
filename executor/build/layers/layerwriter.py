"""From what a step changed to a layer in the store: deterministic tar, compressor and two digests in one pass.

The reading thread makes the tar and hashes the diff ID; a second compresses, hashes and writes, so that both
cores work on a large layer.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, TypeAlias

from executor.image.compression import Compressor, gzip_compressor, zstd_compressor
from executor.image.descriptor import Descriptor
from executor.image.digest import Digest
from executor.image.layer import Layer
from executor.image.mediatypes import OCI_LAYER_GZIP, OCI_LAYER_ZSTD
from executor.image.tar import Member, write_layer
from executor.snapshot.changes import Change, Siblings
from executor.spec import LayerOptions
from executor.store import BlobStore, BlobWriter

if TYPE_CHECKING:
    from executor.store.growing import GrowingBlob

OnLarge: TypeAlias = "Callable[[GrowingBlob], None]"
"""Hears of a layer that is large already and has not come to its end."""

LARGE = 32 * 1024 * 1024
"""Bytes, compressed. Smaller layers are written before much of them could be sent."""

_QUEUED_PIECES = 8
_REPRODUCIBLE_LEVEL = 6
_USUAL_ZSTD_LEVEL = 3
_COMPRESSING_THREADS = 4  # at most: each has some MB in hand
_MEDIA_TYPES = {"gzip": OCI_LAYER_GZIP, "zstd": OCI_LAYER_ZSTD}


def _go_on() -> None:
    """For a layer that nothing ends early."""


def nobody(_blob: GrowingBlob) -> None:
    """For a layer that nobody waits for."""


class LayerWriter:
    """Makes layers. `epoch` (seconds) is the latest time an entry may have; `reproducible` fixes the bytes."""

    def __init__(
        self,
        blobs: BlobStore,
        options: LayerOptions | None = None,
        *,
        reproducible: bool = False,
        epoch: int | None = None,
    ) -> None:
        self._blobs = blobs
        self._options = options or LayerOptions()
        self._reproducible = reproducible
        self._epoch = epoch

    def write(
        self,
        changes: Iterable[Change | Siblings],
        check: Callable[[], None] = _go_on,
        on_large: OnLarge = nobody,
    ) -> Layer | None:
        """The layer of `changes`, None when there are none. Raises StepError when a file changes meanwhile.

        What `check` raises ends it between two pieces. `on_large` gets a layer of LARGE bytes, as soon as it has
        so many.
        """
        with closing(_members(iter(changes), self._epoch)) as found:
            first = next(found, None)
            return self._written(itertools.chain([first], found), check, on_large) if first else None

    def _written(self, of_tar: Iterable[Member], check: Callable[[], None], on_large: OnLarge) -> Layer:
        with self._blobs.writer() as blob:
            stream = _LayerStream(blob, self._compressor(), check, on_large)
            try:
                write_layer(of_tar, stream.write, latest_mtime=self._epoch)
                diff_id = stream.finish()
            finally:
                stream.stop()
            digest = blob.commit()
            media_type = _MEDIA_TYPES[self._options.compression]
            return Layer(descriptor=Descriptor(media_type, digest, blob.size), diff_id=diff_id)

    def _compressor(self) -> Compressor:
        level, threads = self._options.level, min(len(os.sched_getaffinity(0)), _COMPRESSING_THREADS)
        if self._options.compression == "zstd":
            return zstd_compressor(level=level or _USUAL_ZSTD_LEVEL, threads=threads)
        if level is None:
            level = _REPRODUCIBLE_LEVEL if self._reproducible else 1
        return gzip_compressor(level=level, reproducible=self._reproducible, threads=threads)


def _members(changes: Iterator[Change | Siblings], latest_mtime: int | None) -> Generator[Member]:
    """What the tar of `changes` is made of."""
    for found in changes:
        if isinstance(found, Siblings):
            from executor.build.layers.packing import Packer  # most layers have no use for it
            from executor.build.layers.sharing import shared

            yield from shared(itertools.chain([found], changes), Packer(latest_mtime))
            return
        yield found.entry, found.content


class _LayerStream:
    """Takes a tar in large pieces and makes the blob; from the second piece on in a thread of its own."""

    def __init__(
        self, blob: BlobWriter, compressor: Compressor, check: Callable[[], None], on_large: OnLarge
    ) -> None:
        self._blob = blob
        self._check = check
        self._on_large: OnLarge | None = on_large
        self._compressor = compressor
        self._diff_id = hashlib.sha256()
        self._first: bytes | None = None
        self._pieces: queue.Queue[bytes | None] = queue.Queue(_QUEUED_PIECES)
        self._thread: threading.Thread | None = None
        self._failure: Exception | None = None

    def write(self, piece: bytes) -> None:
        self._check()
        if self._failure:
            raise self._failure
        if self._first is None:
            self._first = piece
        else:
            self._queue(piece)
        self._diff_id.update(piece)

    def finish(self) -> Digest:
        """End the blob and return the tar's digest."""
        if self._thread is None:
            self._compress(self._first or b"")
        self.stop()
        if self._failure:
            raise self._failure
        self._blob.write(self._compressor.flush())
        return Digest.from_hex(self._diff_id.hexdigest())

    def stop(self) -> None:
        """End the second thread; harmless when there is none."""
        if self._thread is not None:
            self._pieces.put(None)
            self._thread.join()
            self._thread = None

    def _queue(self, piece: bytes) -> None:
        if self._thread is None:
            thread = threading.Thread(target=self._work, name="compress", daemon=True)
            thread.start()  # which may fail: then there is none to wait for
            self._thread = thread
            self._pieces.put(self._first)
        self._pieces.put(piece)

    def _work(self) -> None:
        while (piece := self._pieces.get()) is not None:
            if self._failure is None:
                try:
                    self._compress(piece)
                except Exception as error:  # noqa: BLE001 - raised again by the thread that writes
                    self._failure = error

    def _compress(self, piece: bytes) -> None:
        self._blob.write(self._compressor.compress(piece))
        if self._on_large and self._blob.size >= LARGE:
            self._on_large(self._blob.growing())
            self._on_large = None
