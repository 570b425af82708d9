"""A copied tree after edits of every kind, brought back to what it was."""

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executor.errors import ImageError
from executor.rootfs.chroot.record import Made, read_record, write_record
from executor.rootfs.chroot.spare import restore
from executor.rootfs.files.copytree import CopyRules, copy_tree
from executor.snapshot.ignore import IgnoredPaths
from executor.snapshot.index import Index, differences, take_index

FILES = ("a", "d/b", "d/c", "d/e/f", "g/h")


@pytest.fixture
def pristine(tmp_path):
    tree = tmp_path / "pristine"
    for number, name in enumerate(FILES):
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content {number}\n")
    (tree / "link").symlink_to("d/b")
    (tree / "empty").mkdir(mode=0o700)
    for folder, names, files in os.walk(tree, topdown=False):
        for name in (*names, *files):
            os.utime(os.path.join(folder, name), (1_000_000, 1_000_000), follow_symlinks=False)
    os.utime(tree, (1_000_000, 1_000_000))
    return tree


def state(root):
    """All that a layer would tell of the tree, and the contents."""
    index = take_index(str(root), IgnoredPaths())
    return {
        name: (facts.mtime, facts.mode, facts.uid, facts.gid, _content(os.path.join(root, name)))
        for name, _, facts in differences(Index(), index)
        if facts
    }


def _content(path):
    if os.path.islink(path):
        return os.readlink(path)
    return None if os.path.isdir(path) else Path(path).read_bytes()


def write(path):
    path.unlink()
    path.write_text("other\n")


def forge(path):
    """Other bytes of the same length, and the old time again."""
    before = path.stat()
    path.write_text("x" * before.st_size)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def to_directory(path):
    path.unlink()
    path.mkdir()
    (path / "inside").write_text("new")


def parent_to_file(path):
    shutil.rmtree(path.parent)
    path.parent.write_text("no directory any more")


def beside(path):
    (path.parent / f"{path.name}.new").mkdir(exist_ok=True)
    (path.parent / f"{path.name}.new" / "file").write_text("new")


EDITS = {
    "write": write,
    "forge": forge,
    "remove": lambda path: path.unlink(),
    "chmod": lambda path: path.chmod(0o600),
    "chmod its directory": lambda path: path.parent.chmod(0o711),
    "to a link": lambda path: (path.unlink(), path.symlink_to("/etc")),
    "to a directory": to_directory,
    "parent to a file": parent_to_file,
    "new beside it": beside,
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_an_edit_is_undone(edit, pristine, tmp_path):
    root = tmp_path / "root"
    copy_tree(str(pristine), str(root), CopyRules())
    made, before = Made.of(str(root)), state(root)
    edit(root / "d/b")
    assert state(root) != before or edit is forge
    again = restore(str(root), made, lambda: str(pristine))
    assert state(root) == before
    assert again == Made.of(str(root))


def nowhere():
    raise AssertionError("nobody needs another tree")


def test_what_was_added_is_undone_without_another_tree(pristine, tmp_path):
    made, before = Made.of(str(pristine)), state(pristine)
    (pristine / "d" / "new").mkdir()
    (pristine / "d" / "new" / "file").write_text("new")
    (pristine / "d").chmod(0o711)
    (pristine / "empty").rmdir()
    assert restore(str(pristine), made, nowhere)
    assert state(pristine) == before


def test_an_attribute_of_a_directory_is_too_much(pristine):
    os.setxattr(pristine / "d", "user.kept", b"1")
    made = Made.of(str(pristine))
    (pristine / "d" / "new").mkdir()
    assert restore(str(pristine), made, nowhere)
    os.setxattr(pristine / "d", "user.kept", b"2")
    assert restore(str(pristine), made, nowhere) is None


def test_without_the_layers_a_changed_file_is_too_much(pristine):
    def unreadable():
        raise ImageError("the build has failed")

    made = Made.of(str(pristine))
    (pristine / "a").write_text("changed")
    assert restore(str(pristine), made, unreadable) is None


def test_what_is_written_down_is_read_again(pristine, tmp_path):
    os.setxattr(pristine / "d", "user.kept", b"\xff")
    os.utime(pristine / "a", (-5, -5))
    (pristine / os.fsdecode(b"odd\xff\nname")).write_text("")
    made = Made.of(str(pristine))
    write_record(str(tmp_path), made)
    assert read_record(str(tmp_path)) == made


@pytest.mark.parametrize(
    "spoil", [lambda data: data[:-1], lambda data: data[:-56], lambda _: b"", lambda _: b"[]\n"]
)
def test_a_damaged_record_is_none(spoil, pristine, tmp_path):
    write_record(str(tmp_path), Made.of(str(pristine)))
    record = tmp_path / "made"
    record.write_bytes(spoil(record.read_bytes()))
    assert read_record(str(tmp_path)) is None
    record.unlink()
    assert read_record(str(tmp_path)) is None


@settings(max_examples=40, deadline=None)
@given(steps=st.lists(st.tuples(st.sampled_from(sorted(EDITS)), st.sampled_from(FILES[1:])), max_size=6))
def test_edits_in_any_order_are_undone(steps, tmp_path_factory):
    folder = tmp_path_factory.mktemp("spare")
    tree, root = folder / "pristine", folder / "root"
    for name in FILES:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(name)
    copy_tree(str(tree), str(root), CopyRules())
    made, before = Made.of(str(root)), state(root)
    for edit, name in steps:
        if (root / name).is_file() and not (root / name).is_symlink():
            EDITS[edit](root / name)
    assert restore(str(root), made, lambda: str(tree))
    assert state(root) == before


def test_a_changed_hard_link_is_too_much(pristine, tmp_path):
    os.link(pristine / "a", pristine / "twin")
    root = tmp_path / "root"
    copy_tree(str(pristine), str(root), CopyRules())
    made = Made.of(str(root))
    write(root / "a")
    assert restore(str(root), made, lambda: str(pristine)) is None
