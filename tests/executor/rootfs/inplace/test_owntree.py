"""What is seen of the container's own files, and which links are not asked for again."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest

from executor.rootfs.inplace.owntree import OwnTree


@pytest.fixture
def live(tmp_path: Path) -> Path:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "tool").write_text("tool")
    for name in ("cat", "ls"):
        (tmp_path / "bin" / name).symlink_to("tool")
    (tmp_path / "left").mkdir()
    (tmp_path / "left" / "out").write_text("")
    return tmp_path


def test_everything_but_what_is_left_out(live: Path) -> None:
    found = OwnTree(str(live)).look({"left"})
    assert sorted(found) == ["bin", "bin/cat", "bin/ls", "bin/tool"]
    assert stat.S_ISLNK(found["bin/cat"][0])
    assert found["bin/tool"][3] == len("tool")


def test_links_are_asked_for_once(live: Path) -> None:
    tree = OwnTree(str(live))
    time.sleep(0.03)  # more than a tick of the clock
    before = tree.look(())
    os.utime(live / "bin" / "cat", ns=(1, 1), follow_symlinks=False)  # nobody's: of no use to compare
    assert tree.look(()) == before


def test_a_link_that_was_replaced_is_seen_though_its_directory_has_its_old_time(live: Path) -> None:
    tree = OwnTree(str(live))
    before = tree.look(())
    modified = os.stat(live / "bin").st_mtime_ns
    (live / "bin" / "ls").unlink()
    (live / "bin" / "ls").symlink_to("evil")
    os.utime(live / "bin", ns=(modified, modified))
    after = tree.look(())
    assert after["bin"] == before["bin"]
    assert after["bin/ls"] != before["bin/ls"]


def test_a_file_in_place_of_a_link_is_a_file(live: Path) -> None:
    tree = OwnTree(str(live))
    tree.look(())
    (live / "bin" / "ls").unlink()
    (live / "bin" / "ls").write_text("evil")
    assert stat.S_ISREG(tree.look(())["bin/ls"][0])


def test_another_directory_of_the_name_is_looked_at_anew(live: Path) -> None:
    tree = OwnTree(str(live))
    before = tree.look(())
    (live / "bin").rename(live / "old")
    (live / "bin").mkdir()
    (live / "bin" / "cat").symlink_to("evil")
    os.utime(live / "bin" / "cat", ns=(1, 1), follow_symlinks=False)
    assert tree.look(())["bin/cat"] != before["bin/cat"]


def test_what_is_new_is_seen_within_a_tick(live: Path) -> None:
    tree = OwnTree(str(live))
    (live / "bin" / "first").write_text("")
    tree.look(())
    (live / "bin" / "second").write_text("")
    assert "bin/second" in tree.look(())


def test_a_link_can_be_left_out(live: Path) -> None:
    assert "bin/cat" not in OwnTree(str(live)).look({"bin/cat"})


def test_inode_numbers_of_files(live: Path) -> None:
    inodes: dict[str, int] = {}
    OwnTree(str(live)).look((), inodes)
    assert inodes == {name: (live / name).stat().st_ino for name in ("bin/tool", "left/out")}
