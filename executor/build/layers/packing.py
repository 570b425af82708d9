"""Siblings as pieces of a layer's tar: what is plain is read and has its header without being made an entry first.

Of a file four system calls by its descriptor are asked, and no path is walked but that of its directory.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

from executor.image.tar import BLOCK, Member, PlainHeaders
from executor.snapshot.changes import Siblings

Packed: TypeAlias = "list[bytes | int]"
"""Members of the tar, and the positions of names that are not plain, in order."""

_LARGEST = 32 * 1024
"""Bytes. 128 siblings of this size are what is held in memory at most."""
_WORTH_OPENING = 3
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOATIME  # else reading writes to each inode
_MTIME = 8  # of what stat gives: whole seconds
_PADDING = bytes(BLOCK)


def unpacked(packed: Packed, siblings: Siblings) -> Iterator[Member]:
    """The members that `siblings` were packed into; those that are not plain are looked at."""
    for piece in packed:
        if isinstance(piece, bytes):
            yield piece
        elif change := siblings.change(siblings.names[piece]):
            yield change.entry, change.content


class Packer:
    """Packs siblings. `latest_mtime` is as for `write_layer`."""

    def __init__(self, latest_mtime: int | None) -> None:
        self._headers = PlainHeaders(latest_mtime)

    def pack(self, siblings: Siblings) -> Packed:
        """Read them. What cannot be read, or changes meanwhile, is not plain."""
        packed: Packed = []
        ready: list[bytes] = []
        squash, inside, header_of = siblings.squash, siblings.folder, self._headers.header
        with _opened(siblings) as (folder, prefix):
            for position, name in enumerate(siblings.names):
                if found := _read(prefix + name, folder):
                    status, content = found
                    owner = (0, 0) if squash else (status.st_uid, status.st_gid)
                    size = len(content)
                    header = header_of(inside + name, (status.st_mode, *owner, size, int(status[_MTIME])))
                    if header:
                        ready += (header, content, _PADDING[: -size % BLOCK])
                        continue
                if ready:
                    packed.append(b"".join(ready))
                    ready = []
                packed.append(position)
        if ready:
            packed.append(b"".join(ready))
        return packed


def _read(path: bytes, folder: int | None) -> tuple[os.stat_result, bytes] | None:
    """What a file is like that has one link, no attributes and little content, and the content."""
    try:
        descriptor = os.open(path, _FLAGS, dir_fd=folder)
        try:
            status = os.fstat(descriptor)
            size = status.st_size
            if status.st_nlink != 1 or size > _LARGEST or os.listxattr(descriptor):
                return None
            content = os.read(descriptor, size + 1)
        finally:
            os.close(descriptor)
    except OSError:
        return None
    return (status, content) if len(content) == size else None


@contextmanager
def _opened(siblings: Siblings) -> Iterator[tuple[int | None, bytes]]:
    """What to open the names in, and what to put before them: the directory's descriptor, for a few its path."""
    prefix = siblings.path + b"/"
    if len(siblings.names) < _WORTH_OPENING:
        yield None, prefix
        return
    try:
        folder = os.open(siblings.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        yield None, prefix
        return
    try:
        yield folder, b""
    finally:
        os.close(folder)
