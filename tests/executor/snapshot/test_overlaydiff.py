"""Changes from an upper directory, laid out by hand with user.overlay attributes: reading takes no mount."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

import pytest

from executor.image.layer import EntryType, LayerEntry
from executor.removal import remove_tree
from executor.snapshot.ignore import IgnoredPaths
from executor.snapshot.overlaydiff import Overlay, OverlayDiff, look_up

OPAQUE = "user.overlay.opaque"
ORIGIN = "user.overlay.origin"


def make(root: Path, names: Iterable[str]) -> Path:
    """`d/` a directory, `d!` an opaque one, `x~` a whiteout, `x^` a copied-up file, anything else a file."""
    root.mkdir(exist_ok=True)
    for name in names:
        path = root / name.rstrip("/!~^")
        if name[-1] in "/!":
            path.mkdir()
            path.chmod(0o755)
            if name[-1] == "!":
                os.setxattr(path, OPAQUE, b"y")
        elif name[-1] == "~":
            os.mknod(path, stat.S_IFCHR, 0)
        else:
            path.write_text("content")
            path.chmod(0o644)
            os.utime(path, ns=(5, 5))
            if name[-1] == "^":
                os.setxattr(path, ORIGIN, b"1")
    return root


def diff(tmp_path: Path, upper: Iterable[str], *lowers: Iterable[str], ignore: Iterable[str] = ()) -> OverlayDiff:
    made = [str(make(tmp_path / f"lower{number}", names)) for number, names in enumerate(lowers)]
    overlay = Overlay(upper=str(make(tmp_path / "upper", upper)), lowers=made, namespace="user")
    (tmp_path / "upper").chmod(0o755)
    root = LayerEntry(name="", type=EntryType.DIRECTORY, mode=0o755, uid=os.geteuid(), gid=os.getegid())
    return OverlayDiff(overlay, root, ignore=IgnoredPaths(ignore))


def names(changes: OverlayDiff) -> list[str]:
    return [change.entry.name for change in changes]


@pytest.mark.parametrize(
    ("upper", "lowers", "expected", "surplus"),
    [
        ([], [["f"]], [], []),
        (["f"], [], ["f"], []),
        (["f~"], [["f"]], [".wh.f"], []),
        (["f~"], [["g"]], [], ["f"]),
        (["f~"], [["f~"], ["f"]], [], ["f"]),
        (["f~"], [[], ["f"]], [".wh.f"], []),
        (["d/"], [["d/"]], [], ["d"]),
        (["d/", "d/f"], [["d/"]], ["d", "d/f"], []),
        (["d/", "d/f~"], [["d/", "d/f"]], ["d", "d/.wh.f"], []),
        (["d/", "d/f~"], [["d/"], ["d/", "d/f"]], ["d", "d/.wh.f"], []),
        (["d/", "d/f~"], [["d!"], ["d/", "d/f"]], [], ["d/f", "d"]),
        (["d!"], [["d/"]], ["d", "d/.wh..wh..opq"], []),
        (["d!", "d/f"], [["d/", "d/f"]], ["d", "d/.wh..wh..opq", "d/f"], []),
        (["d!"], [], ["d"], []),
        (["d!"], [["d"]], ["d"], []),
        (["d!", "d/x~"], [["d/", "d/x"]], ["d", "d/.wh..wh..opq"], ["d/x"]),
        (["f^"], [["f"]], [], ["f"]),
        (["f^"], [["f~"], ["f"]], ["f"], []),
        (["z~", "a", "d/", "d/e/"], [["z"]], [".wh.z", "a", "d", "d/e"], []),
    ],
)
def test_changes(
    upper: list[str], lowers: list[list[str]], expected: list[str], surplus: list[str], tmp_path: Path
) -> None:
    changes = diff(tmp_path, upper, *lowers)
    assert changes.is_empty() == (not expected)
    changes.surplus.clear()
    assert names(changes) == expected
    assert (changes.surplus, changes.finished, changes.complete) == (surplus, True, True)


@pytest.mark.parametrize("what", ["content", "mode", "time", "attribute"])
def test_a_copy_that_differs_in_anything_is_a_change(what: str, tmp_path: Path) -> None:
    changes = diff(tmp_path, ["f^"], ["f"])
    path = tmp_path / "upper/f"
    if what == "content":
        path.write_text("CONTENT")
        os.utime(path, ns=(5, 5))
    elif what == "mode":
        path.chmod(0o600)
    elif what == "time":
        os.utime(path, ns=(6, 6))
    else:
        os.setxattr(path, "user.x", b"1")
    assert names(changes) == ["f"]


def test_directories_with_another_mode_or_attribute_are_changes(tmp_path: Path) -> None:
    changes = diff(tmp_path, ["d/", "e/", "same/"], ["d/", "e/", "same/"])
    (tmp_path / "upper/d").chmod(0o700)
    os.setxattr(tmp_path / "upper/e", "user.x", b"1")
    os.utime(tmp_path / "upper/same", ns=(1, 1))
    assert names(changes) == ["d", "e"]


def test_the_root_is_there_only_when_it_changed(tmp_path: Path) -> None:
    changes = diff(tmp_path, ["f"])
    (tmp_path / "upper").chmod(0o711)
    assert names(changes) == ["", "f"]


def test_hard_links_and_overlay_attributes(tmp_path: Path) -> None:
    changes = diff(tmp_path, ["f^", "d!"], ["f"])
    os.link(tmp_path / "upper/f", tmp_path / "upper/d/g")
    found = {change.entry.name: change.entry for change in changes}
    assert found["d"].xattrs == {}
    assert (found["f"].type, found["f"].link) == (EntryType.HARDLINK, "d/g")
    assert (found["d/g"].type, found["d/g"].xattrs) == (EntryType.FILE, {})


def test_ignored_paths_make_the_walk_incomplete(tmp_path: Path) -> None:
    changes = diff(tmp_path, ["f", "d/", "d/x", "w~"], ["w"], ignore=["/f", "/d/x", "/w"])
    assert names(changes) == ["d"]
    assert not changes.complete


def test_look_up(tmp_path: Path) -> None:
    stacks = {"a": ["d/", "f"], "b": ["d!", "f~"], "c": ["d/", "g"], "e": ["d"]}
    made = {name: str(make(tmp_path / name, names)) for name, names in stacks.items()}
    a, b, c, e = made.values()
    assert look_up([a, b, c], "d", "user") == (f"{a}/d", [f"{a}/d", f"{b}/d"])
    assert look_up([a, c], "d", "trusted") == (f"{a}/d", [f"{a}/d", f"{c}/d"])
    assert look_up([a, e, c], "d", "user") == (f"{a}/d", [f"{a}/d"])
    assert look_up([e, a], "d", "user") == (f"{e}/d", [])
    assert look_up([b, a], "f", "user") == (None, [])
    assert look_up([], "f", "user") == (None, [])


def test_directories_may_be_nested_deeper_than_the_stack(tmp_path: Path) -> None:
    depth = 1200
    folders = ["/".join("d" * count) for count in range(1, depth + 1)]
    below = [f"{folder}/" for folder in folders]
    changes = diff(tmp_path, [*below, f"{folders[-1]}/f"], below)
    found = names(changes)
    for tree in ("upper/d", "lower0/d"):
        remove_tree(str(tmp_path / tree))  # pytest itself could not
    assert found == [*folders, f"{folders[-1]}/f"]
    assert changes.surplus == []
