"""Builds inside a plain chroot, whose "/" is no mount point: mounts still work, and still show nowhere outside."""

from __future__ import annotations

import os
from pathlib import Path

from integration.drivers.children import run_in_child


def test_mounts_in_a_chroot_stay_private(tmp_path: Path) -> None:
    (tmp_path / "dir").mkdir()
    before = Path("/proc/self/mountinfo").read_text()

    def inside() -> None:
        from executor.rootfs import syscalls
        from executor.rootfs.namespaces import enter_mount_namespace

        os.chroot(tmp_path)
        os.chdir("/")
        enter_mount_namespace()
        syscalls.mount("tmpfs", "/dir", "tmpfs")
        Path("/dir/file").touch()
        assert os.listdir("/dir") == ["file"]

    run_in_child(inside, enter=False)
    assert os.listdir(tmp_path / "dir") == []
    assert Path("/proc/self/mountinfo").read_text() == before
