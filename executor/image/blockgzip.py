"""gzip in blocks that are compressed side by side, as pigz does; the bytes do not depend on the number of threads.

Each block is a piece of one deflate stream: it may refer back to the 32 KiB before it, and ends at a byte border
(Z_SYNC_FLUSH), so that the pieces are joined as they are. A block of noise is stored: zlib would take 24 s to find
nothing in a GiB of it.
"""

from __future__ import annotations

import zlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

from executor.image.noise import is_noise, stored

_HEADER = b"\x1f\x8b\x08\x00" + bytes(4) + b"\x00\xff"  # deflate; no name, no time, unknown system
_BLOCK = 512 * 1024
_WINDOW = 32 * 1024
_RAW = -zlib.MAX_WBITS


class BlockGzip:
    """A `Compressor` that uses up to `threads` threads. `level` is zlib's, 0 to 9."""

    def __init__(self, *, level: int, threads: int) -> None:
        self._level = level
        self._threads = threads
        self._pool: ThreadPoolExecutor | None = None
        self._pending: deque[Future[bytes]] = deque()
        self._rest = bytearray()
        self._window = b""
        self._crc = 0
        self._size = 0
        self._header = _HEADER

    def compress(self, data: bytes, /) -> bytes:
        """See `Compressor.compress`."""
        self._crc = zlib.crc32(data, self._crc)
        self._size += len(data)
        self._rest += data
        ready = []
        while len(self._rest) > _BLOCK:  # the last block must not be empty, so a full one waits for more
            ready.append(self._begin(bytes(self._rest[:_BLOCK])))
            del self._rest[:_BLOCK]
        return b"".join(ready)

    def flush(self) -> bytes:
        """See `Compressor.flush`."""
        last = _deflated(bytes(self._rest), self._window, self._level, zlib.Z_FINISH)
        done = b"".join(future.result() for future in self._pending)
        if self._pool:
            self._pool.shutdown()
        trailer = self._crc.to_bytes(4, "little") + (self._size & 0xFFFFFFFF).to_bytes(4, "little")
        return self._take_header() + done + last + trailer

    def _begin(self, block: bytes) -> bytes:
        """Give a block to a thread; what the oldest ones made once more of them wait than there are threads."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, "gzip")
        self._pending.append(self._pool.submit(_deflated, block, self._window, self._level, zlib.Z_SYNC_FLUSH))
        self._window = block[-_WINDOW:]
        ready = [self._take_header()]
        while len(self._pending) > 2 * self._threads:
            ready.append(self._pending.popleft().result())
        return b"".join(ready)

    def _take_header(self) -> bytes:
        header, self._header = self._header, b""
        return header


def _deflated(block: bytes, window: bytes, level: int, mode: int) -> bytes:
    if level and mode == zlib.Z_SYNC_FLUSH and is_noise(block):
        return b"".join(stored(block))
    compressor = zlib.compressobj(level, zlib.DEFLATED, _RAW, zlib.DEF_MEM_LEVEL, zlib.Z_DEFAULT_STRATEGY, window)
    return compressor.compress(block) + compressor.flush(mode)
