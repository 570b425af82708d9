"""Unpacked layers that a command changed are used no more."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from executor.rootfs.bystanders import Bystanders
from executor.snapshot.index import await_next_tick


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "unpacked"
    for name in ("one/fs/bin/su", "two/fs/bin/su", "two.seal"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    return folder


@pytest.fixture
def bystanders(folder: Path) -> Bystanders:
    bystanders = Bystanders(str(folder), "made")
    bystanders.note()
    return bystanders


@pytest.fixture
def since(folder: Path) -> int:
    """A time after all that is there and before all that follows."""
    latest = max(path.stat().st_ctime_ns for path in folder.rglob("*"))
    await_next_tick(latest)
    return latest


@pytest.mark.parametrize(
    "change",
    [
        lambda fs: (fs / "bin" / "su").chmod(0o4755),
        lambda fs: (fs / "bin" / "su").unlink(),
        lambda fs: (fs / "bin" / "new").touch(),
        lambda fs: os.utime(fs / "bin" / "su", ns=(0, 0)),
        lambda fs: fs.chmod(0o700),
    ],
)
def test_what_was_changed_is_discarded(folder: Path, bystanders: Bystanders, since: int, change, tmp_path: Path):
    change(folder / "one" / "fs")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    assert bystanders.discard_changed(since, lambda prefix: tempfile.mkdtemp(prefix, dir=scratch)) == ("one",)
    assert sorted(path.name for path in folder.iterdir()) == ["two", "two.seal"]
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("write", [False, True])
def test_of_one_with_a_record_only_that_matters(folder: Path, bystanders: Bystanders, tmp_path: Path, write: bool):
    record = folder / "one" / "made"
    record.write_text("how it was")
    await_next_tick(record.stat().st_ctime_ns)
    since = record.stat().st_ctime_ns
    (folder / "one" / "fs" / "bin" / "su").chmod(0o4755)
    if write:
        record.write_text("how it should have been")
    found = bystanders.discard_changed(since, lambda prefix: tempfile.mkdtemp(prefix, dir=tmp_path))
    assert found == (("one",) if write else ())


def test_what_came_or_was_used_meanwhile_stays(folder: Path, bystanders: Bystanders, since: int, tmp_path: Path):
    os.utime(folder / "one")
    (folder / "three" / "fs").mkdir(parents=True)
    (folder / "two").rename(tmp_path / "two")
    (folder / "two" / "fs").mkdir(parents=True)
    assert bystanders.discard_changed(since, lambda _: pytest.fail("nothing changed")) == ()
    assert {path.name for path in folder.iterdir()} == {"one", "two", "three", "two.seal"}
