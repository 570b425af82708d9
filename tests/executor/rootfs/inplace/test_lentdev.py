"""The container's /dev is put right after a command."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from executor.errors import UnfitError
from executor.rootfs.inplace.lentdev import LentDev

Listing = dict[str, tuple[int, str]]


@pytest.fixture
def dev(tmp_path: Path) -> Path:
    dev = tmp_path / "dev"
    (dev / "shm").mkdir(parents=True)
    (dev / "pts").mkdir()
    (dev / "shm" / "theirs").write_text("kept")
    os.mkfifo(dev / "null", 0o666)
    (dev / "null").chmod(0o666)
    (dev / "fd").symlink_to("/proc/self/fd")
    return dev


@pytest.fixture
def lent(dev: Path, tmp_path: Path) -> LentDev:
    lent = LentDev(str(tmp_path), str(dev))
    lent.lend()
    return lent


def listing(dev: Path) -> Listing:
    return {
        str(path.relative_to(dev)): (path.lstat().st_mode, os.readlink(path) if path.is_symlink() else "")
        for path in dev.rglob("*")
    }


def test_it_is_put_right(dev: Path, lent: LentDev) -> None:
    before = listing(dev)
    (dev / "pipes").mkdir()
    (dev / "pipes" / "script").write_text("")
    (dev / "shm" / "mine").mkdir()
    (dev / "shm" / "theirs").chmod(0o600)
    (dev / "new").write_text("")
    (dev / "null").unlink()
    (dev / "null").write_text("a file now")
    (dev / "fd").unlink()
    lent.take_back()
    assert listing(dev) == before
    assert (dev / "shm" / "theirs").read_text() == "kept"


def test_it_is_put_right_by_another_process_once(dev: Path, lent: LentDev, tmp_path: Path) -> None:
    before = listing(dev)
    (dev / "fd").unlink()
    (dev / "fd").symlink_to("/elsewhere")
    LentDev(str(tmp_path), str(dev)).take_back()
    assert listing(dev) == before
    (dev / "later").write_text("")
    LentDev(str(tmp_path), str(dev)).take_back()
    assert (dev / "later").exists()


def test_the_record_may_be_gone(dev: Path, lent: LentDev, tmp_path: Path) -> None:
    before = listing(dev)
    (dev / "fd").unlink()
    (tmp_path / "dev.json").unlink()
    lent.take_back()
    assert listing(dev) == before
    (dev / "later").write_text("")
    lent.take_back()
    assert (dev / "later").exists()


def test_what_cannot_be_put_right_is_named(dev: Path, lent: LentDev) -> None:
    (dev / "shm" / "theirs").unlink()
    (dev / "shm").rmdir()
    dev.rename(dev.with_name("moved"))
    with pytest.raises(UnfitError, match="/dev could not be brought back"):
        lent.take_back()
