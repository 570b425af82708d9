"""Layer tars, written deterministically: the same entries and contents give the same bytes.

    512 bytes  ustar header; before it, only when ustar cannot say it, a PAX header ('x') with the records
    content    padded with zeros to 512 bytes
    1024 zero bytes at the end

Owners have no names, times are whole seconds as in BuildKit's layers, attributes are SCHILY.xattr records.
"""

from __future__ import annotations

import os
import stat
import zlib
from collections.abc import Callable, Iterable
from typing import BinaryIO, TypeAlias

from executor.errors import StepError, step_fault
from executor.image.layer import EntryType, LayerEntry

Content: TypeAlias = str | bytes | Callable[[], BinaryIO]
"""Where the content of a file is: a path on disk, the bytes themselves, or what opens a stream of them."""

Member: TypeAlias = tuple[LayerEntry, Content] | bytes
"""What an archive is made of: an entry, or bytes that are one or more members with all they need."""
_Status: TypeAlias = tuple[int, int, int, int, int]
"""Of a file: mode and type as stat has them, owner, group, size, and modification time in seconds."""

BLOCK = 512
_CHUNK = 256 * 1024
_MAX_ID = 0o7777777
_MAX_SIZE = 0o77777777777
_END = bytes(2 * BLOCK)
_NAME_LENGTH = 100
_PREFIX_LENGTH = 155
_HEADER = b"%b%07o\0%07o\0%07o\0%011o\0%011o\0        %b%bustar\x0000%b%07o\0%07o\0%b\0\0\0\0\0\0\0\0\0\0\0\0"
_NO_NAMES = bytes(64)
_NO_NAME = bytes(_NAME_LENGTH)
_PLAIN_MIDDLE = b"0" + _NO_NAME + b"ustar\x0000" + _NO_NAMES + b"0000000\x000000000\0"
_PLAIN_END = bytes(_PREFIX_LENGTH + 12)
_PLAIN_SUM = sum(_PLAIN_MIDDLE) + sum(b" " * 8)  # the checksum counts as blanks
_ADLER = 1 << 16
_MOST_KNOWN = 4096


def write_layer(
    changes: Iterable[Member],
    write: Callable[[bytes], object],
    *,
    latest_mtime: int | None = None,
) -> int:
    """Write a layer tar, entry after entry, and return its length in bytes.

    `write` gets pieces of 256 KiB, wherever entries end:
    that is enough for hashing and compressing them outside the interpreter lock, and equal archives give equal
    compressed bytes. `latest_mtime` (seconds since the epoch) is what later modification times become. Raises
    StepError when a file cannot be read or its size changes meanwhile; what was written by then is of no use.
    """
    out = _Output(write)
    plain = PlainHeaders(latest_mtime)
    for member in changes:
        if isinstance(member, bytes):
            out.put(member)
            continue
        entry, content = member
        out.put(_headers(entry, latest_mtime, plain))
        if entry.type is EntryType.FILE and entry.size:
            _write_content(out, entry, content)
    out.put(_END)
    out.flush()
    return out.written


class _Output:
    """Makes equal pieces, but for the last, of what comes in pieces of any size."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._pieces: list[bytes] = []
        self._pending = 0
        self.written = 0

    @property
    def room(self) -> int:
        """How many bytes make the next piece whole: so many are not copied once more."""
        return _CHUNK - self._pending

    def put(self, data: bytes) -> None:
        self._pieces.append(data)
        self._pending += len(data)
        if self._pending >= _CHUNK:
            self._write_whole()

    def flush(self) -> None:
        if self._pieces:
            self._write(b"".join(self._pieces))
            self.written += self._pending

    def _write_whole(self) -> None:
        data = b"".join(self._pieces)
        end = len(data) - len(data) % _CHUNK
        for start in range(0, end, _CHUNK):
            self._write(data[start : start + _CHUNK])
        self.written += end
        self._pending = len(data) - end
        self._pieces = [data[end:]] if self._pending else []


class PlainHeaders:
    """Headers of regular files without attributes: of many, little differs but the name.

    `latest_mtime` is as for `write_layer`.
    """

    def __init__(self, latest_mtime: int | None) -> None:
        self._latest_mtime = latest_mtime
        self._known: dict[_Status, tuple[bytes, int] | None] = {}

    def header(self, name: bytes, status: _Status) -> bytes | None:
        """The header, None where it takes a PAX header as well, or the mode is of another type."""
        fields = self._known[status] if status in self._known else self._learn(status)
        prefix = b""
        if len(name) > _NAME_LENGTH:
            prefix, name = _split(name)
        if fields is None or len(name) > _NAME_LENGTH or not name.isascii():
            return None
        numbers, total = fields
        checksum = total + zlib.adler32(name + prefix, 0) % _ADLER
        end = prefix + _PLAIN_END[len(prefix) :] if prefix else _PLAIN_END
        return b"%b%b%b%06o\0 %b%b" % (name, _NO_NAME[len(name) :], numbers, checksum, _PLAIN_MIDDLE, end)

    def _learn(self, status: _Status) -> tuple[bytes, int] | None:
        """The fields from the mode to the time, and the sum of all bytes but the name's."""
        mode, uid, gid, size, mtime = status
        if self._latest_mtime is not None:
            mtime = min(mtime, self._latest_mtime)
        fields = None
        if stat.S_ISREG(mode) and _fits(b"", b"", (mode, uid, gid, size, mtime)):
            numbers = b"%07o\0%07o\0%07o\0%011o\0%011o\0" % (stat.S_IMODE(mode), uid, gid, size, mtime)
            fields = numbers, sum(numbers) + _PLAIN_SUM
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[status] = fields
        return fields


def _headers(entry: LayerEntry, latest_mtime: int | None, plain: PlainHeaders) -> bytes:
    """The ustar header of `entry`, after a PAX header where one is needed."""
    mtime = entry.mtime_ns // 1_000_000_000
    name = entry.name.encode("utf-8", "surrogateescape")
    if entry.type is EntryType.FILE and not entry.xattrs:
        mode = stat.S_IFREG | entry.mode & 0o7777
        if header := plain.header(name, (mode, entry.uid, entry.gid, entry.size, mtime)):
            return header
    if latest_mtime is not None and mtime > latest_mtime:
        mtime = latest_mtime
    if entry.type is EntryType.DIRECTORY:
        name = name + b"/" if name else b"./"
    link = entry.link.encode("utf-8", "surrogateescape")
    size = entry.size if entry.type is EntryType.FILE else 0
    numbers = (entry.mode & 0o7777, entry.uid, entry.gid, size, mtime)
    prefix = b""
    if len(name) > _NAME_LENGTH:
        prefix, name = _split(name)
    if _fits(name, link, numbers) and not entry.xattrs:
        return _header(name, entry.type.value, link, numbers, device=entry.device, prefix=prefix)
    records = _records(entry, name, link, numbers)
    fields = (numbers[0], *(n if 0 <= n <= limit else 0 for n, limit in zip(numbers[1:], _LIMITS, strict=True)))
    short = _ascii(name)[:_NAME_LENGTH]
    header = _header(
        short, entry.type.value, _ascii(link)[:_NAME_LENGTH], fields, device=entry.device, prefix=prefix
    )
    return _pax_header(name, records) + header


_LIMITS = (_MAX_ID, _MAX_ID, _MAX_SIZE, _MAX_SIZE)


def _split(name: bytes) -> tuple[bytes, bytes]:
    """Split a long name at a slash into ustar's prefix and name; ('', name) when no slash serves."""
    if name.isascii() and len(name) <= _PREFIX_LENGTH + 1 + _NAME_LENGTH:
        slash = name.rfind(b"/", 1, min(_PREFIX_LENGTH + 1, len(name) - 1))
        if slash > 0 and len(name) - slash - 1 <= _NAME_LENGTH:
            return name[:slash], name[slash + 1 :]
    return b"", name


def _fits(name: bytes, link: bytes, numbers: tuple[int, ...]) -> bool:
    """True when ustar's fields can hold it all."""
    _, uid, gid, size, mtime = numbers
    if (
        len(name) > _NAME_LENGTH
        or not name.isascii()
        or (link and (len(link) > _NAME_LENGTH or not link.isascii()))
    ):
        return False
    return uid <= _MAX_ID and gid <= _MAX_ID and size <= _MAX_SIZE and 0 <= mtime <= _MAX_SIZE


def _records(entry: LayerEntry, name: bytes, link: bytes, numbers: tuple[int, ...]) -> list[tuple[bytes, bytes]]:
    """The PAX records for what ustar's fields cannot hold, sorted by key."""
    records: list[tuple[bytes, bytes]] = []
    for key, text in ((b"path", name), (b"linkpath", link)):
        if len(text) > _NAME_LENGTH or not text.isascii():
            records.append((key, text))
    for key, number, limit in zip((b"uid", b"gid", b"size", b"mtime"), numbers[1:], _LIMITS, strict=True):
        if not 0 <= number <= limit:
            records.append((key, b"%d" % number))
    for attribute, value in entry.xattrs.items():
        records.append((b"SCHILY.xattr." + attribute.encode("utf-8", "surrogateescape"), value))
    records.sort()
    if any(key in (b"path", b"linkpath") and not _is_utf8(text) for key, text in records):
        records.insert(0, (b"hdrcharset", b"BINARY"))
    return records


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _ascii(text: bytes) -> bytes:
    """What old readers see in place of a name that ustar cannot hold."""
    return text if text.isascii() else text.decode("ascii", "replace").encode("ascii", "replace")


def _pax_header(name: bytes, records: list[tuple[bytes, bytes]]) -> bytes:
    body = b"".join(pax_record(key, value) for key, value in records)
    short = b"PaxHeaders.0/" + _ascii(name.rstrip(b"/").rpartition(b"/")[2])[:80]
    header = _header(short, b"x", b"", (0o644, 0, 0, len(body), 0), device=(0, 0), prefix=b"")
    return header + body + bytes(-len(body) % BLOCK)


def pax_record(key: bytes, value: bytes) -> bytes:
    """`<length> <key>=<value>\\n`, where the length counts its own digits."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    if len(str(length)) != len(str(rest)):
        length = rest + len(str(length))
    return b"%d %b=%b\n" % (length, key, value)


def _header(
    name: bytes, kind: bytes, link: bytes, numbers: tuple[int, ...], *, device: tuple[int, int], prefix: bytes
) -> bytes:
    header = _HEADER % (
        name.ljust(100, b"\0"),
        *numbers,
        kind,
        link.ljust(100, b"\0"),
        _NO_NAMES,
        *device,
        prefix.ljust(155, b"\0"),
    )
    # Adler-32's low half is 1 + the sum of the bytes, exact here: 512 ASCII bytes stay below its modulus.
    checksum = (zlib.adler32(header) & 0xFFFF) - 1
    return b"%b%06o\0 %b" % (header[:148], checksum, header[156:])


def _write_content(out: _Output, entry: LayerEntry, content: Content) -> None:
    try:
        if isinstance(content, bytes):
            _put_all(out, entry, content)
        elif isinstance(content, str):
            _write_file(out, entry, content)
        else:
            with content() as stream:
                _write_stream(out, entry, stream.read)
    except OSError as error:
        raise step_fault(error, f"cannot read /{entry.name} for the layer: {error.strerror}") from error


def _write_file(out: _Output, entry: LayerEntry, path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if entry.size < _CHUNK:
            _put_all(out, entry, os.read(descriptor, entry.size + 1))
        else:
            _write_stream(out, entry, lambda count: os.read(descriptor, count))
    finally:
        os.close(descriptor)


def _put_all(out: _Output, entry: LayerEntry, data: bytes) -> None:
    if len(data) != entry.size:
        raise _changed(entry)
    out.put(data)
    if padding := -len(data) % BLOCK:
        out.put(bytes(padding))


def _write_stream(out: _Output, entry: LayerEntry, read: Callable[[int], bytes]) -> None:
    left = entry.size
    while left:
        data = read(min(left, out.room))
        if not data:
            raise _changed(entry)
        out.put(data)
        left -= len(data)
    if read(1):
        raise _changed(entry)
    if padding := -entry.size % BLOCK:
        out.put(bytes(padding))


def _changed(entry: LayerEntry) -> StepError:
    return StepError(
        f"/{entry.name} changed its size while its layer was written",
        hint="something outside the build writes to it; stop that and build again",
    )
