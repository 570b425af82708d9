"""The guard refuses on a machine like this one, and when any one condition fails."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from executor.errors import UnfitError
from executor.rootfs.inplace import guard


@pytest.fixture
def our_image(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Make all conditions hold, with `tmp_path` for /kaniko."""
    home = tmp_path / "kaniko"
    home.mkdir()
    marker = home / ".krunner-image"
    marker.touch()
    python = home / "python3"
    python.touch()
    monkeypatch.setattr(guard, "HOME", str(home))
    monkeypatch.setattr(guard, "MARKER", str(marker))
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "lstat", _owned_by_root(os.lstat))
    monkeypatch.setenv("container", "docker")
    return home


def _owned_by_root(lstat):
    class Owned:
        st_uid = 0

        def __init__(self, path):
            self.st_mode = lstat(path).st_mode

    return Owned


def test_refuses_on_this_machine() -> None:
    with pytest.raises(UnfitError, match="must not be taken over") as caught:
        guard.permit()
    assert caught.value.exit_code == 4


def test_refuses_on_this_machine_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("container", "docker")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    with pytest.raises(UnfitError, match="not our image"):
        guard.permit()


def test_gives_leave_when_all_holds(our_image: Path) -> None:
    guard.permit().check()


def test_refuses_outside_of_containers(our_image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("container")
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setattr(os.path, "exists", lambda _path: False)
    monkeypatch.setattr(guard, "_root_file_system", lambda: "ext4")
    with pytest.raises(UnfitError, match="no container"):
        guard.permit()


def test_refuses_another_interpreter(our_image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/usr/bin/python3")
    with pytest.raises(UnfitError, match="interpreter"):
        guard.permit()


def test_refuses_a_marker_that_is_a_link(our_image: Path) -> None:
    marker = our_image / ".krunner-image"
    marker.unlink()
    marker.symlink_to(our_image / "python3")
    with pytest.raises(UnfitError, match="not a file of root's"):
        guard.permit()


def test_leave_ends_with_the_marker(our_image: Path) -> None:
    leave = guard.permit()
    (our_image / ".krunner-image").unlink()
    with pytest.raises(UnfitError, match="not our image"):
        leave.check()


def test_leave_is_for_one_root(our_image: Path) -> None:
    leave = guard.permit()
    with pytest.raises(UnfitError, match="not the root"):
        guard.Permit(leave.device, leave.inode + 1).check()
