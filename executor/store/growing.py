"""A blob while it is being written, for those who cannot wait for the whole of it."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterator

from executor.errors import ImageError
from executor.image.digest import Digest

_PIECE = 256 * 1024


class GrowingBlob:
    """What is read of the file `path` is what was written by then: no reader holds the writer up, or any memory.

    Safe for several threads.
    """

    def __init__(self, path: str, size: int) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self._descriptor)  # not while any thread reads
        self._change = threading.Condition()
        self._ended = False
        self.size = size
        """Bytes so far."""
        self.digest: Digest | None = None
        """Known when the blob is whole."""

    def grew(self, size: int) -> None:
        """Tell of `size` bytes in all."""
        with self._change:
            self.size = size
            self._change.notify_all()

    def end(self, digest: Digest | None) -> None:
        """Tell that nothing is to come; without a digest the blob was given up. Only the first call counts."""
        with self._change:
            if not self._ended:
                self._ended, self.digest = True, digest
                self._change.notify_all()

    def pieces(self) -> Iterator[bytes]:
        """The bytes from the first one on, up to the blob's end, which is waited for.

        Raises ImageError when it is given up, or cannot be read.
        """
        offset = 0
        while count := self._count_beyond(offset):
            try:
                piece = os.pread(self._descriptor, count, offset)
            except OSError as error:
                raise ImageError(f"cannot read a layer that is being written: {error.strerror}") from error
            if not piece:
                raise ImageError("a layer that is being written has become shorter")
            offset += len(piece)
            yield piece

    def _count_beyond(self, offset: int) -> int:
        """How many bytes can be read from `offset` on, once there are any; 0 at the end."""
        with self._change:
            self._change.wait_for(lambda: self.size > offset or self._ended)
            if self._ended and self.digest is None:
                raise ImageError("a layer was given up while it was being written")
            return min(self.size - offset, _PIECE)
