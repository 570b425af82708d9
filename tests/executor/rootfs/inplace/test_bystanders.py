"""Unpacked layers that a command changed are used no more; stages that it changed are named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from executor.rootfs.inplace.bystanders import Bystanders
from executor.snapshot.index import await_next_tick

CHANGES = [
    lambda fs: (fs / "bin" / "su").chmod(0o4755),
    lambda fs: (fs / "bin" / "su").unlink(),
    lambda fs: (fs / "bin" / "new").touch(),
    lambda fs: os.utime(fs / "bin" / "su", ns=(0, 0)),
    lambda fs: fs.chmod(0o700),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "unpacked"
    for name in (
        "one/fs/bin/su",
        "two/fs/bin/su",
        "two.seal",
        "../stage/fs/bin/su",
        "../stage/file",
        "../trees/three/fs/x",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    return folder


@pytest.fixture
def bystanders(folder: Path, tmp_path: Path) -> Bystanders:
    """Noted at a time after all that is there and before all that follows."""
    bystanders = Bystanders(str(tmp_path), "made")
    await_next_tick(max(path.stat().st_ctime_ns for path in tmp_path.rglob("*")))
    bystanders.note((str(folder), str(tmp_path / "trees")), (str(tmp_path / "stage"),))
    await_next_tick((tmp_path / "others.json").stat().st_ctime_ns)
    return bystanders


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("killed", [False, True])
def test_layers_that_were_changed_are_discarded(
    folder: Path, bystanders: Bystanders, change, killed: bool, tmp_path: Path
):
    change(folder / "one" / "fs")
    after = Bystanders(str(tmp_path), "made") if killed else bystanders
    assert after.discard_changed() == (str(folder / "one"),)
    assert sorted(path.name for path in folder.iterdir()) == ["two", "two.seal"]
    assert not (tmp_path / "others.json").exists()
    assert after.discard_changed() == ()


def test_layers_may_lie_in_several_folders(folder: Path, bystanders: Bystanders, tmp_path: Path):
    for changed in ("unpacked/one", "trees/three"):
        (tmp_path / changed / "fs" / "new").touch()
    assert bystanders.discard_changed() == (str(folder / "one"), str(tmp_path / "trees" / "three"))


@pytest.mark.parametrize("write", [False, True])
def test_of_one_with_a_record_only_that_matters(folder: Path, tmp_path: Path, write: bool):
    record = folder / "one" / "made"
    record.write_text("how it was")
    await_next_tick(record.stat().st_ctime_ns)
    bystanders = Bystanders(str(tmp_path), "made")
    bystanders.note((str(folder),))
    await_next_tick((tmp_path / "others.json").stat().st_ctime_ns)
    (folder / "one" / "fs" / "bin" / "su").chmod(0o4755)
    if write:
        record.write_text("how it should have been")
    assert bystanders.discard_changed() == ((str(folder / "one"),) if write else ())


@pytest.mark.parametrize("change", [*CHANGES, lambda fs: (fs.parent / "file").unlink()])
def test_a_stage_that_was_changed_is_named(bystanders: Bystanders, change, tmp_path: Path):
    assert bystanders.changed_stage() == ""
    change(tmp_path / "stage" / "fs")
    assert bystanders.changed_stage() == str(tmp_path / "stage")
    assert bystanders.discard_changed() == ()


def test_layers_that_came_or_were_used_meanwhile_stay(folder: Path, bystanders: Bystanders, tmp_path: Path):
    os.utime(folder / "one")
    (folder / "three" / "fs").mkdir(parents=True)
    (folder / "two").rename(tmp_path / "two")
    (folder / "two" / "fs").mkdir(parents=True)
    assert bystanders.discard_changed() == ()
    assert {path.name for path in folder.iterdir()} == {"one", "two", "three", "two.seal"}


def test_a_folder_that_was_removed_has_no_layers(bystanders: Bystanders, folder: Path, tmp_path: Path):
    folder.rename(tmp_path / "elsewhere")
    assert bystanders.discard_changed() == ()
