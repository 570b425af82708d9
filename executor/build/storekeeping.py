"""Keeping the store of builds within its size: after a build, after a list of them, and when somebody asks."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator

from executor.errors import Error, UnfitError
from executor.rootfs.inplace.guard import keep_to_oneself
from executor.rootfs.kernel.namespaces import enter_mount_namespace
from executor.rootfs.kernel.trial import try_in_child
from executor.spec import PruneResult, PruneSpec
from executor.store import Store, default_home, has_room, prune, usual_size


def prune_store(home: str, wanted: PruneSpec) -> PruneResult:
    """Remove what `wanted` says from the store in `home` ('' for the default), or what is too much for the disk.

    With `wanted.caches` it is those that are looked at. Call it while the process has one thread: it may enter a
    namespace, where files of other users can be removed. Raises UnfitError when the store, or a cache, cannot be
    used, and UsageError for a cache that is no folder of this machine.
    """
    if wanted.caches:
        return _prune_caches(wanted)
    home = home or default_home()  # before a user namespace makes everybody look like root
    enter_mount_namespace()
    return _prune(home, wanted)


def trim_store(home: str, size: int | None, tell: Callable[[str], None] = lambda _message: None) -> None:
    """Keep the store within `size` bytes; None: what its disk has room for, 0: no bound. Never raises."""
    if size == 0:
        return
    with contextlib.suppress(Error, OSError):
        if size is None and has_room(home):
            return
        if os.geteuid() != 0:
            try_in_child(lambda: prune_store(home, PruneSpec(keep=size)))
            return
        done = _prune(home, PruneSpec(keep=size))
        if done.freed:
            tell(f"removed {done.freed / 1_000_000:.1f} MB that were not used for longest from the store")


@contextlib.contextmanager
def store_session(home: str, size: int | None) -> Iterator[str]:
    """Within the context nothing is removed that a build began to use in it; at its end the store is trimmed.

    Gives a folder for what builds share during the session, '' when the store cannot be used.
    """
    shared = ""
    keep_to_oneself()
    with contextlib.ExitStack() as stack:
        stack.callback(trim_store, home, size)
        with contextlib.suppress(Error):  # the builds will say what is wrong
            shared = stack.enter_context(Store.open(home)).scratch("shared")
        yield shared


def _prune_caches(wanted: PruneSpec) -> PruneResult:
    from executor.cache.pruning import KIND, prune_place, trim_place

    count = freed = 0
    left: dict[str, int] = {}
    for place, options in wanted.caches:
        try:
            if wanted == PruneSpec(caches=wanted.caches, dry_run=wanted.dry_run):
                done = trim_place(place, options, dry_run=wanted.dry_run)
            else:
                done = prune_place(place, wanted)
        except OSError as error:
            raise UnfitError(f"cannot remove from {place}: {error.strerror}") from error
        count += done.removed.get(KIND, 0)
        freed += done.freed
        left[place] = done.left
    return PruneResult(removed={KIND: count} if count else {}, freed=freed, left=sum(left.values()))


def _prune(home: str, wanted: PruneSpec) -> PruneResult:
    with Store.open(home) as store:
        if wanted == PruneSpec(dry_run=wanted.dry_run):
            wanted = PruneSpec(keep=usual_size(store.home), dry_run=wanted.dry_run)
        return prune(store, wanted)
