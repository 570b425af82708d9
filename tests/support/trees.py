"""Directory trees written and read as dictionaries, so that a test's table shows the whole of them.

"a/b": "file content"          "d": Dir(0o700)     "l": Link("target")
"x": File("content", 0o4755)   "p": Fifo()         "h": Hard("a/b")
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class File:
    content: str
    mode: int = 0o644
    mtime: int = 0


@dataclass(frozen=True)
class Dir:
    mode: int = 0o755


@dataclass(frozen=True)
class Link:
    target: str


@dataclass(frozen=True)
class Fifo:
    mode: int = 0o644


@dataclass(frozen=True)
class Hard:
    target: str


Node = File | Dir | Link | Fifo | Hard


def write_tree(top: Path, tree: Mapping[str, Node | str]) -> Path:
    """Make `tree` below `top`; parents are made as they are needed, strings are files."""
    top.mkdir(exist_ok=True, parents=True)
    top.chmod(0o755)
    for name, written in tree.items():
        path = top / name
        for parent in reversed(path.relative_to(top).parents):
            if not (top / parent).is_dir():
                (top / parent).mkdir()
                (top / parent).chmod(0o755)
        _write(top, path, File(written) if isinstance(written, str) else written)
    return top


def _write(top: Path, path: Path, node: Node) -> None:
    match node:
        case File(content, mode, mtime):
            path.write_text(content)
            path.chmod(mode)
            if mtime:
                os.utime(path, (mtime, mtime))
        case Dir(mode):
            path.mkdir(exist_ok=True)
            path.chmod(mode)
        case Link(target):
            path.symlink_to(target)
        case Fifo(mode):
            os.mkfifo(path)
            path.chmod(mode)
        case Hard(target):
            path.hardlink_to(top / target)


def read_tree(top: Path) -> dict[str, Node]:
    """What is below `top`. Hard links come out as files; `mtime` is left 0."""
    found: dict[str, Node] = {}
    for path in sorted(top.rglob("*")):
        status = path.lstat()
        mode = stat.S_IMODE(status.st_mode)
        name = str(path.relative_to(top))
        if stat.S_ISLNK(status.st_mode):
            found[name] = Link(os.readlink(path))
        elif stat.S_ISDIR(status.st_mode):
            found[name] = Dir(mode)
        elif stat.S_ISFIFO(status.st_mode):
            found[name] = Fifo(mode)
        else:
            found[name] = File(path.read_bytes().decode("utf-8", "surrogateescape"), mode)
    return found
