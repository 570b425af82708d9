"""Tar streams, read once from front to back: old v7, ustar, GNU long names and PAX, as layers and archives are.

Malformed input raises ImageError and nothing else. Names come out relative and clean: no leading `/` or `./`, no
`..`, no trailing slash. The stream is read to its end after the end blocks, so that whoever hashes it sees all.
"""

from __future__ import annotations

import base64
import binascii
import posixpath
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import BinaryIO
from urllib.parse import unquote_to_bytes

from executor.errors import ImageError
from executor.image.layer import EntryType, LayerEntry

_BLOCK = 512
_CHUNK = 256 * 1024
_MAX_METADATA = 1 << 20  # bytes of one PAX or GNU long name header, as Go's archive/tar
_ZERO_BLOCK = bytes(_BLOCK)
_LARGEST_ID = 2**32 - 2
_LARGEST_DEVICE = 2**31 - 1
_TYPES: Mapping[bytes, EntryType] = {
    **{kind.value: kind for kind in EntryType},
    b"\0": EntryType.FILE,
    b"7": EntryType.FILE,
}
_PLAIN = re.compile(rb"([0-7]{7})\0([0-7]{7})\0([0-7]{7})\0([0-7]{11})\0([0-7]{11})\0([0-7]{6})\0 ")
"""Mode, uid, gid, size, time and checksum, from byte 100 of a header on, as nearly every tool writes them."""
_DECIMAL = re.compile(rb"(-?)(\d{1,18})(?:\.(\d*))?\Z")
_INTEGER = re.compile(rb"\d{1,18}\Z")
_SCHILY = b"SCHILY.xattr."
_LIBARCHIVE = b"LIBARCHIVE.xattr."


class _Source:
    """Exact reads from a stream that returns what it likes."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._buffer = b""
        self._position = 0

    def take(self, count: int) -> bytes:
        """Exactly `count` bytes."""
        end = self._position + count
        if end <= len(self._buffer):
            data = self._buffer[self._position : end]
            self._position = end
            return data
        pieces = [self._buffer[self._position :]]
        missing = count - len(pieces[0])
        while missing > 0:
            self._refill()
            pieces.append(self._buffer[:missing])
            self._position = len(pieces[-1])
            missing -= self._position
        return b"".join(pieces)

    def take_block(self) -> bytes:
        """The next header block, or b'' at the end of the stream."""
        if self._position == len(self._buffer) and not self._refill(may_end=True):
            return b""
        return self.take(_BLOCK)

    def skip(self, count: int) -> None:
        while count > (available := len(self._buffer) - self._position):
            count -= available
            self._refill()
        self._position += count

    def drain(self) -> None:
        while self._refill(may_end=True):
            pass

    def _refill(self, *, may_end: bool = False) -> bool:
        self._buffer = self._stream.read(_CHUNK)
        self._position = 0
        if not self._buffer and not may_end:
            raise ImageError("the tar ends in the middle of an entry")
        return bool(self._buffer)


class TarContent:
    """The content of the entry just yielded; gone when the next one is asked for. `left` counts unread bytes."""

    def __init__(self, source: _Source) -> None:
        self._source = source
        self.left = 0
        self._padding = 0

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes (-1: all that is left), b'' at the end. Raises ImageError when the tar is cut off."""
        count = self.left if size < 0 else min(size, self.left)
        data = self._source.take(count)
        self.left -= count
        return data

    def begin(self, size: int) -> None:
        """The reader's: an entry with `size` bytes of content begins."""
        self.left = size
        self._padding = -size % _BLOCK

    def finish(self) -> None:
        """The reader's: pass over what was not read."""
        self._source.skip(self.left + self._padding)
        self.left = self._padding = 0


def read_entries(stream: BinaryIO) -> Iterator[tuple[LayerEntry, TarContent]]:
    """Yield every entry with its content, which can be read until the next entry is asked for.

    `stream` holds an uncompressed tar. Entries keep the archive's order; repeated names are not merged. A missing
    end marker is accepted at the border of an entry. Raises ImageError for malformed input, for names that leave
    the root, and for entry kinds that cannot stand in a layer (sparse files among them).
    """
    source = _Source(stream)
    content = TarContent(source)
    overrides = _Overrides()
    while block := source.take_block():
        if block == _ZERO_BLOCK:
            _check_end(source.take_block())
            source.drain()
            return
        plain = _PLAIN.match(block, 100)
        _check_sum(block, int(plain[6], 8) if plain else _number(block[148:156], "checksum"))
        kind = block[156:157]
        if kind in (b"x", b"g", b"L", b"K"):
            overrides.add(kind, _metadata(source, block))
            continue
        records = overrides.take()
        entry = _plain_entry(block, kind, plain) if plain and not records else _entry(block, kind, records)
        content.begin(entry.size)
        yield entry, content
        content.finish()
    if overrides.pending:
        raise ImageError("the tar ends after an extended header")


def replayed(entries: Iterable[LayerEntry], contents: BinaryIO) -> Iterator[tuple[LayerEntry, TarContent]]:
    """`entries` that were read before, as `read_entries` yields them; `contents` has their contents in a row."""
    source = _Source(contents)
    content = TarContent(source)
    for entry in entries:
        content.left = entry.size
        yield entry, content
        content.finish()


def _check_end(block: bytes) -> None:
    if block not in (b"", _ZERO_BLOCK):
        raise ImageError("the tar has an empty block between entries")


def _check_sum(block: bytes, expected: int) -> None:
    frame = block[:148] + b"        " + block[156:]
    # Adler-32's low half is 1 + the sum of the bytes, exact for 512 ASCII bytes.
    total = (zlib.adler32(frame) & 0xFFFF) - 1 if frame.isascii() else sum(frame)
    if total != expected and expected != sum(byte - 256 if byte > 127 else byte for byte in frame):
        raise ImageError("a tar header has a wrong checksum")


def _metadata(source: _Source, block: bytes) -> bytes:
    size = _number(block[124:136], "size")
    if size > _MAX_METADATA:
        raise ImageError(f"a tar extended header has {size} bytes, more than {_MAX_METADATA}")
    return source.take(size + -size % _BLOCK)[:size]


class _Overrides:
    """What extended headers say about the next entry, and about all that follow."""

    def __init__(self) -> None:
        self._global: dict[bytes, bytes] = {}
        self._next: dict[bytes, bytes] = {}
        self.pending = False

    def add(self, kind: bytes, body: bytes) -> None:
        if kind == b"g":
            _merge(self._global, _pax_records(body))
            return
        self.pending = True
        if kind == b"x":
            _merge(self._next, _pax_records(body))
        else:
            self._next[b"path" if kind == b"L" else b"linkpath"] = body.rstrip(b"\0")

    def take(self) -> Mapping[bytes, bytes] | None:
        if not self.pending:
            return self._global or None
        records = self._global | self._next
        self._next = {}
        self.pending = False
        return {key: value for key, value in records.items() if value or key.startswith((_SCHILY, _LIBARCHIVE))}


def _merge(into: dict[bytes, bytes], records: Iterator[tuple[bytes, bytes]]) -> None:
    for key, value in records:
        if key.startswith(b"GNU.sparse."):
            raise ImageError("the tar holds a sparse file, which layers cannot have")
        into[key] = value


def _pax_records(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 0
    while position < len(body) and body[position]:
        space = body.find(b" ", position, position + 20)
        length = int(body[position:space]) if space > 0 and _INTEGER.match(body[position:space]) else 0
        end = position + length
        key, equals, value = body[space + 1 : end - 1].partition(b"=")
        fits = position < space < end <= len(body)  # and so every record moves on
        if not fits or body[end - 1] != ord("\n") or not equals or not key:
            raise ImageError("a tar extended header has a malformed record")
        yield key, value
        position = end


def _plain_entry(block: bytes, flag: bytes, numbers: re.Match[bytes]) -> LayerEntry:
    """What `_entry` makes of a header that is as usual and has no records: half of its work is in unusual ones."""
    path = _ustar_name(block)
    kind = _type(flag, path)
    mode, uid, gid, size, seconds, _ = numbers.groups()
    linked = kind is EntryType.SYMLINK or kind is EntryType.HARDLINK
    return LayerEntry(
        name=clean_name(path),
        type=kind,
        mode=int(mode, 8) & 0o7777,
        uid=int(uid, 8),
        gid=int(gid, 8),
        size=int(size, 8) if kind is EntryType.FILE else 0,
        mtime_ns=int(seconds, 8) * 1_000_000_000,
        link=_link(kind, _text(block[157:257])) if linked else "",
        device=_device(kind, block),
    )


def _type(flag: bytes, path: bytes) -> EntryType:
    kind = _TYPES.get(flag)
    if kind is None:
        what = "a sparse file" if flag == b"S" else f"an entry of the unknown type {flag!r}"
        raise ImageError(f"the tar holds {what}, which layers cannot have")
    return EntryType.DIRECTORY if flag == b"\0" and path.endswith(b"/") else kind


def _device(kind: EntryType, block: bytes) -> tuple[int, int]:
    if kind is EntryType.CHARACTER_DEVICE or kind is EntryType.BLOCK_DEVICE:
        numbers = (_number(block[329:337], "device"), _number(block[337:345], "device"))
        return _bounded(numbers[0], _LARGEST_DEVICE, "device"), _bounded(numbers[1], _LARGEST_DEVICE, "device")
    return 0, 0


def _entry(block: bytes, flag: bytes, records: Mapping[bytes, bytes] | None) -> LayerEntry:
    records = records or {}
    path = records.get(b"path") or _ustar_name(block)
    kind = _type(flag, path)
    link = records.get(b"linkpath") or _text(block[157:257])
    size = _field(records, b"size", block[124:136])
    return LayerEntry(
        name=clean_name(path),
        type=kind,
        mode=_number(block[100:108], "mode") & 0o7777,
        uid=_bounded(_field(records, b"uid", block[108:116]), _LARGEST_ID, "uid"),
        gid=_bounded(_field(records, b"gid", block[116:124]), _LARGEST_ID, "gid"),
        size=size if kind is EntryType.FILE else 0,
        mtime_ns=_mtime(records, block),
        link=_link(kind, link),
        device=_device(kind, block),
        xattrs=_xattrs(records) if records else {},
    )


def _ustar_name(block: bytes) -> bytes:
    name = _text(block[:100])
    # GNU's own format ("ustar  ") keeps other things where POSIX has the prefix.
    if block[257:263] == b"ustar\0" and block[345]:
        return _text(block[345:500]) + b"/" + name
    return name


def _text(field: bytes) -> bytes:
    end = field.find(b"\0")
    return field if end < 0 else field[:end]


def clean_name(path: bytes) -> str:
    """An entry's name in its normal form; '' is the root. Raises ImageError when it leads out of the root."""
    if b"\0" in path:
        raise ImageError(f"the tar has a name with a NUL byte: {path[:80]!r}")
    name = path.decode("utf-8", "surrogateescape").strip("/")
    if name[:2] == "./":  # as GNU's tar writes each name of `tar -c .`
        name = name[2:].lstrip("/")
    if name.startswith(".") or "/." in name or "//" in name:
        name = posixpath.normpath(name)
        if name == "..":
            raise ImageError("the tar has an entry outside of its root: '..'")
        if name.startswith("../"):
            raise ImageError(f"the tar has an entry outside of its root: {name!r}")
        name = "" if name == "." else name
    return name


def _link(kind: EntryType, link: bytes) -> str:
    if kind is EntryType.HARDLINK:
        return clean_name(link)
    if kind is not EntryType.SYMLINK:
        return ""
    if not link or b"\0" in link:
        raise ImageError(f"the tar has a symbolic link with the target {link[:80]!r}")
    return link.decode("utf-8", "surrogateescape")


def _number(field: bytes, what: str) -> int:
    """A number in octal digits, or in base 256 when the first bit is set (GNU)."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big") & ((1 << (len(field) * 8 - 1)) - 1)
        if field[0] & 0x40 or value >= 1 << 63:
            raise ImageError(f"a tar header has an impossible {what}")
        return value
    digits = _text(field).strip(b" ")
    try:
        value = int(digits, 8) if digits else 0
    except ValueError:
        raise ImageError(f"a tar header has a malformed {what}: {field!r}") from None
    if value < 0:
        raise ImageError(f"a tar header has a negative {what}: {field!r}")
    return value


def _bounded(number: int, largest: int, what: str) -> int:
    """`number`, if there can be such an id or such a part of a device number."""
    if number > largest:
        raise ImageError(f"a tar header has an impossible {what}: {number}")
    return number


def _field(records: Mapping[bytes, bytes], key: bytes, field: bytes) -> int:
    text = records.get(key)
    if text is None:
        return _number(field, key.decode())
    if not _INTEGER.match(text):
        raise ImageError(f"a tar extended header has a malformed {key.decode()}: {text[:40]!r}")
    return int(text)


def _mtime(records: Mapping[bytes, bytes], block: bytes) -> int:
    """Nanoseconds since the epoch. Base 256 times may lie before it."""
    text = records.get(b"mtime")
    if text is None:
        field = block[136:148]
        if field[0] == 0xFF:
            return max(int.from_bytes(field, "big", signed=True), -(1 << 33)) * 1_000_000_000
        return min(_number(field, "time"), 1 << 33) * 1_000_000_000
    match = _DECIMAL.match(text)
    if not match:
        raise ImageError(f"a tar extended header has a malformed mtime: {text[:40]!r}")
    sign, whole, fraction = match.groups()
    value = min(int(whole), 1 << 33) * 1_000_000_000 + int((fraction or b"").ljust(9, b"0")[:9])
    return -value if sign else value


def _xattrs(records: Mapping[bytes, bytes]) -> dict[str, bytes]:
    """Extended attributes from star's records (raw) and libarchive's (URL-quoted name, base64 value)."""
    found: dict[str, bytes] = {}
    for key, value in records.items():
        if key.startswith(_LIBARCHIVE):
            name = unquote_to_bytes(key.removeprefix(_LIBARCHIVE))
            found.setdefault(_xattr_name(name), _base64(value))
        elif key.startswith(_SCHILY):
            found[_xattr_name(key.removeprefix(_SCHILY))] = value
    return found


def _xattr_name(name: bytes) -> str:
    if not name or b"\0" in name:
        raise ImageError(f"a tar extended header names a malformed attribute: {name[:80]!r}")
    return name.decode("utf-8", "surrogateescape")


def _base64(value: bytes) -> bytes:
    try:
        return base64.b64decode(value + b"=" * (-len(value) % 4))
    except binascii.Error:
        raise ImageError("a tar extended header has a malformed LIBARCHIVE.xattr value") from None
