"""The container's own files in /etc that a command in place can write to, in a folder of their kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from executor.errors import UnfitError
from executor.rootfs.inplace import lentfiles
from executor.rootfs.inplace.lentfiles import LentFiles
from executor.rootfs.kernel.mountinfo import Mount


@pytest.fixture
def hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A mounted file."""
    path = tmp_path / "hosts"
    path.write_bytes(b"127.0.0.1 localhost \xff\n")
    monkeypatch.setattr(lentfiles, "_FILES", frozenset({str(path), str(tmp_path / "not-mounted")}))
    mount = Mount(number=1, point=str(path), kind="ext4", options=("rw",))
    monkeypatch.setattr(lentfiles, "mounts", lambda: [mount])
    return path


@pytest.mark.parametrize("written", [b"", b"short\n", b"127.0.0.1 localhost \xff\n10.0.0.1 mine\n"])
def test_what_was_written_is_undone_in_the_same_file(tmp_path: Path, hosts: Path, written: bytes) -> None:
    inode = hosts.stat().st_ino
    LentFiles(str(tmp_path)).lend()
    hosts.write_bytes(written)
    LentFiles(str(tmp_path)).take_back()
    assert hosts.read_bytes() == b"127.0.0.1 localhost \xff\n"
    assert hosts.stat().st_ino == inode
    assert not (tmp_path / "files.json").exists()


def test_what_is_no_mount_is_left_alone(tmp_path: Path, hosts: Path) -> None:
    LentFiles(str(tmp_path)).lend()
    (tmp_path / "not-mounted").write_text("of the image")
    LentFiles(str(tmp_path)).take_back()
    assert (tmp_path / "not-mounted").read_text() == "of the image"


def test_one_that_cannot_be_put_right_is_named(tmp_path: Path, hosts: Path) -> None:
    LentFiles(str(tmp_path)).lend()
    hosts.unlink()
    with pytest.raises(UnfitError, match=f"{hosts} of this container"):
        LentFiles(str(tmp_path)).take_back()
    assert (tmp_path / "files.json").exists()


def test_nothing_lent_is_nothing_to_take_back(tmp_path: Path) -> None:
    LentFiles(str(tmp_path)).take_back()
