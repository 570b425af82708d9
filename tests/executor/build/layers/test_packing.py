"""Siblings packed as they are read, beside every change made an entry: the same archive of any tree."""

from __future__ import annotations

import io
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.build.layers.packing import Packer
from executor.errors import StepError
from executor.image.layer import EntryType, LayerEntry
from executor.image.tar import write_layer
from executor.image.tarread import read_entries
from executor.snapshot.changes import Change, Siblings
from executor.snapshot.ignore import IgnoredPaths
from executor.snapshot.index import Index, take_index
from executor.snapshot.overlaydiff import Overlay, OverlayDiff
from executor.snapshot.scan import Baseline, ScanDiff
from tests.support.packed import members

NAMES = [
    b"a",
    b"b",
    b"b.txt",
    "é".encode(),
    b"\xff",
    b"\xed\xa0\x80",
    "\U00010000".encode(),
    b"n" * 90,
    b"z" * 101,
]
KINDS = ["plain", "empty", "large", "attribute", "copy", "other", "link", "symlink", "fifo", "gone", "mode"]
ORIGIN = "user.overlay.origin"
PLACES = st.lists(st.sampled_from(NAMES), min_size=1, max_size=4).map(b"/".join)
TREES = st.dictionaries(PLACES, st.sampled_from([*KINDS, "plain", "plain", "plain"]), max_size=25)


def make(root: bytes, tree: dict[bytes, str], *, opaque: Iterable[bytes] = ()) -> None:
    """Make what can be made: parents are directories, and what is in the way stays."""
    first: bytes | None = None
    for place, kind in tree.items():
        path = root + b"/" + place
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            if os.path.lexists(path):
                continue
            if kind == "symlink":
                os.symlink(b"target", path)
            elif kind == "fifo":
                os.mkfifo(path)
            elif kind == "gone":
                os.mknod(path, stat.S_IFCHR, 0)
            elif kind == "link" and first:
                os.link(first, path)
            else:
                first = first or path
                make_file(path, kind)
        except OSError:
            continue
    for place in opaque:
        if os.path.isdir(root + b"/" + place):
            os.setxattr(root + b"/" + place, "user.overlay.opaque", b"y")
    for folder, _, _ in os.walk(root):
        os.utime(folder, (5, 5))


def make_file(path: bytes, kind: str) -> None:
    sizes = {"empty": 0, "large": 40_000}
    with open(path, "wb") as file:
        file.write((kind if kind == "other" else "x").encode() * sizes.get(kind, 700))
    if os.geteuid() == 0:  # else the owner is another than the image's root already
        os.chown(path, 5, 6)
    os.chmod(path, 0o4755 if kind == "mode" else 0o644)
    if kind == "attribute":
        os.setxattr(path, "user.x", b"1")
    if kind in ("copy", "other"):
        os.setxattr(path, ORIGIN, b"1")
    os.utime(path, (7, 7 if kind != "mode" else -7))


def archive(changes: Iterable[Change | Siblings], latest: int | None) -> bytes:
    out = io.BytesIO()
    write_layer(members(changes, Packer(latest)), out.write, latest_mtime=latest)
    return out.getvalue()


@given(
    upper=TREES,
    lower=TREES,
    opaque=st.sets(PLACES, max_size=2),
    ignored=st.sets(PLACES, max_size=2),
    squash=st.booleans(),
    latest=st.sampled_from([None, 6]),
)
def test_the_archive_is_the_same(
    upper: dict[bytes, str],
    lower: dict[bytes, str],
    opaque: set[bytes],
    ignored: set[bytes],
    squash: bool,
    latest: int | None,
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        parts = [os.fsencode(folder) + b"/" + name for name in (b"upper", b"lower")]
        for part, tree in zip(parts, (upper, lower), strict=True):
            os.mkdir(part)
            make(part, tree, opaque=opaque)
        overlay = Overlay(upper=os.fsdecode(parts[0]), lowers=[os.fsdecode(parts[1])], namespace="user")
        root = LayerEntry(name="", type=EntryType.DIRECTORY, mode=0o755)
        ignore = IgnoredPaths(map(os.fsdecode, ignored))

        def diff() -> OverlayDiff:
            return OverlayDiff(overlay, root, ignore=ignore, squash=squash)

        plain, grouped = diff(), diff()
        assert archive(grouped.grouped(), latest) == archive(plain, latest)
        assert (grouped.surplus, grouped.complete) == (plain.surplus, plain.complete)
        assert grouped.finished


@given(before=TREES, added=TREES, squash=st.booleans(), latest=st.sampled_from([None, 6]))
def test_the_archive_of_a_scan_is_the_same(
    before: dict[bytes, str], added: dict[bytes, str], squash: bool, latest: int | None
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = os.fsencode(folder)
        make(root, {name: kind for name, kind in before.items() if kind != "gone"})
        baseline = Baseline(index=take_index(folder, IgnoredPaths()))
        make(root, {name: kind for name, kind in added.items() if kind != "gone"})

        plain, grouped = (ScanDiff(folder, baseline, squash=squash) for _ in range(2))
        assert archive(grouped.grouped(), latest) == archive(plain, latest)
        assert grouped.after
        assert plain.after
        assert grouped.after.written == plain.after.written
        assert grouped.after.attributes == plain.after.attributes
        assert grouped.after.index == plain.after.index


def test_only_files_of_new_directories_are_siblings_in_a_scan(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new):
        folder.mkdir()
        (folder / "first").write_text("x")
    shutil.rmtree(new)
    baseline = Baseline(index=take_index(str(tmp_path), IgnoredPaths()))
    new.mkdir()
    for folder in (old, new):
        for name in ("a", "b", "d", "e"):
            (folder / name).write_text("y")
        (folder / "c").symlink_to("a")
    (new / "f").write_text("z")
    os.link(new / "f", new / "g")
    found = list(ScanDiff(str(tmp_path), baseline).grouped())
    assert [each.names for each in found if isinstance(each, Siblings)] == [[b"a", b"b"], [b"d", b"e"]]
    singles = ["new", "new/c", "new/f", "new/g", "old", "old/a", "old/b", "old/c", "old/d", "old/e"]
    assert [each.entry.name for each in found if isinstance(each, Change)] == singles


def diff_of(upper: Path) -> OverlayDiff:
    root = LayerEntry(name="", type=EntryType.DIRECTORY, mode=0o755)
    return OverlayDiff(Overlay(upper=str(upper), lowers=[], namespace="user"), root)


def scan_of(root: Path) -> ScanDiff:
    return ScanDiff(str(root), Baseline(index=Index()))


def test_plain_files_are_packed_and_others_are_not(tmp_path: Path) -> None:
    for name in (b"a", b"b", b"c", b"d", b"e"):
        make_file(os.fsencode(tmp_path) + b"/" + name, "attribute" if name == b"c" else "plain")
    (siblings,) = (found for found in diff_of(tmp_path).grouped() if isinstance(found, Siblings))
    assert siblings.names == [b"a", b"b", b"c", b"d", b"e"]
    packed = Packer(None).pack(siblings)
    assert [type(piece) for piece in packed] == [bytes, int, bytes]
    assert packed[1] == 2


@pytest.mark.parametrize("diff", [diff_of, scan_of])
def test_the_files_of_one_directory_come_in_rows_of_bounded_length(
    diff: Callable[[Path], OverlayDiff | ScanDiff], tmp_path: Path
) -> None:
    for number in range(300):
        (tmp_path / f"{number:03}").write_text("x")
    rows = [found for found in diff(tmp_path).grouped() if isinstance(found, Siblings)]
    assert [len(row.names) for row in rows] == [128, 128, 44]


@pytest.mark.parametrize("how", ["grows", "shrinks", "goes"])
def test_a_file_that_changes_while_it_is_read_is_looked_at_again(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"content")
    fstat = os.fstat

    def then_changes(descriptor: int) -> os.stat_result:
        found = fstat(descriptor)
        if stat.S_ISREG(found.st_mode):
            changes[how]()
        return found

    changes: dict[str, Callable[[], object]] = {
        "grows": lambda: path.write_bytes(b"content and more"),
        "shrinks": lambda: path.write_bytes(b""),
        "goes": path.unlink,
    }
    monkeypatch.setattr(os, "fstat", then_changes)
    data = archive(diff_of(tmp_path).grouped(), None)
    monkeypatch.undo()
    ((_, read),) = (
        (entry, content.read()) for entry, content in read_entries(io.BytesIO(data)) if entry.name == "f"
    )
    assert read == {"grows": b"content and more", "shrinks": b"", "goes": b"content"}[how]


def test_one_that_is_gone_by_then_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"content")
    found = list(diff_of(tmp_path).grouped())
    (tmp_path / "f").unlink()
    with pytest.raises((StepError, FileNotFoundError)):
        archive(found, None)
