"""Telling of bytes as they come and go: how far a large blob is."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO, Literal

from executor.build.stopping import StopFlag
from executor.events import Sink, TransferAdvanced
from executor.image.descriptor import Descriptor
from executor.image.digest import Digest

if TYPE_CHECKING:
    from executor.store.growing import GrowingBlob

_SMALLEST = 4 * 1024 * 1024
_EVERY = 0.5


class Meter:
    """Counts the bytes of one blob on their way, and tells `sink` twice a second; of 4 MiB and more only."""

    def __init__(
        self,
        sink: Sink,
        direction: Literal["pull", "push"],
        blob: Descriptor,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sink = sink
        self._direction: Literal["pull", "push"] = direction
        self._blob = blob
        self._clock = clock
        self._done = 0
        self._next = clock() + _EVERY

    def add(self, count: int) -> None:
        """`count` more bytes have passed."""
        self._done += count
        if self._blob.size >= _SMALLEST and self._clock() >= self._next:
            self._next = self._clock() + _EVERY
            self._sink(
                TransferAdvanced(
                    direction=self._direction,
                    digest=self._blob.digest,
                    done=min(self._done, self._blob.size),
                    total=self._blob.size,
                )
            )


class Sent(io.RawIOBase):
    """A stream for an upload, which ends when the build is stopped."""

    def __init__(self, stream: BinaryIO, stop: StopFlag, meter: Meter) -> None:
        self._stream = stream
        self._stop = stop
        self._meter = meter

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # typeshed's Buffer has no len()
        self._stop.check()
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        self._meter.add(len(data))
        return len(data)

    def close(self) -> None:
        self._stream.close()
        super().close()


class SentEarly:
    """A blob that is sent while it is being written; telling of it begins when its size is known."""

    def __init__(self, blob: GrowingBlob, stop: StopFlag, sink: Sink) -> None:
        self._blob = blob
        self._stop = stop
        self._sink = sink

    @property
    def digest(self) -> Digest | None:
        """See `GrowingBlob.digest`."""
        return self._blob.digest

    def pieces(self) -> Iterator[bytes]:
        """See `GrowingBlob.pieces`. Raises StoppedError when the build is stopped."""
        meter: Meter | None = None
        sent = 0
        for piece in self._blob.pieces():
            self._stop.check()
            yield piece
            sent += len(piece)
            if meter:
                meter.add(len(piece))
            elif self._blob.digest:
                meter = Meter(self._sink, "push", Descriptor("", self._blob.digest, self._blob.size))
                meter.add(sent)
