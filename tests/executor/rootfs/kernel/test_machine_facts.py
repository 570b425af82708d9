"""What is read of the kernel's accounts, and how refusals are worded."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest

from executor.rootfs.kernel import refusals
from executor.rootfs.kernel.mountinfo import Mount, mount_of, mounts
from executor.rootfs.kernel.privileges import Privileges, capability_names, read_privileges

_MOUNTINFO = """\
22 1 0:21 / / rw,relatime master:1 - overlay overlay rw,lowerdir=/l
23 22 254:1 /vol /kaniko/store rw,noexec,relatime - ext4 /dev/vda rw
24 22 254:1 /a /with\\040blank\\134 ro - xfs /dev/vdb rw
25 22 0:40 / /kaniko/store/over rw shared:3 master:4 - tmpfs tmpfs rw
26 23 0:41 / /kaniko/store rw - tmpfs tmpfs rw
"""
_DEFAULT_CAPABILITIES = 0xA80425FB  # Docker's
CONTAINER = Privileges(uid=0, capabilities=capability_names(_DEFAULT_CAPABILITIES), seccomp=True)

ADMIN = replace(CONTAINER, capabilities=CONTAINER.capabilities | {"CAP_SYS_ADMIN"})


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def test_mounts_are_read_with_optional_fields_and_escapes() -> None:
    assert [mount.point for mount in mounts(_MOUNTINFO)][2] == "/with blank\\"


@pytest.mark.parametrize(
    ("path", "point", "kind"),
    [
        ("/", "/", "overlay"),
        ("/kaniko", "/", "overlay"),
        ("/kaniko/storehouse", "/", "overlay"),
        ("/kaniko/store/work", "/kaniko/store", "tmpfs"),
        ("/with blank\\/x", "/with blank\\", "xfs"),
    ],
)
def test_a_path_is_on_the_nearest_and_latest_mount(path: str, point: str, kind: str) -> None:
    mount = mount_of(path, _MOUNTINFO)
    assert mount
    assert (mount.point, mount.kind) == (point, kind)


def test_noexec_is_seen() -> None:
    assert [mount.executable for mount in mounts(_MOUNTINFO)] == [True, False, True, True, True]


def test_without_a_mount_at_the_root_nothing_is_known() -> None:
    assert mount_of("/srv", "24 22 254:1 /a /else rw - xfs /dev/vdb rw") is None


def test_capabilities_have_the_kernels_numbers() -> None:
    assert capability_names(1 | 1 << 21 | 1 << 40) == {"CAP_CHOWN", "CAP_SYS_ADMIN", "CAP_CHECKPOINT_RESTORE"}
    assert "CAP_SYS_CHROOT" in CONTAINER.capabilities
    assert CONTAINER.lacks(("CAP_CHOWN", "CAP_SYS_ADMIN")) == ("CAP_SYS_ADMIN",)


def test_privileges_are_read_from_proc(tmp_path: Path) -> None:
    def proc(path: str, text: str) -> None:
        (tmp_path / "proc" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "proc" / path).write_text(text)

    proc("self/status", "CapEff:\t0000000000000001\nSeccomp:\t2\nNoNewPrivs:\t1\n")
    proc("self/attr/current", "docker-default (enforce)\n")
    proc("sys/user/max_user_namespaces", "0\n")
    proc("sys/kernel/apparmor_restrict_unprivileged_userns", "1\n")
    proc("self/mountinfo", _MOUNTINFO)
    found = read_privileges(str(tmp_path))
    assert found == Privileges(
        uid=found.uid,
        capabilities=frozenset({"CAP_CHOWN"}),
        seccomp=True,
        no_new_privileges=True,
        apparmor="docker-default",
        most_user_namespaces=0,
        user_namespaces_off="kernel.apparmor_restrict_unprivileged_userns is 1",
    )


@pytest.mark.parametrize("text", ["unconfined\n", "system_u:system_r:container_t:s0\n"])
def test_no_apparmor(tmp_path: Path, text: str) -> None:
    (tmp_path / "proc/self/attr").mkdir(parents=True)
    (tmp_path / "proc/self/attr/current").write_text(text)
    assert read_privileges(str(tmp_path)).apparmor == ""


@pytest.mark.parametrize(
    ("number", "privileges", "words"),
    [
        (errno.EPERM, CONTAINER, "the seccomp profile forbids user namespaces"),
        (errno.ENOSPC, replace(CONTAINER, most_user_namespaces=0), "user.max_user_namespaces is 0"),
        (errno.EINVAL, CONTAINER, "this kernel has no user namespaces"),
        (
            errno.EPERM,
            Privileges(uid=1000, user_namespaces_off="kernel.unprivileged_userns_clone is 0"),
            "user namespaces are off: kernel.unprivileged_userns_clone is 0",
        ),
        (errno.EPERM, Privileges(uid=1000, chrooted=True), "a process in a chroot may make no user namespace"),
        (errno.EACCES, Privileges(uid=1000, apparmor="lxc"), "refused by AppArmor (profile lxc)"),
        (errno.EACCES, Privileges(uid=1000), "refused by a security module"),
    ],
)
def test_why_there_is_no_user_namespace(number: int, privileges: Privileges, words: str) -> None:
    assert words in refusals.user_namespace_refused(_error(number), privileges)


@pytest.mark.parametrize(
    ("number", "privileges", "words"),
    [
        (errno.EPERM, CONTAINER, "CAP_SYS_ADMIN is missing, and no way"),
        (errno.EPERM, ADMIN, "the seccomp profile forbids mounts, though CAP_SYS_ADMIN is there"),
        (
            errno.EACCES,
            replace(ADMIN, apparmor="docker-default"),
            "mounts are refused by AppArmor (profile docker-default)",
        ),
        (errno.ENOSPC, ADMIN, "user.max_mnt_namespaces"),
    ],
)
def test_why_nothing_can_be_mounted(number: int, privileges: Privileges, words: str) -> None:
    assert words in refusals.mounts_refused(_error(number), privileges, "no way")


@pytest.mark.parametrize(
    ("number", "mount", "words"),
    [
        (
            errno.EINVAL,
            Mount(number=1, point="/", kind="overlay", options=()),
            "/store is on the container's own overlayfs, which cannot hold an upper directory",
        ),
        (
            errno.EINVAL,
            Mount(number=1, point="/store", kind="nfs4", options=()),
            "/store is on nfs4, which cannot hold",
        ),
        (errno.ENODEV, None, "this kernel has no overlayfs"),
        (errno.EPERM, None, "lets no user namespace mount overlayfs"),
        (errno.EROFS, None, "overlayfs refuses /store: Read-only file system"),
    ],
)
def test_why_overlayfs_does_not_mount(number: int, mount: Mount | None, words: str) -> None:
    assert words in refusals.overlay_refused(_error(number), "/store", mount)


def test_a_user_namespace_that_may_not_mount() -> None:
    ubuntu = Privileges(uid=1000, user_namespaces_off="kernel.apparmor_restrict_unprivileged_userns is 1")
    assert refusals.user_mounts_refused(_error(errno.EACCES), ubuntu).endswith(
        "apparmor_restrict_unprivileged_userns is 1"
    )
