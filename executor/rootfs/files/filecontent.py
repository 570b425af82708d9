"""The bytes of one file, from descriptor to descriptor, by the cheapest way the two file systems allow.

Small files go through memory (few system calls); larger ones by copy_file_range, which shares blocks where the
file system can, else by sendfile. Holes of a sparse file stay holes.
"""

from __future__ import annotations

import errno
import os

_SMALL = 64 * 1024
_LARGEST_CALL = 1 << 30
_BLOCK = 512
_NOT_HERE = frozenset({errno.EXDEV, errno.ENOSYS, errno.EPERM, errno.EIO, errno.EOPNOTSUPP, errno.EINVAL})


def copy_content(source: int, target: int, info: os.stat_result) -> None:
    """Copy all of `source` to the empty file `target`; both are descriptors at offset 0.

    `info` is the source's status. Raises OSError, also when the source turns out shorter than that.
    """
    if info.st_size <= _SMALL:
        _copy_small(source, target)
    elif info.st_blocks * _BLOCK < info.st_size:
        _copy_sparse(source, target, info.st_size)
    else:
        _copy_range(source, target, 0, info.st_size)


def _copy_small(source: int, target: int) -> None:
    data = os.read(source, _SMALL + 1)
    while data:
        view = memoryview(data)
        while view:
            view = view[os.write(target, view) :]
        data = os.read(source, _SMALL + 1) if len(data) > _SMALL else b""


def _copy_sparse(source: int, target: int, size: int) -> None:
    os.ftruncate(target, size)
    start = 0
    while start < size:
        try:
            start = os.lseek(source, start, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole up to the end
                return
            raise
        end = min(os.lseek(source, start, os.SEEK_HOLE), size)
        _copy_range(source, target, start, end)
        start = end


def _copy_range(source: int, target: int, start: int, end: int) -> None:
    try:
        while start < end:
            count = os.copy_file_range(source, target, min(end - start, _LARGEST_CALL), start, start)
            if not count:  # some special file systems claim an end that is none
                break
            start += count
    except OSError as error:
        if error.errno not in _NOT_HERE:
            raise
    os.lseek(target, start, os.SEEK_SET)
    while start < end:
        count = os.sendfile(target, source, start, min(end - start, _LARGEST_CALL))
        if not count:
            raise OSError(errno.EIO, "the file became shorter while it was read")
        start += count
