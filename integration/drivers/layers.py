"""Layers for the drivers' tests: made from items or from changes, opened from memory."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

from executor.build.layers.packing import Packer
from executor.image.descriptor import Descriptor
from executor.image.digest import Digest
from executor.image.layer import Layer
from executor.image.mediatypes import OCI_LAYER
from executor.image.tar import write_layer
from executor.snapshot.changes import Change, Siblings
from tests.support.layers import Item, directory, file, symlink
from tests.support.packed import members

BUSYBOX = next(path for path in map(Path, ("/busybox/busybox", "/bin/busybox")) if path.exists())


class LayersInMemory:
    """Makes layers and opens them again, as an `OpenLayer`."""

    def __init__(self) -> None:
        self._tars: dict[str, bytes] = {}
        self.opened: list[Digest] = []

    def of(self, items: Iterable[Item | bytes]) -> Layer:
        """The layer that holds `items`."""
        out = io.BytesIO()
        write_layer(items, out.write)
        tar = out.getvalue()
        digest = Digest.of(tar)
        self._tars[digest] = tar
        return Layer(descriptor=Descriptor(OCI_LAYER, digest, len(tar)), diff_id=digest)

    def of_changes(self, changes: Iterable[Change | Siblings]) -> Layer:
        """The layer of what a root changed."""
        return self.of(members(changes, Packer(None)))

    def open(self, layer: Layer) -> BinaryIO:
        """The layer's tar."""
        self.opened.append(layer.diff_id)
        return io.BytesIO(self._tars[layer.diff_id])


def busybox() -> Sequence[Item]:
    """A root in which commands can run."""
    applets = (
        "sh",
        "cat",
        "id",
        "ls",
        "mkdir",
        "rm",
        "sleep",
        "touch",
        "setsid",
        "pwd",
        "chown",
        "chmod",
        "ln",
        "mv",
    )
    passwd = b"root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n"
    return [
        directory("bin"),
        file("bin/busybox", BUSYBOX.read_bytes(), mode=0o755),
        *(symlink(f"bin/{name}", "busybox") for name in sorted(applets)),
        directory("etc", mtime_ns=1_000_000_000),
        file("etc/group", b"root:x:0:\napp:x:1000:\nstaff:x:50:app\n"),
        file("etc/passwd", passwd),
        directory("tmp", mode=0o1777),
    ]


def tree(root: str, *, times: bool = True) -> dict[str, tuple[object, ...]]:
    """Every path below `root` with what a layer keeps of it; hard links by the name of their first."""
    found: dict[str, tuple[object, ...]] = {}
    links: dict[tuple[int, int], str] = {}
    for folder, directories, files in os.walk(os.fsencode(root)):
        for name in sorted(directories + files):
            path = os.path.join(folder, name)
            status = os.lstat(path)
            key = os.path.relpath(path, os.fsencode(root)).decode("utf-8", "surrogateescape")
            kind = stat.S_IFMT(status.st_mode)
            mtime = status.st_mtime_ns // 10**9 if times and kind != stat.S_IFDIR else 0
            first = links.setdefault((status.st_dev, status.st_ino), key) if status.st_nlink > 1 else key
            content: bytes = b""
            if kind == stat.S_IFREG:
                content = Path(os.fsdecode(path)).read_bytes()
            elif kind == stat.S_IFLNK:
                content = os.readlink(path)
            xattrs = {
                n: os.getxattr(path, n, follow_symlinks=False) for n in os.listxattr(path, follow_symlinks=False)
            }
            device = status.st_rdev if kind in (stat.S_IFCHR, stat.S_IFBLK) else 0
            owner = (status.st_uid, status.st_gid)
            first = "" if kind == stat.S_IFDIR else first
            shown = {n: v for n, v in xattrs.items() if ".overlay." not in n}
            found[key] = (status.st_mode, *owner, mtime, content, device, first, tuple(sorted(shown.items())))
    return found
