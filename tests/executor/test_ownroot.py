"""Programs beside a build wait while an image has `/`, and the image waits for them."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from executor import ownroot


@pytest.fixture
def lock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """As in a container of our image, with `tmp_path` for /kaniko."""
    (tmp_path / "marker").touch()
    monkeypatch.setattr(ownroot, "MARKER", str(tmp_path / "marker"))
    monkeypatch.setattr(ownroot, "FOLDER", str(tmp_path / "takeover"))
    monkeypatch.setattr(ownroot, "LOCK", str(tmp_path / "takeover" / "lock"))
    return tmp_path / "takeover" / "lock"


def is_free(lock: Path, operation: int) -> bool:
    with lock.open("a") as file:
        try:
            fcntl.flock(file, operation | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def test_others_share_it_but_no_image_takes_the_root(lock: Path) -> None:
    with ownroot.own_root():
        assert is_free(lock, fcntl.LOCK_SH)
        assert not is_free(lock, fcntl.LOCK_EX)
    assert is_free(lock, fcntl.LOCK_EX)


def test_it_waits_for_the_image_to_go(lock: Path) -> None:
    with ownroot.own_root():
        pass
    order = []
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        reading, writing = os.pipe()
        if os.fork() == 0:
            file.close()  # the descriptor is shared with the parent: the lock stays
            with ownroot.own_root():
                os.write(writing, b"in")
            os._exit(0)
        os.set_blocking(reading, False)
        with pytest.raises(BlockingIOError):
            os.read(reading, 2)
        order.append("image gone")
        fcntl.flock(file, fcntl.LOCK_UN)
    os.set_blocking(reading, True)
    order.append(os.read(reading, 2).decode())
    os.wait()
    os.close(reading)
    os.close(writing)
    assert order == ["image gone", "in"]


def test_elsewhere_nothing_is_made(lock: Path) -> None:
    lock.parent.parent.joinpath("marker").unlink()
    with ownroot.own_root():
        assert not lock.parent.exists()
