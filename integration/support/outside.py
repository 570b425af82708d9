"""A container's root as it is seen from outside: in the folder where the daemon keeps it, mounts not entered."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from integration.support.container import Container

Seen: TypeAlias = Mapping[bytes, tuple[object, ...]]
"""Path → kind and mode, owner, device, time, number of names, extended attributes, content."""

_OURS = (b"kaniko/store", b"kaniko/takeover")
"""What builds leave something in. Left out, and so is the time of /kaniko, where they appear."""


def root_of(container: Container) -> bytes:
    """The folder of the container's root."""
    words = ("inspect", "--format={{.GraphDriver.Data.MergedDir}}", container.name)
    return os.fsencode(container.docker.run(*words).strip())


def look_at(container: Container) -> Seen:
    """Everything in the container's root but what builds may leave."""
    root = root_of(container)
    found = {b"": _aspects(root)}
    waiting = [b""]
    while waiting:
        folder = waiting.pop()
        for entry in os.scandir(os.path.join(root, folder)):
            path = os.path.join(folder, entry.name)
            if path in _OURS:
                continue
            found[path] = _aspects(entry.path, timed=path != b"kaniko")
            if entry.is_dir(follow_symlinks=False):
                waiting.append(path)
    return found


def differences(now: Seen, before: Seen) -> dict[bytes, tuple[object, object]]:
    """Path → what it was and what it is, where that is not the same."""
    names = now.keys() | before.keys()
    return {name: (before.get(name), now.get(name)) for name in names if now.get(name) != before.get(name)}


def _aspects(path: bytes, *, timed: bool = True) -> tuple[object, ...]:
    status = os.lstat(path)
    content: object = None
    if stat.S_ISLNK(status.st_mode):
        content = os.readlink(path)
    elif stat.S_ISREG(status.st_mode):
        content = hashlib.sha256(Path(os.fsdecode(path)).read_bytes()).hexdigest()
    names = sorted(name for name in os.listxattr(path, follow_symlinks=False) if ".overlay." not in name)
    return (
        *(oct(status.st_mode), status.st_uid, status.st_gid, status.st_rdev, status.st_mtime_ns if timed else 0),
        *(1 if stat.S_ISDIR(status.st_mode) else status.st_nlink, content),
        tuple((name, os.getxattr(path, name, follow_symlinks=False)) for name in names),
    )
