"""Keeping a store within a size: what was not used for longest goes first, nothing that a running process uses.

A thing is in use when it was last marked after the oldest running process began (usage.py), a cache mount while
its lock is held. What goes is renamed into the session's folder at once and deleted from there, so that a process
that is killed meanwhile leaves nothing half removed.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Literal, get_args

from executor.dataclass import dataclass
from executor.removal import remove_tree
from executor.spec import PruneResult, PruneSpec
from executor.store.layout import Store
from executor.store.locks import locked
from executor.store.seals import disk_usage, remove_seal, seal
from executor.store.sessions import oldest_start

Kind = Literal["blob", "unpacked layer", "cache mount"]
_BLOCK = 512
_GIB = 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class _Thing:
    """What can be removed by itself. `used` is seconds since the epoch, `size` bytes on disk; `lock` guards it."""

    kind: Kind
    path: str
    used: float
    size: int
    lock: str = ""


def prune(store: Store, wanted: PruneSpec) -> PruneResult:
    """Remove what `wanted` says from `store`. Never raises because of what others do meanwhile."""
    began = oldest_start(os.path.join(store.home, "work"))
    things = sorted(_things(store.home), key=lambda thing: thing.used)
    left = sum(thing.size for thing in things)
    removed: list[_Thing] = []
    for thing in things:
        if _goes(thing, wanted, left) and (wanted.dry_run or _remove(store, thing, began)):
            removed.append(thing)
            left -= thing.size
    if not wanted.dry_run:
        _forget_sources(store)
    counts = Counter(thing.kind for thing in removed)
    return PruneResult(
        removed={kind: counts[kind] for kind in get_args(Kind) if kind in counts},
        freed=sum(thing.size for thing in removed),
        left=left,
    )


def usual_size(home: str) -> int | None:
    """The size in bytes that the store may have when nobody says, None for what it has: see `allowance`."""
    return allowance(home, lambda: sum(thing.size for thing in _things(home)))


def allowance(folder: str, size: Callable[[], int]) -> int | None:
    """The bytes that what is kept in `folder`, and has `size` of them, may have; None for as many as it has.

    A tenth of the disk, 20 GiB at most, shall stay free; but a tenth, 10 GiB at most, is left in any case.
    """
    total, lacking = _lacking(folder)
    return max(size() - lacking, min(total // 10, 10 * _GIB)) if lacking else None


def has_room(home: str) -> bool:
    """Whether the store in `home` may keep all it has when nobody says how much; looks at no file of it."""
    return not _lacking(home)[1]


def _lacking(home: str) -> tuple[int, int]:
    """The bytes of the disk, and how many of those that shall stay free are not."""
    disk = os.statvfs(home)
    total, free = disk.f_blocks * disk.f_frsize, disk.f_bavail * disk.f_frsize
    return total, max(0, min(total // 10, 20 * _GIB) - free)


def _goes(thing: _Thing, wanted: PruneSpec, left: int) -> bool:
    if wanted.everything:
        return True
    old = wanted.older_than is not None and time.time() - thing.used > wanted.older_than
    return old or (wanted.keep is not None and left > wanted.keep)


def _things(home: str) -> Iterator[_Thing]:
    for entry in os.scandir(os.path.join(home, "blobs", "sha256")):
        with suppress(FileNotFoundError):
            status = entry.stat()
            yield _Thing(kind="blob", path=entry.path, used=status.st_mtime, size=status.st_blocks * _BLOCK)
    for path in _directories(os.path.join(home, "unpacked")):
        with suppress(OSError):
            yield _Thing(kind="unpacked layer", path=path, used=os.stat(path).st_mtime, size=seal(path).size)
    for key in _directories(os.path.join(home, "caches")):
        for path in _directories(key):
            lock = os.path.join(home, "locks", f"cache-{os.path.basename(key)}-{os.path.basename(path)}.lock")
            with suppress(OSError):
                used = os.stat(lock).st_mtime
                yield _Thing(kind="cache mount", path=path, used=used, size=disk_usage(path), lock=lock)


def _directories(folder: str) -> Iterator[str]:
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            yield entry.path


def _remove(store: Store, thing: _Thing, began: float) -> bool:
    gone = os.path.join(store.scratch("pruned"), "gone")
    try:
        with ExitStack() as stack:
            if thing.lock:
                stack.enter_context(locked(thing.lock, fcntl.LOCK_EX | fcntl.LOCK_NB))
            else:
                stack.enter_context(store.usage.removing())
                if os.stat(thing.path).st_mtime >= began:
                    return False
            os.rename(thing.path, gone)
            remove_seal(thing.path)
    except OSError:  # in use, gone already, or not ours
        return False
    if os.path.isdir(gone):
        remove_tree(gone)
    else:
        os.unlink(gone)
    return True


def _forget_sources(store: Store) -> None:
    """Remove what is remembered of images that are no longer here."""
    for entry in os.scandir(os.path.join(store.home, "images")):
        manifest = Path(store.home, "blobs", "sha256", entry.name.removesuffix(".json"))
        if entry.name.endswith(".json") and not manifest.exists():
            Path(entry.path).unlink(missing_ok=True)
    store.names.forget(lambda digest: os.path.exists(store.blobs.path(digest)))
