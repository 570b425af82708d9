"""Archives: what compresses them, and unpacking one as a build context.

A context's owners do not matter (COPY gives its files to 0:0) and it needs no devices: any user can unpack it into
a fresh directory. Whatever a context has no use for is refused: entries through links, devices.
"""

from __future__ import annotations

import bz2
import io
import lzma
import os
import stat
import sys
import zlib
from collections.abc import Callable
from contextlib import closing
from typing import IO, BinaryIO, cast

from executor.errors import ContextError, ImageError, context_fault
from executor.image.compression import decompress
from executor.image.layer import EntryType, LayerEntry
from executor.image.tarread import TarContent, read_entries

_CHUNK = 1 << 20
_BLOCK = 512
_PARENT_MODE = 0o755
_HEAD = 64 * 1024
_GZIP_WINDOW = 31  # zlib's code for a 32 KiB window with a gzip header
_ZSTD_WINDOW = 2**31
_MAGIC_GZIP = b"\x1f\x8b"
_MAGIC_ZSTD = b"\x28\xb5\x2f\xfd"
_MAGIC_BZIP2 = b"BZh"
_MAGIC_XZ = b"\xfd7zXZ\0"
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def open_archive(stream: BinaryIO) -> BinaryIO:
    """The uncompressed bytes of `stream`: gzip, bzip2, xz, zstd by magic number, anything else as it is.

    Closing the result closes `stream`. Damaged data raises ImageError while reading.
    """
    source = io.BufferedReader(cast("io.RawIOBase", stream), _CHUNK)
    magic = source.peek(len(_MAGIC_XZ))
    if magic.startswith(_MAGIC_BZIP2):
        return cast("BinaryIO", _Checked(bz2.BZ2File(source), source))
    if magic.startswith(_MAGIC_XZ):
        return cast("BinaryIO", _Checked(lzma.LZMAFile(source), source))
    return decompress(source)


def is_archive(path: str) -> bool:
    """Whether the regular file at `path` is a tar, compressed or not: its first header decides.

    What comes after it may still be damaged: that is for the unpacking to say.
    """
    import tarfile  # few builds add archives

    with open(path, "rb", buffering=0) as file:
        try:
            tarfile.TarInfo.frombuf(_first_block(cast("BinaryIO", file)), "utf-8", "surrogateescape")
        except (tarfile.HeaderError, ImageError):
            return False
    return True


def _first_block(file: BinaryIO) -> bytes:
    """The first 512 bytes, decompressed no further than that takes."""
    data = file.read(_HEAD)
    if data.startswith(_MAGIC_ZSTD):
        return _first_block_of_zstd(file)
    decode = _decoder(data)
    block = b""
    try:
        while data and len(block) < _BLOCK:
            block += decode(data)
            data = file.read(_HEAD)
    except (zlib.error, lzma.LZMAError, OSError, EOFError) as error:
        raise ImageError(str(error)) from error
    return block[:_BLOCK]


def _decoder(magic: bytes) -> Callable[[bytes], bytes]:
    if magic.startswith(_MAGIC_GZIP):
        gzip = zlib.decompressobj(_GZIP_WINDOW)
        return lambda data: gzip.decompress(data, _BLOCK)
    if magic.startswith(_MAGIC_BZIP2):
        bzip2 = bz2.BZ2Decompressor()
        return lambda data: bzip2.decompress(data, _BLOCK)
    if magic.startswith(_MAGIC_XZ):
        xz = lzma.LZMADecompressor()
        return lambda data: xz.decompress(data, _BLOCK)
    return bytes


def _first_block_of_zstd(file: BinaryIO) -> bytes:
    import zstandard

    file.seek(0)
    try:
        return zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).stream_reader(file).read(_BLOCK)
    except zstandard.ZstdError as error:
        raise ImageError(str(error)) from error


def unpack_context(path: str, directory: str, *, name: str = "") -> None:
    """Unpack the archive at `path` into the empty `directory`. `name` is how messages call it.

    Raises ContextError when it cannot be read, is no tar, or holds what a context cannot, and UnfitError when the
    disk has no room for it.
    """
    name = name or path
    try:
        with open(path, "rb", buffering=0) as file:
            _unpack(cast("BinaryIO", file), directory, name)
    except OSError as error:
        raise context_fault(error, f"cannot unpack the context {name}: {error.strerror or error}") from error


def newest_file(directory: str) -> int:
    """The latest modification time of a file in `directory`, in seconds; 0 when there is none."""
    times = (
        os.lstat(os.path.join(folder, name)).st_mtime for folder, _, files in os.walk(directory) for name in files
    )
    return int(max(times, default=0))


def unpack_standard_input(directory: str) -> None:
    """Unpack the archive on standard input into the empty `directory`. Raises as `unpack_context` does."""
    if sys.stdin is None or sys.stdin.isatty():
        raise ContextError("the context is to come on standard input, which is a terminal or closed")
    try:
        _unpack(sys.stdin.buffer, directory, "on standard input")
    except OSError as error:
        message = f"cannot unpack the context on standard input: {error.strerror or error}"
        raise context_fault(error, message) from error


def _unpack(stream: BinaryIO, directory: str, name: str) -> None:
    unpacker = _Unpacker(directory)
    try:
        with closing(open_archive(stream)) as plain:
            for entry, content in read_entries(plain):
                unpacker.add(entry, content)
        unpacker.finish()
    except ImageError as error:
        raise ContextError(f"the context {name} cannot be unpacked: {error.message}") from error


class _Checked:
    """A reader of the standard library whose faults come out as ImageError."""

    def __init__(self, stream: IO[bytes], source: BinaryIO) -> None:
        self._stream = stream
        self._source = source

    def read(self, size: int = -1) -> bytes:
        try:
            return self._stream.read(size)
        except (EOFError, lzma.LZMAError, OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise ImageError(f"compressed data is damaged or incomplete: {error}") from error

    def close(self) -> None:
        self._stream.close()
        self._source.close()


class _Unpacker:
    """Makes entries below a directory that nobody else writes to."""

    def __init__(self, directory: str) -> None:
        self._top = directory
        self._checked = {""}
        self._times: dict[str, tuple[int, int]] = {}

    def add(self, entry: LayerEntry, content: TarContent) -> None:
        """Make one entry; a later one of the same name replaces it."""
        if not entry.name:
            return
        self._parents(entry.name)
        path = os.path.join(self._top, entry.name)
        if entry.type is EntryType.DIRECTORY:
            self._make_directory(entry, path)
            return
        self._remove(entry.name, path)
        if entry.type is EntryType.FILE:
            self._make_file(entry, content, path)
        elif entry.type is EntryType.SYMLINK:
            os.symlink(entry.link, path)
        elif entry.type is EntryType.HARDLINK:
            self._make_hardlink(entry, path)
            return
        elif entry.type is EntryType.FIFO:
            os.mkfifo(path)
            os.chmod(path, entry.mode)
        else:
            raise ImageError(f"it holds a device: {entry.name!r}")
        os.utime(path, ns=(entry.mtime_ns, entry.mtime_ns), follow_symlinks=False)

    def finish(self) -> None:
        """Give directories their modes and times, now that nothing is made in them any more."""
        for name, (mode, mtime) in sorted(self._times.items(), reverse=True):
            path = os.path.join(self._top, name)
            os.utime(path, ns=(mtime, mtime))
            os.chmod(path, mode)

    def _parents(self, name: str) -> None:
        missing: list[str] = []
        folder = name.rpartition("/")[0]
        while folder not in self._checked:
            missing.append(folder)
            folder = folder.rpartition("/")[0]
        for folder in reversed(missing):
            path = os.path.join(self._top, folder)
            if not os.path.lexists(path):
                os.mkdir(path)
                os.chmod(path, _PARENT_MODE)
            elif not stat.S_ISDIR(os.lstat(path).st_mode):
                raise ImageError(f"{name!r} is below {folder!r}, which is not a directory")
            self._checked.add(folder)

    def _make_directory(self, entry: LayerEntry, path: str) -> None:
        self._parents(f"{entry.name}/")
        os.chmod(path, 0o700)
        self._times[entry.name] = (entry.mode, entry.mtime_ns)

    def _remove(self, name: str, path: str) -> None:
        try:
            if stat.S_ISDIR(os.lstat(path).st_mode):
                raise ImageError(f"{name!r} is a directory and something else")
            os.unlink(path)
        except FileNotFoundError:
            return

    def _make_file(self, entry: LayerEntry, content: TarContent, path: str) -> None:
        with open(os.open(path, _CREATE, 0o600), "wb") as file:
            while data := content.read(_CHUNK):
                file.write(data)
            file.flush()  # a write after it would clear setuid and setgid
            os.fchmod(file.fileno(), entry.mode)

    def _make_hardlink(self, entry: LayerEntry, path: str) -> None:
        self._parents(entry.link)
        try:
            os.link(os.path.join(self._top, entry.link), path, follow_symlinks=False)
        except (FileNotFoundError, PermissionError):
            raise ImageError(f"{entry.name!r} links to {entry.link!r}, which is no file of the archive") from None
