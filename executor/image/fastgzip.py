"""gzip by ISA-L, about three times as fast as zlib; what no compressor makes smaller is stored as it is.

To store noise takes a third of the time that ISA-L takes to find nothing in it (0.46 s for a GiB against 1.65). A
deflate stream may change from block to block between compressed and stored ones.
"""

from __future__ import annotations

from isal import isal_zlib

from executor.image.noise import SMALLEST, WORTH, sample, stored

_HEADER = b"\x1f\x8b\x08\x00" + bytes(4) + b"\x00\xff"  # deflate; no name, no time, unknown system
_RAW = -15
_LOOKED_THROUGH = 16
"""One piece in so many, of those that are stored, is compressed as a whole to see what comes of it."""


class FastGzip:
    """A `Compressor`; `level` is 1 to 3. Equal pieces in equal order give equal bytes, on one type of CPU."""

    def __init__(self, level: int) -> None:
        self._level = level
        self._deflate = isal_zlib.compressobj(level, isal_zlib.DEFLATED, _RAW)
        self._is_open = False
        """Whether `_deflate` has something that is not out yet."""
        self._stored = 0
        self._crc = 0
        self._size = 0
        self._header = _HEADER

    def compress(self, data: bytes, /) -> bytes:
        """See `Compressor.compress`."""
        self._crc = isal_zlib.crc32(data, self._crc)
        self._size += len(data)
        if not self._is_to_be_stored(data):
            self._is_open = True
            return self._take_header() + self._deflate.compress(data)
        before = self._deflate.flush(isal_zlib.Z_FULL_FLUSH) if self._is_open else b""
        self._is_open = False
        return b"".join([self._take_header(), before, *stored(data)])

    def flush(self) -> bytes:
        """See `Compressor.flush`."""
        trailer = self._crc.to_bytes(4, "little") + (self._size & 0xFFFFFFFF).to_bytes(4, "little")
        return self._take_header() + self._deflate.flush(isal_zlib.Z_FINISH) + trailer

    def _is_to_be_stored(self, data: bytes) -> bool:
        """Whether samples of `data` do not compress, nor all of it for the first of a row and some of the others:
        what repeats itself at a distance is in no sample.
        """
        if len(data) < SMALLEST:
            return False
        if self._compresses(sample(data)) or (not self._stored % _LOOKED_THROUGH and self._compresses(data)):
            self._stored = 0
            return False
        self._stored += 1
        return True

    def _compresses(self, data: bytes) -> bool:
        return len(isal_zlib.compress(data, self._level, _RAW)) < len(data) * WORTH

    def _take_header(self) -> bytes:
        header, self._header = self._header, b""
        return header
