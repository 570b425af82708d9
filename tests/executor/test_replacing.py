"""Files that appear whole or not at all, and what is left of those whose writer was killed."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from executor.replacing import remove_unfinished, replacing, write_whole


def test_a_file_appears_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_whole(path, b"old")
    with replacing(str(path)) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["file"]


def test_nothing_is_left_of_one_that_fails(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with pytest.raises(TypeError), replacing(str(path)) as file:
        file.write("no bytes")
    assert os.listdir(tmp_path) == []


def test_what_a_killed_writer_left_can_be_removed(tmp_path: Path) -> None:
    for name in ("file", "other", "file.json", "file.1-x"):
        (tmp_path / name).touch()
    for name in ("file", "other"):
        _be_killed_writing(tmp_path / name)
    remove_unfinished(str(tmp_path), ["file"])
    left = sorted(os.listdir(tmp_path))
    assert [name for name in left if not name.startswith("other.")] == ["file", "file.1-x", "file.json", "other"]
    assert len(left) == len(("file", "file.1-x", "file.json", "other")) + 1


def _be_killed_writing(path: Path) -> None:
    if not (child := os.fork()):
        with replacing(str(path)) as file:
            file.write(b"half")
            os.kill(os.getpid(), signal.SIGKILL)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
