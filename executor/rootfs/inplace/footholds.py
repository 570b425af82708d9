"""Directories of the container that must not be missing when `/` is brought back, held open while a command runs.

One that the command renamed (`mv /kaniko /old`) is renamed back. For one that it removed there is only room made:
what was in it comes from elsewhere, or is lost.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress

from executor.removal import remove_tree


class Footholds:
    """Holds the directories `paths` (absolute, without links) open until `close`."""

    def __init__(self, paths: Iterable[str]) -> None:
        flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
        self._held = [(path, os.open(path, flags)) for path in sorted(set(paths))]

    @property
    def descriptors(self) -> frozenset[int]:
        """What is open, for a process that closes everything else."""
        return frozenset(descriptor for _, descriptor in self._held)

    def restore(self) -> tuple[str, ...]:
        """Put each where it was, outer ones first; those that are lost."""
        for path, descriptor in self._held:
            if _is_at(path, descriptor):
                continue
            _make_room(path)
            with suppress(OSError):
                now = os.readlink(f"/proc/self/fd/{descriptor}")
                if _is_at(now, descriptor):
                    if os.path.isdir(path):
                        remove_tree(path)
                    os.makedirs(os.path.dirname(path), exist_ok=True)
                    os.rename(now, path)
        return tuple(path for path, descriptor in self._held if not _is_at(path, descriptor))

    def close(self) -> None:
        """Let go of them."""
        while self._held:
            os.close(self._held.pop()[1])


def _is_at(path: str, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    except OSError:
        return False


def _make_room(path: str) -> None:
    """Remove links and files that stand where directories on the way to `path` were, and at it."""
    parts = path.strip("/").split("/")
    for length in range(1, len(parts) + 1):
        place = "/" + "/".join(parts[:length])
        if os.path.islink(place) or os.path.isfile(place):
            os.unlink(place)
