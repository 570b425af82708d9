"""Finds out what this machine or container lets a build do, by trying each part of it."""

from __future__ import annotations

import os
from collections.abc import Iterator

from executor.build.survey import machine
from executor.build.survey.advice import advise
from executor.dataclass import replace
from executor.diagnosis import Diagnosis, DriverFinding, ProcessFinding, StoreFinding
from executor.errors import Error, UnfitError
from executor.registry.credentials import credential_sources
from executor.rootfs.choose import drivers
from executor.rootfs.files.treewriter import umask
from executor.rootfs.inplace import guard
from executor.rootfs.kernel.mountinfo import mount_of
from executor.rootfs.kernel.namespaces import Privilege, enter_mount_namespace, isolate_mounts
from executor.rootfs.kernel.privileges import NEEDED_BY_IMAGES, Privileges, read_privileges
from executor.rootfs.kernel.trial import try_in_child
from executor.spec import RootfsOptions
from executor.store import Store, default_home

_NAMES = ("overlay", "chroot", "in-place")


def diagnose(home: str = "") -> Diagnosis:
    """All findings, with the store in `home` ('' for the default). Call it while the process has one thread.

    It enters a mount namespace of its own where a build would, and leaves nothing but the store's empty folders.
    """
    before = read_privileges()
    privilege = enter_mount_namespace()
    process = _process(before, privilege)
    home = os.path.abspath(home) if home else default_home()
    found, store = _drivers_and_store(home, mountable=not process.mounts_refused)
    diagnosis = Diagnosis(
        drivers=tuple(sorted(found, key=lambda driver: _NAMES.index(driver.name))),
        chosen=next((driver.name for driver in found if driver.works), ""),
        store=store,
        process=process,
        limits=machine.limits(),
        credentials=tuple(credential_sources()),
        emulators=machine.emulators(),
        git=machine.git_version(),
    )
    return replace(diagnosis, advice=tuple(advise(diagnosis)))


def _process(before: Privileges, privilege: Privilege) -> ProcessFinding:
    is_root, masked = privilege is Privilege.ROOT, umask()
    return ProcessFinding(
        uid=before.uid,
        becomes=privilege.value,
        mounts_refused=try_in_child(isolate_mounts).reason,
        lacking=before.lacks(NEEDED_BY_IMAGES) if is_root else (),
        seccomp=before.seccomp,
        no_new_privileges=before.no_new_privileges,
        apparmor=before.apparmor,
        container=guard.is_container(),
        own_image=guard.is_our_image(),
        umask="" if masked is None else f"{masked:04o}",
    )


def _drivers_and_store(home: str, *, mountable: bool) -> tuple[list[DriverFinding], StoreFinding]:
    try:
        with Store.open(home) as store:
            found = list(_tried(store))
    except UnfitError as error:
        reason = error.message
        found = [DriverFinding(name=name, works=False, commands=False, reason=reason) for name in _NAMES]
        return found, _store(home, problem=reason)
    overlay = next(driver for driver in found if driver.name == "overlay")
    return found, replace(_store(home), holds_upper=overlay.works if mountable else None)


def _tried(store: Store) -> Iterator[DriverFinding]:
    """The drivers in the order of `auto`."""
    for driver in drivers(store, RootfsOptions()):
        try:
            probe = driver.probe()
        except (Error, OSError) as error:
            yield DriverFinding(name=driver.name, works=False, commands=False, reason=str(error))
        else:
            yield DriverFinding(
                name=driver.name,
                works=probe.usable,
                commands=probe.usable and probe.commands,
                reason=probe.reason,
            )


def _store(home: str, problem: str = "") -> StoreFinding:
    place = home
    while not os.path.exists(place):
        place = os.path.dirname(place)
    mount, free = mount_of(place), os.statvfs(place)
    return StoreFinding(
        path=home,
        problem=problem,
        mount_point=mount.point if mount else "",
        file_system=mount.kind if mount else "",
        executable=mount.executable if mount else True,
        free_bytes=free.f_bavail * free.f_frsize,
        free_inodes=free.f_favail if free.f_files else None,
    )
