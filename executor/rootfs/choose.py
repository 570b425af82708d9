"""Which driver: the one that is asked for, or the first that works, found out by doing."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator

from executor.errors import UnfitError
from executor.events import DriverChosen, Sink, Warned
from executor.ownroot import FOLDER
from executor.rootfs.base import Driver, Probe
from executor.rootfs.kernel.namespaces import Privilege, current_privilege
from executor.rootfs.overlay.driver import OverlayDriver
from executor.snapshot.ignore import IgnoredPaths
from executor.spec import RootfsOptions
from executor.store import Store

_DOCTOR = "`krunner doctor` shows what this machine allows and what to change"
_HINTS = {
    "overlay": f"{_DOCTOR}; or use --rootfs=auto",
    "in-place": f"run as root in a container of the krunner:debug image; {_DOCTOR}",
    "chroot": f"run as root (CAP_SYS_CHROOT), or where user namespaces are allowed; {_DOCTOR}",
}


def choose_driver(store: Store, options: RootfsOptions, sink: Sink, *, written: Collection[str] = ()) -> Driver:
    """A driver that works in this process as it is now (see `namespaces.enter_mount_namespace`).

    `written` are paths that others write to while an image is built. Tells `sink` which driver, and why not those
    before it. One that is proven is not tried again. Raises UnfitError when the one asked for, or none, works.
    """
    if os.path.isdir(FOLDER):
        _recover(sink)
    refusals: list[str] = []
    for driver in drivers(store, options, written):
        if options.driver not in ("auto", driver.name):
            continue
        if options.beside and driver.name == "in-place":
            refusals.append("in-place: other images are built at the same time (--jobs)")
            continue
        probe = Probe(usable=True) if driver.name == options.proven else driver.probe()
        if probe.usable:
            sink(DriverChosen(driver=driver.name, reason=_reason(options.driver, refusals, probe.reason)))
            return driver
        refusals.append(f"{driver.name}: {probe.reason}")
    raise UnfitError(
        f"no root filesystem can be made here ({'; '.join(refusals)})",
        hint=_HINTS["chroot" if options.driver == "auto" else options.driver],
    )


def _recover(sink: Sink) -> None:
    """Bring `/` back where a killed process left an image in its place, and tell of it. Raises UnfitError."""
    from executor.rootfs.inplace.keeper import RESTORED  # few machines have had a command in place
    from executor.rootfs.inplace.recovery import recover

    if recover():
        sink(Warned(message=RESTORED))


def drivers(store: Store, options: RootfsOptions, written: Collection[str] = ()) -> Iterator[Driver]:
    """All drivers, in the order in which `auto` tries them.

    Where nothing may be mounted in-place comes before chroot, whose commands find an empty /proc then.
    """
    ignore = IgnoredPaths(options.ignore_paths)
    yield OverlayDriver(store, ignore=ignore)
    from executor.rootfs.chroot.driver import ChrootDriver  # few builds need to know more than the first
    from executor.rootfs.inplace.driver import InPlaceDriver

    chroot = ChrootDriver(store, ignore=ignore, mode=options.snapshot_mode)
    in_place = InPlaceDriver(
        store,
        ignore=ignore,
        mode=options.snapshot_mode,
        gives_way=options.driver == "auto",
        written=written,
    )
    asked = options.driver != "auto"  # then the order is nothing that has to be found out
    yield from (chroot, in_place) if asked or chroot.mounts else (in_place, chroot)


def _reason(asked: str, refusals: list[str], remark: str) -> str:
    parts = ["asked for" if asked != "auto" else "the first that works", *refusals]
    if remark:
        parts.append(remark)
    privilege = current_privilege()
    if privilege is not Privilege.ROOT:
        parts.append(privilege.value)
    return "; ".join(parts)
