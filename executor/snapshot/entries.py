"""What lies on disk as layer entries."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping

from executor.image.layer import EntryType, LayerEntry

_TYPES = {
    stat.S_IFREG: EntryType.FILE,
    stat.S_IFDIR: EntryType.DIRECTORY,
    stat.S_IFLNK: EntryType.SYMLINK,
    stat.S_IFCHR: EntryType.CHARACTER_DEVICE,
    stat.S_IFBLK: EntryType.BLOCK_DEVICE,
    stat.S_IFIFO: EntryType.FIFO,
}
_CHUNK = 256 * 1024
_OVERLAY_XATTRS = ("trusted.overlay.", "user.overlay.")
# Of this machine, not of the image: labels, integrity hashes, and ACLs, which have no portable form in a tar.
_LOCAL_XATTRS = (*_OVERLAY_XATTRS, "security.selinux", "security.ima", "security.evm", "system.")


def describe(path: str, name: str, status: os.stat_result, *, squash: bool = False) -> LayerEntry | None:
    """The entry `name` for what is at `path` with the lstat result `status`; None for a socket.

    `squash` gives everything to 0:0. Raises OSError when a link or attribute cannot be read.
    """
    kind = _TYPES.get(stat.S_IFMT(status.st_mode))
    if kind is None:
        return None
    device = kind in (EntryType.CHARACTER_DEVICE, EntryType.BLOCK_DEVICE)
    return LayerEntry(
        name=name,
        type=kind,
        mode=0o777 if kind is EntryType.SYMLINK else stat.S_IMODE(status.st_mode),
        uid=0 if squash else status.st_uid,
        gid=0 if squash else status.st_gid,
        size=status.st_size if kind is EntryType.FILE else 0,
        mtime_ns=status.st_mtime_ns,
        link=os.readlink(path) if kind is EntryType.SYMLINK else "",
        device=(os.major(status.st_rdev), os.minor(status.st_rdev)) if device else (0, 0),
        xattrs=xattrs_of(path),
    )


def xattrs_of(file: str | int) -> Mapping[str, bytes]:
    """The attributes that belong to the image, by name in bytewise order, of a path or a descriptor."""
    follow = isinstance(file, int)  # a descriptor is no link
    names = os.listxattr(file, follow_symlinks=follow)
    if not names:
        return {}
    kept = sorted(name for name in names if not name.startswith(_LOCAL_XATTRS))
    return {name: os.getxattr(file, name, follow_symlinks=follow) for name in kept}


def same_content(path: str, other: str) -> bool:
    """True when two regular files of the same size hold the same bytes."""
    with open(path, "rb", buffering=0) as left, open(other, "rb", buffering=0) as right:
        while True:
            data = left.read(_CHUNK)
            if data != right.read(_CHUNK):
                return False
            if not data:
                return True
