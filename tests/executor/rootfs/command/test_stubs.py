"""Places to mount on come and go without a trace."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from executor.errors import UnfitError
from executor.rootfs.command.stubs import Stubs, run_mounts


def state(root: Path) -> dict[str, int]:
    return {str(path.relative_to(root)): path.lstat().st_mtime_ns for path in [root, *root.rglob("*")]}


def aged(root: Path) -> Path:
    for path in [*root.rglob("*"), root]:
        os.utime(path, ns=(5, 5), follow_symlinks=False)
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc/hosts").write_text("mine")
    (root / "etc/resolv.conf").symlink_to("../run/missing/resolv.conf")
    (root / "dev").symlink_to("/devices")
    return aged(root)


def test_a_run_sees_places_and_leaves_none(root: Path) -> None:
    before = state(root)
    with run_mounts(str(root)) as mounts:
        places = {mount.kind: mount.target for mount in mounts if mount.kind != "file"}
        assert places == {"proc": f"{root}/proc", "sys": f"{root}/sys", "dev": f"{root}/devices"}
        assert all(os.path.isdir(place) for place in places.values())
        for mount in mounts:
            assert mount.kind != "file" or mount.target in (f"{root}/etc/hosts", f"{root}/run/missing/resolv.conf")
    assert state(root) == before


def test_what_the_command_put_there_stays(root: Path) -> None:
    with run_mounts(str(root)):
        (root / "devices/mine").write_text("x")
        (root / "run/other").write_text("x")
    assert (root / "devices/mine").exists()
    assert (root / "run/other").exists()
    assert not (root / "proc").exists()
    assert not (root / "run/missing").exists()
    assert root.stat().st_mtime_ns > 5, "the command changed the directory"


def test_what_the_command_removed_is_no_error(root: Path) -> None:
    with run_mounts(str(root)) as mounts:
        for mount in mounts:
            if mount.kind != "file":
                os.rmdir(mount.target)
    assert sorted(os.listdir(root)) == ["dev", "etc"]


def test_other_things_in_place_are_left_alone(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "proc").write_text("a file")
    (root / "etc").symlink_to("proc")
    with run_mounts(str(root)) as mounts:
        assert [mount.kind for mount in mounts] == ["sys", "dev"]
    assert sorted(os.listdir(root)) == ["etc", "proc"]


def test_failures_are_told_and_cleaned_up(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = state(root)
    original = Stubs.file

    def fail(stubs: Stubs, path: str) -> str | None:
        original(stubs, path)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Stubs, "file", fail)
    with pytest.raises(UnfitError, match="No space left"), run_mounts(str(root)):
        pass
    assert state(root) == before
