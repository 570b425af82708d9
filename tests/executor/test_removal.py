"""Directories are removed however deep they are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from executor.removal import remove, remove_tree


def nest(folder: Path, depth: int) -> None:
    """Make `depth` directories, each in the one before, with a file and a link in every hundredth."""
    here = os.open(folder, os.O_RDONLY)
    for level in range(depth):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        if level % 100 == 0:
            os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=here))
            os.symlink("/nowhere", "link", dir_fd=here)
            os.mkdir("other", dir_fd=here)
        os.close(here)
        here = below
    os.close(here)


@pytest.mark.parametrize("depth", [0, 3, 1500, 2500])  # the stack is less deep, the longest path has 2048 names
def test_it_is_gone(tmp_path: Path, depth: int) -> None:
    (tmp_path / "kept").write_text("kept")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "beside").symlink_to(tmp_path / "kept")
    nest(tmp_path / "tree", depth)
    remove_tree(str(tmp_path / "tree"))
    assert os.listdir(tmp_path) == ["kept"]


def test_what_is_none_is_left(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to("folder")
    for name in ("file", "link", "absent"):
        remove_tree(str(tmp_path / name))
    assert sorted(os.listdir(tmp_path)) == ["file", "folder", "link"]


@pytest.mark.parametrize("name", ["file", "link", "folder", "absent"])
def test_anything_is_removed_and_nothing_else(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "in").write_text("")
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to("folder")
    remove(str(tmp_path / name))
    assert set(os.listdir(tmp_path)) == {"file", "link", "folder"} - {name}


def test_a_deep_tree_is_removed_like_anything(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    nest(tmp_path / "deep", 1500)
    remove(str(tmp_path / "deep"))
    assert os.listdir(tmp_path) == []


def test_what_cannot_be_removed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "busy").mkdir()
    monkeypatch.setattr("executor.removal.remove_tree", lambda _path: (tmp_path / "busy" / "new").write_text(""))
    with pytest.raises(OSError, match="not empty"):
        remove(str(tmp_path / "busy"))
