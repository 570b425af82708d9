"""A stream that is checked against a descriptor while it is read."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from typing import BinaryIO

from executor.errors import ImageError
from executor.image.descriptor import Descriptor

BUFFER = 256 * 1024
LARGEST_DOCUMENT = 8 * 1024 * 1024
"""Bytes of a manifest, an index or a configuration. Registries must take manifests of 4 MiB (distribution spec,
"Pushing Manifests"); more is an attack or an accident."""


def read_document(open_blob: Callable[[Descriptor], BinaryIO], descriptor: Descriptor) -> bytes:
    """A manifest, an index or a configuration as a whole. Raises ImageError for what is too large for one."""
    if descriptor.size > LARGEST_DOCUMENT:
        raise ImageError(f"{descriptor.digest} is too large for a manifest or a configuration")
    with open_blob(descriptor) as stream:
        return stream.read()


def verified(stream: BinaryIO, descriptor: Descriptor) -> BinaryIO:
    """`stream`, which is closed with the result. Reading raises ImageError when size or digest are not right.

    A digest that is not right shows with the last of the expected bytes, which is not given out; that there are
    more only to who reads on, that is until a read returns b''.
    """
    return io.BufferedReader(_Verified(stream, descriptor), BUFFER)


class _Verified(io.RawIOBase):
    def __init__(self, stream: BinaryIO, descriptor: Descriptor) -> None:
        self._stream = stream
        self._descriptor = descriptor
        self._hash = hashlib.new(descriptor.digest.algorithm)
        self._size = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # typeshed's Buffer has no len()
        data = self._stream.read(len(buffer))
        self._size += len(data)
        self._hash.update(data)
        if self._size >= self._descriptor.size or not data:
            self._check()
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()

    def _check(self) -> None:
        wanted = self._descriptor
        if self._size != wanted.size:
            more = "more than " if self._size > wanted.size else ""
            found = wanted.size if more else self._size
            raise ImageError(f"blob {wanted.digest} has {more}{found} bytes where {wanted.size} are expected")
        if self._hash.hexdigest() != wanted.digest.hex:
            raise ImageError(f"blob {wanted.digest} is damaged: its content has another digest")
