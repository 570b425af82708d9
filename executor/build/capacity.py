"""How many builds this machine takes at once."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from executor.build import cgroup
from executor.errors import UnfitError
from executor.rootfs.inplace import guard
from executor.rootfs.kernel.namespaces import enter_mount_namespace
from executor.rootfs.kernel.trial import try_in_child
from executor.spec import RootfsOptions
from executor.store import Store, default_home

_EACH = 1 << 30  # bytes: a worker has a tenth of that, a compiler in a RUN the rest


def builds_at_once(drivers: Collection[str], home: str = "") -> int:
    """By cores and memory, at least 1; 1 where a build of one of these `drivers` would take `/` over.

    What `auto` comes to is tried, with the store in `home` ('' for the default).
    """
    if "in-place" in drivers or ("auto" in drivers and _is_our_container() and _takes_the_root(home)):
        return 1
    return max(1, min(cgroup.cores(), _memory() // _EACH))


def _is_our_container() -> bool:
    try:
        guard.permit()
    except UnfitError:
        return False
    return True


def _takes_the_root(home: str) -> bool:
    """Whether in-place is the first driver that works here, found out by doing."""

    from executor.rootfs.choose import drivers as drivers_in_order  # few lists are built where this is asked

    def try_the_others() -> None:
        place = home or default_home()
        enter_mount_namespace()
        with Store.open(place) as store:
            for driver in drivers_in_order(store, RootfsOptions()):
                if driver.name == "in-place":
                    raise UnfitError("the others do not work")
                if driver.probe().usable:
                    return

    return not try_in_child(try_the_others).usable


def _memory() -> int:
    """Bytes that can be had: what is free on the machine, or the limit of this container."""
    fields = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    free, limit = int(fields["MemAvailable"].split()[0]) * 1024, cgroup.memory()
    return free if limit is None else min(free, limit)
