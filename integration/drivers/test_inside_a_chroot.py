"""Builds inside a plain chroot, whose "/" is no mount point: mounts still work, and still show nowhere outside."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from integration.drivers.children import run_in_child


def test_mounts_in_a_chroot_stay_private(tmp_path: Path) -> None:
    (tmp_path / "dir").mkdir()
    before = Path("/proc/self/mountinfo").read_text()

    def inside() -> None:
        from executor.rootfs.kernel import syscalls
        from executor.rootfs.kernel.namespaces import enter_mount_namespace

        os.chroot(tmp_path)
        os.chdir("/")
        enter_mount_namespace()
        syscalls.mount("tmpfs", "/dir", "tmpfs")
        Path("/dir/file").touch()
        assert os.listdir("/dir") == ["file"]

    run_in_child(inside, enter=False)
    assert os.listdir(tmp_path / "dir") == []
    assert Path("/proc/self/mountinfo").read_text() == before


@pytest.mark.parametrize("driver", ["overlay", "chroot"])
def test_a_command_runs_in_a_root_inside_a_chroot(work: Path, driver: str) -> None:
    def inside() -> None:
        from executor.rootfs.base import RunRequest
        from executor.rootfs.choose import choose_driver
        from executor.rootfs.kernel import syscalls
        from executor.rootfs.kernel.namespaces import enter_mount_namespace
        from executor.spec import RootfsOptions
        from executor.store import Store

        machine = work / f"machine-{driver}"
        (machine / "store").mkdir(parents=True)
        enter_mount_namespace()
        for name in ("proc", "sys", "dev"):
            (machine / name).mkdir()
            syscalls.mount(f"/{name}", str(machine / name), None, syscalls.MS_BIND | syscalls.MS_REC)
        busybox = Path("/bin/busybox").read_bytes()
        os.chroot(machine)
        os.chdir("/")
        enter_mount_namespace()
        lines: list[str] = []
        with Store.open("/store") as store:
            chosen = choose_driver(store, RootfsOptions(driver=driver), lambda _event: None)
            with chosen.open_root([], lambda _layer: pytest.fail("no layer to open")) as root:
                Path(root.path, "busybox").write_bytes(busybox)
                Path(root.path, "busybox").chmod(0o755)
                request = RunRequest(argv=("/busybox", "echo", "hello"), environment={})
                assert root.run(request, lines.append) == 0
        assert lines == ["hello"]

    run_in_child(inside, enter=False)
