"""Files described in a test and made on disk, with what git does not keep: modes, owners, links, xattrs, times."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import subprocess
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

Compression = Literal["", "gz", "bz2", "xz", "zst"]

PAST = 981173106
"""2001-02-03T04:05:06Z, the time of every file made from a recipe; it tells a copied time from a build's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A regular file. `xattrs` maps names to bytes."""

    content: str | bytes = ""
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    mtime: int = PAST
    xattrs: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dir:
    """A directory; needed only where its mode or owner matters."""

    mode: int = 0o755
    uid: int = 0
    gid: int = 0
    mtime: int = PAST


@dataclass(frozen=True, slots=True)
class Symlink:
    """A symbolic link."""

    target: str


@dataclass(frozen=True, slots=True)
class Hardlink:
    """A further name of a file of the same recipe that stands before it."""

    target: str


@dataclass(frozen=True, slots=True)
class Fifo:
    """A named pipe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """A tar archive of `files`, compressed."""

    files: Mapping[str, Node]
    compression: Compression = ""


Node: TypeAlias = File | Dir | Symlink | Hardlink | Fifo | Archive | str
"""A str is the content of a plain file."""


def make_files(folder: Path, recipe: Mapping[str, Node]) -> None:
    """Make `recipe` (relative path → node) below `folder`, independent of the umask."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, node in recipe.items():
        path = folder / name
        for parent in reversed(path.relative_to(folder).parents[:-1]):
            if not (folder / parent).exists():
                _make(folder, folder / parent, Dir())
        _make(folder, path, node)
    for directory, _, _ in os.walk(folder, topdown=False):
        os.utime(directory, (PAST, PAST))


def _make(folder: Path, path: Path, node: Node) -> None:
    match node:
        case str():
            _make_file(path, File(content=node))
        case File():
            _make_file(path, node)
        case Dir():
            path.mkdir(exist_ok=True)
            path.chmod(node.mode)
            os.chown(path, node.uid, node.gid)
        case Symlink():
            path.symlink_to(node.target)
            os.utime(path, (PAST, PAST), follow_symlinks=False)
        case Hardlink():
            path.hardlink_to(folder / node.target)
        case Fifo():
            os.mkfifo(path)
            path.chmod(0o644)
        case Archive():
            _make_file(path, File(content=archive_bytes(node)))


def _make_file(path: Path, node: File) -> None:
    path.write_bytes(_encoded(node.content))
    os.chown(path, node.uid, node.gid)  # before the mode: it takes the setuid bit away
    path.chmod(node.mode)
    for name, value in node.xattrs.items():
        os.setxattr(path, name, value)
    os.utime(path, (node.mtime, node.mtime))


def _encoded(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content


def archive_bytes(archive: Archive) -> bytes:
    """The archive as bytes, the same ones on every call."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as out:
        for name, node in archive.files.items():
            info, data = _member(name, node, archive.files)
            out.addfile(info, io.BytesIO(data))
    return _compressed(buffer.getvalue(), archive.compression)


def _member(name: str, node: Node, files: Mapping[str, Node]) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.mtime, info.mode, data = PAST, 0o644, b""
    match node:
        case str():
            data = node.encode()
        case File():
            data = _encoded(node.content)
            info.mode, info.uid, info.gid, info.mtime = node.mode, node.uid, node.gid, node.mtime
            info.pax_headers = _xattr_headers(node.xattrs)
        case Dir():
            info.type, info.mode, info.uid, info.gid = tarfile.DIRTYPE, node.mode, node.uid, node.gid
        case Symlink():
            info.type, info.linkname, info.mode = tarfile.SYMTYPE, node.target, 0o777
        case Hardlink():
            info, _ = _member(node.target, files[node.target], files)  # a link repeats what it says of the inode
            info.name, info.type, info.linkname, data = name, tarfile.LNKTYPE, node.target, b""
        case Fifo():
            info.type = tarfile.FIFOTYPE
        case Archive():
            data = archive_bytes(node)
    info.size = len(data)
    return info, data


def _xattr_headers(xattrs: Mapping[str, bytes]) -> dict[str, str]:
    return {f"SCHILY.xattr.{name}": value.decode("utf-8", "surrogateescape") for name, value in xattrs.items()}


def _compressed(data: bytes, compression: str) -> bytes:
    match compression:
        case "gz":
            return gzip.compress(data, mtime=0)
        case "bz2":
            return bz2.compress(data)
        case "xz":
            return lzma.compress(data)
        case "zst":
            return subprocess.run(["zstd", "-qc"], input=data, capture_output=True, check=True).stdout
        case _:
            return data
