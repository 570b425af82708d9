"""The packed index and the walk over its changes, beside a plain model: all paths in a dictionary, then sorted."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executor.image.layer import EntryType
from executor.snapshot.ignore import IgnoredPaths
from executor.snapshot.index import Facts, Index, differences, facts_of, take_index
from executor.snapshot.scan import Baseline, ScanDiff

NOTHING = IgnoredPaths()
NAMES = ("a", "a-b", "b", "é", "\uffee", "\U0001f40b", "\udcff", "new\nline")


def plain(root: Path) -> dict[str, Facts]:
    """The facts of all that is in a tree, by entry name."""
    found = {"": facts_of(os.lstat(root))}
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = os.path.join(folder, name)
            found[os.path.relpath(path, root)] = facts_of(os.lstat(path))
    return found


def of(index: Index) -> dict[str, Facts]:
    """The same out of an index."""
    return {name: facts for name, _, facts in differences(Index(), index) if facts}


def in_layer_order(names: Mapping[str, bool]) -> list[str]:
    """Names with whether each is gone, and the directories above them, as they stand in a layer."""
    entries = dict(names)
    for name in names:
        while name := name.rpartition("/")[0]:
            entries.setdefault(name, False)

    def key(name: str) -> list[tuple[bool, bytes]]:
        parts = name.split("/")
        above = [(True, os.fsencode(part)) for part in parts[:-1]]
        return [*above, (not entries[name], os.fsencode(parts[-1]))] if name else []

    return [_whiteout(name) if entries[name] else name for name in sorted(entries, key=key)]


def _whiteout(name: str) -> str:
    folder, _, base = name.rpartition("/")
    return f"{folder}/.wh.{base}".lstrip("/")


def expected(root: Path, pristine: Path, before: Mapping[str, Facts]) -> list[str]:
    """The names of a layer of what was changed in `root`, which had a copy `pristine`."""
    now = plain(root)
    changed = {
        name for name, facts in now.items() if _differs(root / name, pristine / name, before.get(name), facts)
    }
    inodes = {now[name].inode for name in changed if not stat.S_ISDIR(now[name].mode)}
    changed |= {name for name, facts in now.items() if facts.inode in inodes and not stat.S_ISDIR(facts.mode)}
    gone = {name for name in before if name not in now and (root / name).parent.is_dir()}
    gone = {
        name for name in gone if not any((root / name).parents[up].is_symlink() for up in range(name.count("/")))
    }
    gone = {name for name in gone if not (root / name).parent.is_symlink()}
    return in_layer_order({**dict.fromkeys(changed, False), **dict.fromkeys(gone, True)})


def _differs(path: Path, old: Path, before: Facts | None, now: Facts) -> bool:
    if before is None or (before.mode, before.uid, before.gid) != (now.mode, now.uid, now.gid):
        return True
    if before == now or stat.S_ISDIR(now.mode):
        return False
    if (before.mtime, before.size) != (now.mtime, now.size):
        return True
    if path.is_symlink():
        return os.readlink(path) != os.readlink(old)
    return path.read_bytes() != old.read_bytes()


Edit = Callable[[Path], object]
paths = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map("/".join)


def remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def forge(path: Path) -> None:
    """Other bytes of the same length, and the old time again."""
    before = path.lstat()
    path.write_text("x" * before.st_size)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


edits: st.SearchStrategy[Edit] = st.one_of(
    paths.map(lambda name: lambda root: (root / name).write_bytes(os.fsencode(name))),
    paths.map(lambda name: lambda root: (root / name).mkdir()),
    paths.map(lambda name: lambda root: (root / name).symlink_to("a")),
    paths.map(lambda name: lambda root: remove(root / name)),
    paths.map(lambda name: lambda root: forge(root / name)),
    paths.map(lambda name: lambda root: (root / name).chmod(0o700)),
    paths.map(lambda name: lambda root: os.chown(root / name, os.geteuid(), -1, follow_symlinks=False)),
    st.tuples(paths, paths).map(lambda two: lambda root: os.rename(root / two[0], root / two[1])),
    st.tuples(paths, paths).map(
        lambda two: lambda root: os.link(root / two[0], root / two[1], follow_symlinks=False)
    ),
)


def edit(root: Path, those: list[Edit]) -> None:
    for each in those:
        with suppress(OSError, shutil.Error):
            each(root)


@settings(max_examples=50, deadline=None)
@given(first=st.lists(edits, min_size=5, max_size=25), then=st.lists(edits, max_size=12))
def test_any_edits_are_found_as_by_the_plain_model(
    first: list[Edit], then: list[Edit], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("edits") / "root"
    root.mkdir()
    edit(root, first)
    pristine = root.parent / "pristine"
    shutil.copytree(root, pristine, symlinks=True)
    before, model = take_index(str(root), NOTHING), plain(root)
    assert of(before) == model
    assert all(before.get(name) == facts for name, facts in model.items())

    edit(root, then)
    now, model_now = take_index(str(root), NOTHING, before), plain(root)
    assert {name: (old, new) for name, old, new in differences(before, now)} == {
        name: (model.get(name), model_now.get(name))
        for name in {**model, **model_now}
        if model.get(name) != model_now.get(name)
    }
    diff = ScanDiff(str(root), Baseline(index=before, pristine=lambda: str(pristine)))
    assert [change.entry.name for change in diff] == expected(root, pristine, model)
    assert diff.after is not None
    assert diff.after.index == now
    assert ScanDiff(str(root), diff.after).is_empty()


@settings(max_examples=40, deadline=None)
@given(made=st.lists(edits, min_size=5, max_size=25), ignored=st.lists(paths, max_size=3))
def test_what_is_ignored_is_left_out_with_all_below_it(
    made: list[Edit], ignored: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("ignored")
    edit(root, made)
    whole, ignore = take_index(str(root), NOTHING), IgnoredPaths(ignored)
    assert whole.without(ignore) == take_index(str(root), ignore)
    left = {name for name in of(whole) if not any(f"{name}/".startswith(f"{path}/") for path in ignored)}
    assert of(whole.without(ignore)).keys() == left


def test_a_directory_that_is_as_it_was_shares_its_memory(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    before = take_index(str(tmp_path), NOTHING)
    (tmp_path / "b" / "file").chmod(0o600)
    now = take_index(str(tmp_path), NOTHING, before)
    assert now.listings["a"] is before.listings["a"]
    assert now.listings["b"] != before.listings["b"]
    assert now.listings["b"].names is before.listings["b"].names


def test_facts_that_are_known_to_be_others_take_their_place(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    for name in ("d/a", "d/b", "c"):
        (tmp_path / name).touch()
    index = take_index(str(tmp_path), NOTHING)
    other = Facts(*range(1, 9))
    replaced = index.with_facts({"": other, "d/b": other})
    assert of(replaced) == {**of(index), "": other, "d/b": other}
    assert replaced.listings[""] is index.listings[""]


def test_a_link_that_was_written_is_known_by_what_it_says(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("somewhere")
    (tmp_path / "file").write_text("content")
    first = ScanDiff(str(tmp_path), Baseline(index=Index()))
    assert [change.entry.type for change in first if change.entry.name] == [
        EntryType.FIFO,
        EntryType.FILE,
        EntryType.SYMLINK,
    ]
    assert first.after is not None
    (tmp_path / "fifo").chmod((tmp_path / "fifo").stat().st_mode)
    os.chown(tmp_path / "link", os.geteuid(), -1, follow_symlinks=False)
    assert ScanDiff(str(tmp_path), first.after).is_empty()
    before = (tmp_path / "link").lstat()
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to("nowhere!!")
    os.utime(tmp_path / "link", ns=(before.st_atime_ns, before.st_mtime_ns), follow_symlinks=False)
    (tmp_path / "file").chmod((tmp_path / "file").stat().st_mode)
    assert [change.entry.name for change in ScanDiff(str(tmp_path), first.after)] == ["file", "link"]


def written_next(root: Path, baseline: Baseline) -> tuple[list[str], Baseline]:
    """The names of the next layer, and the baseline after it."""
    diff = ScanDiff(str(root), baseline)
    names = [change.entry.name for change in diff]
    assert diff.after is not None
    return names, diff.after


def test_what_was_written_stays_known_through_later_steps(tmp_path: Path) -> None:
    """What is again as the base had it is a change where a layer has it otherwise."""
    base = tmp_path / "root" / "d" / "base"
    base.parent.mkdir(parents=True)
    base.write_text("d/base")
    shutil.copytree(tmp_path / "root", tmp_path / "pristine")
    index = take_index(str(tmp_path / "root"), NOTHING)
    baseline = Baseline(index=index, pristine=lambda: str(tmp_path / "pristine"))
    forge(base)
    names, baseline = written_next(tmp_path / "root", baseline)
    assert names == ["d", "d/base"]
    (tmp_path / "root" / "d" / "other").touch()
    names, baseline = written_next(tmp_path / "root", baseline)
    assert names == ["d", "d/other"]
    before = base.stat()
    base.write_text("d/base")
    os.utime(base, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert written_next(tmp_path / "root", baseline)[0] == ["d", "d/base"]


def test_attributes_of_directories_are_compared_with_those_in_the_last_layer(tmp_path: Path) -> None:
    folder = tmp_path / "root" / "d"
    folder.mkdir(parents=True)
    baseline = Baseline(index=take_index(str(folder.parent), NOTHING))
    os.setxattr(folder, "user.kept", b"1")
    names, baseline = written_next(folder.parent, baseline)
    assert names == ["d"]
    os.removexattr(folder, "user.kept")
    names, baseline = written_next(folder.parent, baseline)
    assert names == ["d"]
    folder.chmod(folder.stat().st_mode)
    assert written_next(folder.parent, baseline)[0] == []
