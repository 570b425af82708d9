"""Snapshots by scan: what counts as a change in each mode, and in which order changes come."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import pytest

from executor.image.layer import EntryType
from executor.snapshot.ignore import IgnoredPaths
from executor.snapshot.index import Index, attributes_of, take_index
from executor.snapshot.scan import Baseline, Mode, ScanDiff

NOTHING = IgnoredPaths()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "d/sub").mkdir(parents=True)
    for name in ("d/a", "d/b", "d/sub/c", "f"):
        (root / name).write_text(name)
        os.utime(root / name, ns=(5, 5))
    (root / "l").symlink_to("d")
    return root


def baseline(root: Path, *, copied: bool = True, ignore: IgnoredPaths = NOTHING) -> Baseline:
    pristine = root.parent / "pristine"
    if copied:
        shutil.copytree(root, pristine, symlinks=True)
    index = take_index(str(root), ignore)
    attributes = attributes_of(str(root), index)
    return Baseline(index=index, attributes=attributes, pristine=(lambda: str(pristine)) if copied else None)


def names(root: Path, before: Baseline, mode: Mode = "full", ignore: IgnoredPaths = NOTHING) -> list[str]:
    changes = [change.entry for change in ScanDiff(str(root), before, mode=mode, ignore=ignore)]
    return [f"{e.name} = {e.link}" if e.type is EntryType.HARDLINK else e.name for e in changes]


def test_nothing_changed(tree: Path) -> None:
    before = baseline(tree)
    assert names(tree, before) == []
    assert ScanDiff(str(tree), before).is_empty()


def test_deletions_come_first_and_topmost_only(tree: Path) -> None:
    before = baseline(tree)
    shutil.rmtree(tree / "d/sub")
    (tree / "d/b").unlink()
    (tree / "l").unlink()
    (tree / "d/0").write_text("new")
    assert names(tree, before) == [".wh.l", "d", "d/.wh.b", "d/.wh.sub", "d/0"]


def test_replaced_types(tree: Path) -> None:
    before = baseline(tree)
    shutil.rmtree(tree / "d")
    (tree / "d").write_text("file")
    (tree / "f").unlink()
    (tree / "f").mkdir()
    (tree / "f/x").symlink_to("y")
    assert names(tree, before) == ["d", "f", "f/x"]


def test_recreated_directories_lose_what_they_had(tree: Path) -> None:
    before = baseline(tree)
    shutil.rmtree(tree / "d")
    (tree / "d").mkdir()
    (tree / "d/a").write_text("d/a")
    assert names(tree, before) == ["d", "d/.wh.b", "d/.wh.sub", "d/a"]


def test_all_names_of_a_changed_file_are_in_the_layer(tree: Path) -> None:
    before = baseline(tree)
    os.link(tree / "f", tree / "d/z")
    os.link(tree / "f", tree / "a")
    assert names(tree, before) == ["a", "d", "d/z = a", "f = a"]


def test_sockets_and_ignored_paths_are_left_out(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ignore = IgnoredPaths(["/skip", "f/"])
    before = baseline(tree, ignore=ignore)
    monkeypatch.chdir(tree)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s")
    (tree / "skip").mkdir()
    (tree / "skip/x").write_text("x")
    (tree / "f").unlink()
    assert names(tree, before, ignore=ignore) == []


TOUCHES = {
    "content of the same size": lambda path: (
        path.write_text("x" * len(path.read_text())),
        os.utime(path, ns=(5, 5)),
    ),
    "a chmod": lambda path: path.chmod(0o600),
    "an attribute": lambda path: os.setxattr(path, "user.x", b"1"),
    "its time": lambda path: os.utime(path, ns=(6, 6)),
    "its size": lambda path: (path.write_text("longer content"), os.utime(path, ns=(5, 5))),
    "nothing, but its ctime": lambda path: path.chmod(path.stat().st_mode),
}


@pytest.mark.parametrize(
    ("touch", "full", "redo", "time"),
    [
        ("content of the same size", True, False, False),
        ("a chmod", True, True, False),
        ("an attribute", True, False, False),
        ("its time", True, True, True),
        ("its size", True, True, False),
        ("nothing, but its ctime", False, False, False),
    ],
)
def test_modes(touch: str, full: bool, redo: bool, time: bool, tree: Path) -> None:
    before = baseline(tree)
    TOUCHES[touch](tree / "f")
    assert [bool(names(tree, before, mode)) for mode in ("full", "redo", "time")] == [full, redo, time]


def test_a_directory_that_has_kept_its_attributes_is_not_changed(tree: Path) -> None:
    os.setxattr(tree / "d", "user.kept", b"1")
    before = baseline(tree)
    (tree / "d" / "new").touch()
    (tree / "d" / "new").unlink()
    assert names(tree, before) == []
    os.setxattr(tree / "d", "user.kept", b"2")
    assert names(tree, before) == ["d"]


def test_what_was_the_same_is_never_compared_with_another_tree(tree: Path) -> None:
    index = take_index(str(tree), NOTHING)
    before = Baseline(index=index, pristine=lambda: pytest.fail("nothing is in doubt"))
    shutil.rmtree(tree / "d" / "sub")
    (tree / "f").write_text("of another size")
    (tree / "d").chmod(0o700)
    assert names(tree, before) == ["d", "d/.wh.sub", "f"]


def test_without_a_pristine_tree_doubt_is_a_change(tree: Path) -> None:
    before = baseline(tree, copied=False)
    TOUCHES["nothing, but its ctime"](tree / "f")
    assert names(tree, before) == ["f"]


def test_what_is_known_from_layers_decides_for_directories_and_links(tree: Path) -> None:
    first = ScanDiff(str(tree), Baseline(index=Index()))
    assert len(list(first)) == 8
    assert first.after is not None
    (tree / "d/sub").chmod(0o755)
    os.utime(tree / "l", ns=(1, 1), follow_symlinks=False)
    (tree / "d/sub/c").unlink()
    assert names(tree, first.after) == ["d", "d/sub", "d/sub/.wh.c", "l"]


def test_squashed_entries_belong_to_root(tree: Path) -> None:
    changes = list(ScanDiff(str(tree), Baseline(index=Index()), squash=True))
    assert {(change.entry.uid, change.entry.gid) for change in changes} == {(0, 0)}


def test_odd_names_are_sorted_bytewise(tmp_path: Path) -> None:
    for name in (b"b", b"\xff", "é".encode(), b"B", b"a b", b"a"):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).touch()
    assert names(tmp_path, Baseline(index=Index(top=take_index(str(tmp_path), NOTHING).top))) == [
        "B", "a", "a b", "b", "é", "\udcff",
    ]  # fmt: skip


def test_an_index_waits_for_the_clock_to_move_on(tmp_path: Path) -> None:
    path = tmp_path / "f"
    for number in range(10):
        path.write_text(str(number))
        os.utime(path, ns=(5, 5))
        before = Baseline(index=take_index(str(tmp_path), NOTHING))
        path.write_text(str(number + 1)[-1])
        os.utime(path, ns=(5, 5))
        assert names(tmp_path, before) == ["f"], number


def test_a_time_out_of_all_bounds_is_a_change_when_in_doubt(tmp_path: Path) -> None:
    file, moment = tmp_path / "file", 10**19  # of the year 2286: more nanoseconds than 63 bits hold
    file.touch()
    os.utime(file, ns=(moment, moment))
    before = baseline(tmp_path)
    assert names(tmp_path, before) == []
    os.utime(file, ns=(moment + 10**9, moment + 10**9))
    assert names(tmp_path, before) == ["file"]
