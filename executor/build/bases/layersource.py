"""Where the bytes of layers come from: the store, or a registry on first use, kept in the store as they pass.

A layer's stream has two threads: one downloads, checks, keeps, inflates and hashes the diff ID; the reader
unpacks. A bounded queue of 256 KiB pieces lies between them (451 ms against 656 for a 66 MB base).
"""

from __future__ import annotations

import hashlib
import io
import queue
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

from executor.build.bases.transfers import Meter, Sent, SentEarly
from executor.build.bases.warmedbases import WarmedBases
from executor.build.stopping import StopFlag
from executor.errors import Error, ImageError
from executor.events import LayerUnpacked, Sink, Warned, discard
from executor.image.compression import decompress
from executor.image.digest import Digest
from executor.image.layer import Layer
from executor.registry.client import RegistryClient
from executor.store import BlobStore, BlobWriter

if TYPE_CHECKING:
    from executor.store.growing import GrowingBlob

_PIECE = 256 * 1024
_QUEUED_PIECES = 16


class LayerSource:
    """Opens layers, counts what had to be downloaded and tells of both. Safe for several threads."""

    def __init__(
        self,
        blobs: BlobStore,
        client: RegistryClient,
        stop: StopFlag,
        sink: Sink = discard,
        *,
        warmed: WarmedBases | None = None,
    ) -> None:
        self._blobs = blobs
        self._client = client
        self._stop = stop
        self._sink = sink
        self._warmed = warmed
        self._locks: defaultdict[Digest, threading.Lock] = defaultdict(threading.Lock)
        self._clients: dict[str, RegistryClient] = {}
        self._unwanted = threading.Event()
        self.downloaded = 0
        self.failed: set[Digest] = set()
        """Layers whose bytes could not be had, or were not what was promised."""

    def use_client(self, repository: str, client: RegistryClient) -> None:
        """Reach the layers whose source is `repository` through `client`."""
        self._clients[repository] = client

    def open(self, layer: Layer) -> BinaryIO:
        """The uncompressed tar of `layer`; its last read raises ImageError when blob or diff ID do not match."""
        downloaded, started = not self._blobs.has(layer.descriptor.digest), time.monotonic()

        def ended(*, well: bool) -> None:
            if not well:
                if not self._unwanted.is_set():
                    self.failed.add(layer.descriptor.digest)
                return
            self._sink(
                LayerUnpacked(
                    digest=layer.descriptor.digest,
                    size=layer.descriptor.size,
                    downloaded=downloaded,
                    seconds=time.monotonic() - started,
                )
            )

        return cast(BinaryIO, _PumpedLayer(layer, self._produce, ended))

    @contextmanager
    def wanted(self) -> Iterator[None]:
        """Layers that are being unpacked when the body raises are of no more use: their streams end at once."""
        try:
            yield
        except BaseException:
            self._unwanted.set()
            raise

    def want_again(self) -> None:
        """All layers can be opened again after what `wanted` has seen."""
        self._unwanted.clear()

    def check_stop(self) -> None:
        """Raise StoppedError when the build is being stopped; for the main thread, between two pieces of work."""
        self._stop.check()

    def ensure(self, layer: Layer) -> None:
        """Have the layer's blob in the store. Raises RegistryError or ImageError when it cannot be had."""
        with self._locks[layer.descriptor.digest]:
            if not self._is_here(layer.descriptor.digest):
                try:
                    with self._download(layer) as stream:
                        while stream.read(_PIECE):
                            self._stop.check()
                except Error:
                    self.failed.add(layer.descriptor.digest)
                    raise

    def open_blob(self, layer: Layer) -> BinaryIO:
        """The compressed bytes for a registry, which checks them: nothing here computes their digest again."""
        self.ensure(layer)
        stream = self._blobs.open_unchecked(layer.descriptor.digest)
        meter = Meter(self._sink, "push", layer.descriptor)
        return io.BufferedReader(Sent(stream, self._stop, meter), _PIECE)

    def follow(self, blob: GrowingBlob) -> SentEarly:
        """A layer that is being written, for a registry."""
        return SentEarly(blob, self._stop, self._sink)

    def _produce(self, layer: Layer, put: Callable[[bytes], bool]) -> None:
        """Feed the uncompressed tar to `put` until it declines."""
        digest = layer.descriptor.digest
        with self._locks[digest], ExitStack() as stack:
            known = self._is_here(digest)
            raw = stack.enter_context(self._blobs.open(digest) if known else self._download(layer))
            tar = stack.enter_context(decompress(raw, layer.descriptor.media_type))
            while piece := tar.read(_PIECE):
                self._stop.check()
                if self._unwanted.is_set():
                    raise ImageError(f"layer {digest} is of no more use: the build has failed")
                if not put(piece):
                    return
            while not raw.closed and raw.read(_PIECE):
                pass  # what follows the compressed data belongs to the digest too

    def _is_here(self, digest: Digest) -> bool:
        """Whether the store has the blob, and has it right."""
        if not self._blobs.has(digest):
            return False
        if not self._blobs.is_sound(digest):
            self._sink(Warned(message=f"the stored blob {digest} was damaged, and was removed"))
            return False
        return True

    def _download(self, layer: Layer) -> BinaryIO:
        if not layer.source:
            raise ImageError(
                f"layer {layer.descriptor.digest} is not in the store and no registry is known for it"
            )
        stream = self._warmed.open_blob(layer.descriptor) if self._warmed else None
        checked = None
        if stream is None:
            client = self._clients.get(layer.source, self._client)
            stream = client.open_blob(layer.source, layer.descriptor)
            self.downloaded += layer.descriptor.size
            checked = layer.descriptor.digest if layer.descriptor.digest.algorithm == "sha256" else None
        meter = Meter(self._sink, "pull", layer.descriptor)
        try:
            writer = self._blobs.writer(checked)
        except BaseException:
            stream.close()
            raise
        return io.BufferedReader(_KeptDownload(stream, writer, layer, meter), _PIECE)


class _KeptDownload(io.RawIOBase):
    """A download that becomes a blob of the store once it was read to its end."""

    def __init__(self, stream: BinaryIO, writer: BlobWriter, layer: Layer, meter: Meter) -> None:
        self._stream = stream
        self._writer = writer
        self._layer = layer
        self._meter = meter
        self._done = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # typeshed's Buffer has no len()
        data = self._stream.read(len(buffer))
        if data:
            self._writer.write(data)
            self._meter.add(len(data))
            buffer[: len(data)] = data
        elif not self._done:
            self._writer.commit(self._layer.descriptor.digest, self._layer.descriptor.size)
            self._done = True
        return len(data)

    def close(self) -> None:
        if not self.closed:
            with self._writer:
                self._stream.close()
        super().close()


class _OnEnd(Protocol):
    """Hears that the last byte was read."""

    def __call__(self, *, well: bool) -> None:
        """`well`: all of it, and as promised."""


class _PumpedLayer(io.RawIOBase):
    """Reads what a producing thread inflates, and checks the diff ID at the end; `on_end` hears how that went."""

    def __init__(
        self, layer: Layer, produce: Callable[[Layer, Callable[[bytes], bool]], None], on_end: _OnEnd
    ) -> None:
        self._layer = layer
        self._on_end = on_end
        self._hash = hashlib.sha256()
        self._pieces: queue.Queue[bytes | Exception] = queue.Queue(_QUEUED_PIECES)
        self._abandoned = threading.Event()
        self._rest = b""
        self._ended = False
        self._thread = threading.Thread(target=self._run, args=(produce,), name="layer", daemon=True)
        self._thread.start()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """What is there, up to `size` bytes, as it was inflated where that is enough: nothing is copied then."""
        if size < 0:
            return self.readall()
        if not self._rest and not self._ended:
            self._next_piece()
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # typeshed's Buffer has no len()
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._abandoned.set()
            while self._thread.is_alive():
                self._drain()
                self._thread.join(0.01)
        super().close()

    def _next_piece(self) -> None:
        piece = self._pieces.get()
        if isinstance(piece, Exception):
            self._ended = True
            self._on_end(well=False)
            raise piece
        if not piece:
            self._ended = True
            self._on_end(well=(well := self._hash.hexdigest() == self._layer.diff_id.hex))
            if not well:
                raise ImageError(f"layer {self._layer.descriptor.digest} does not unpack to {self._layer.diff_id}")
        self._rest = piece

    def _run(self, produce: Callable[[Layer, Callable[[bytes], bool]], None]) -> None:
        try:
            produce(self._layer, self._put)
            self._pieces.put(b"")
        except Exception as error:  # noqa: BLE001 - it is raised again where the layer is read
            self._pieces.put(error)

    def _put(self, piece: bytes) -> bool:
        if self._abandoned.is_set():
            return False
        self._hash.update(piece)
        self._pieces.put(piece)
        return True

    def _drain(self) -> None:
        while not self._pieces.empty():
            self._pieces.get_nowait()
