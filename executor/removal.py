"""Removing whatever is there: commands make trees that are deeper than any path is long."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress

_TOP_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove(path: str) -> None:
    """Remove what is at `path`, of whatever kind, if there is anything. Raises OSError when something is left."""
    if not _is_directory(path):
        with suppress(FileNotFoundError):
            os.unlink(path)
        return
    remove_tree(path)
    with suppress(FileNotFoundError):
        os.rmdir(path)  # which says why it is still there


def remove_tree(path: str) -> None:
    """Remove the directory `path` and all in it. What cannot be removed is left."""
    with suppress(RecursionError):
        shutil.rmtree(path, ignore_errors=True)
    if _is_directory(path):
        with suppress(OSError):
            _remove_deep(path)


def _is_directory(path: str) -> bool:
    return os.path.isdir(path) and not os.path.islink(path)


def _remove_deep(path: str) -> None:
    """Bring each directory up to the top, where it is emptied: no more than two are open at any time."""
    top = os.open(path, _TOP_FLAGS)
    try:
        count = 0
        waiting = _emptied(top)
        while waiting:
            name = waiting.pop()
            place = f".removed-{count}"
            count += 1
            with suppress(OSError):
                os.rename(name, place, src_dir_fd=top, dst_dir_fd=top)
                folder = os.open(place, _TOP_FLAGS, dir_fd=top)
                try:
                    for child in _emptied(folder):
                        raised = f".raised-{count}"
                        count += 1
                        os.rename(child, raised, src_dir_fd=folder, dst_dir_fd=top)
                        waiting.append(raised)
                finally:
                    os.close(folder)
                os.rmdir(place, dir_fd=top)
    finally:
        os.close(top)
    os.rmdir(path)


def _emptied(folder: int) -> list[str]:
    """Remove what is no directory; the names of those that are."""
    folders = []
    with os.scandir(folder) as entries:
        for entry in list(entries):
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
            else:
                with suppress(OSError):
                    os.unlink(entry.name, dir_fd=folder)
    return folders
