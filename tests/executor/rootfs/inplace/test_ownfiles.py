"""What a command did to the container's own files is undone, or named."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from executor.errors import UnfitError
from executor.rootfs.inplace.ownfiles import OwnFiles

Listing = dict[str, tuple[int, int, str]]


@pytest.fixture
def live(tmp_path: Path) -> Path:
    """A container's root with programs, a store that is left out, and things that no archive has."""
    root = tmp_path / "live"
    for name in ("own/lib/a.pyc", "own/lib/b.pyc", "own/program", "own/store/layer", "srv/data"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    (root / "srv" / "large").write_text("x" * 100_000)
    (root / "own" / "twin").hardlink_to(root / "own" / "program")
    (root / "own" / "link").symlink_to("program")
    (root / "own" / "program").chmod(0o751)
    (root / "own" / "folder").mkdir(mode=0o700)
    return root


@pytest.fixture
def own(live: Path) -> OwnFiles:
    folder = live / "own" / "store"
    own = OwnFiles(str(folder), kept=("/own",), live=str(live))
    own.note({"/own/store", "/absent"})
    return own


def listing(root: Path) -> Listing:
    found: Listing = {}
    for path in root.rglob("*"):
        if "store" not in path.parts:
            status = path.lstat()
            content = os.readlink(path) if path.is_symlink() else path.read_text() if path.is_file() else ""
            found[str(path.relative_to(root))] = (status.st_mode, status.st_mtime_ns, content)
    return found


def test_nothing_done(live: Path, own: OwnFiles) -> None:
    before = listing(live)
    (live / "own" / "store" / "more").write_text("left out")
    assert own.put_right() == ()
    assert listing(live) == before
    assert own.put_right() == ()


def test_everything_is_repaired(live: Path, own: OwnFiles) -> None:
    before = listing(live)
    for path in (live / "own" / "lib").iterdir():
        path.unlink()
    (live / "own" / "lib").rmdir()
    (live / "own" / "program").write_text("changed")
    (live / "own" / "folder").rmdir()
    (live / "own" / "folder").symlink_to("lib")
    (live / "own" / "link").unlink()
    (live / "own" / "link").mkdir()
    (live / "own" / "link" / "in").write_text("new")
    (live / "own" / "new").write_text("new")
    (live / "srv" / "data").chmod(0o600)
    (live / "srv" / "more").mkdir()
    assert set(own.put_right()) > {"/own/lib/a.pyc", "/own/new", "/own/link", "/own/link/in", "/srv/data"}
    assert listing(live) == before


def test_everything_that_is_kept_is_gone(live: Path, own: OwnFiles) -> None:
    before = listing(live)
    for path in (live / "own").iterdir():
        if path.name != "store":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    own.put_right()
    assert listing(live) == before


def test_what_cannot_be_repaired_is_named_each_time(live: Path, own: OwnFiles) -> None:
    (live / "srv" / "data").unlink()
    (live / "srv" / "large").unlink()
    (live / "own" / "lib" / "a.pyc").unlink()
    for _ in range(2):
        with pytest.raises(UnfitError, match="a command changed /srv/large of this container"):
            own.put_right()
    assert (live / "own" / "lib" / "a.pyc").read_text() == "own/lib/a.pyc"
    assert (live / "srv" / "data").read_text() == "srv/data"


def test_folders_that_are_left_out_keep_owner_and_mode(live: Path, own: OwnFiles) -> None:
    (live / "own" / "store").chmod(0o711)
    own.note({"/own/store"})
    (live / "own" / "store").chmod(0)
    assert own.put_right() == ()
    assert (live / "own" / "store").stat().st_mode & 0o7777 == 0o711


def test_a_log_that_somebody_writes_is_left_alone(live: Path, own: OwnFiles) -> None:
    with (live / "srv" / "data").open("a") as log:
        own.put_right()
        own.note({"/own/store"})
        log.write("more")
        log.flush()
        assert own.put_right() == ()
    own.note({"/own/store"})
    (live / "own" / "program").write_text("longer than it was")
    assert "/own/program" in own.put_right()
    own.note({"/own/store"})
    (live / "srv" / "data").write_text("shorter")
    with pytest.raises(UnfitError, match="/srv/data"):
        own.put_right()


def test_archive_and_record_may_be_gone_too(live: Path, own: OwnFiles) -> None:
    before = listing(live)
    shutil.rmtree(live / "own")
    own.put_right()
    assert listing(live) == before
    assert list((live / "own" / "store").iterdir()) == []
    own.note({"/own/store"})
    (live / "own" / "program").unlink()
    assert own.put_right()
    assert listing(live) == before


def test_what_was_written_later_is_not_replaced_by_what_was_before(live: Path, own: OwnFiles) -> None:
    own.put_right()
    for path in (live / "own" / "program", live / "srv" / "data"):
        path.write_text(path.read_text().upper())  # of the same length
    own.note({"/own/store"})
    (live / "own" / "program").unlink()
    assert "/own/program" in own.put_right()
    assert (live / "own" / "program").read_text() == "OWN/PROGRAM"
    os.utime(live / "srv" / "data", ns=(0, 0))
    own.note({"/own/store"})
    (live / "srv" / "data").unlink()
    with pytest.raises(UnfitError, match="/srv/data"):
        own.put_right()


def test_another_process_can_do_it(live: Path, own: OwnFiles) -> None:
    before = listing(live)
    (live / "own" / "program").unlink()
    assert own.put_right()
    (live / "own" / "link").unlink()
    own.note(["/own/store"])
    (live / "own" / "program").unlink()
    assert "/own/program" in OwnFiles(str(live / "own" / "store"), live=str(live)).put_right()
    del before["own/link"]
    assert listing(live).keys() == before.keys()


def test_copying_that_is_stopped_is_begun_anew(live: Path) -> None:
    folder = live / "own" / "store"
    own = OwnFiles(str(folder), kept=("/own",), live=str(live))
    (folder / "own.data.partial").write_text("left by somebody who was killed" * 99)
    own.begin_copying({"/own/store"})
    own.stop_copying()
    before = listing(live)
    own.note({"/own/store"})
    assert (folder / "own.data").stat().st_size < 99
    (live / "own" / "program").unlink()
    own.put_right()
    assert listing(live) == before


def test_a_record_that_a_command_took_away_is_not_needed_by_the_same_process(live: Path, own: OwnFiles) -> None:
    before = listing(live)
    for _ in range(2):
        (live / "own" / "program").write_text("changed")
        (live / "own" / "store" / "own.json").unlink()
        assert "/own/program" in own.put_right()
        assert listing(live) == before
        own.note({"/own/store"})


def test_a_record_that_a_command_forged_is_not_used_again(live: Path, own: OwnFiles) -> None:
    """The same process has its own; the next one, after a SIGKILL, needs a true one."""
    record = live / "own" / "store" / "own.json"
    true = record.read_text()
    record.write_text(true.replace("own/program", "own/progrom"))
    assert own.put_right() == ()
    own.note({"/own/store", "/absent"})
    assert record.read_text() == true


def test_a_full_disk_is_told_when_a_command_is_to_begin(live: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "sendfile", full)
    own = OwnFiles(str(live / "own" / "store"), kept=("/own",), live=str(live))
    own.begin_copying({"/own/store"})
    with pytest.raises(UnfitError, match="No space left on device"):
        own.note({"/own/store"})


def test_a_record_that_was_forged_between_two_commands_is_not_used_again(live: Path, own: OwnFiles) -> None:
    folder = live / "own" / "store"
    true = (folder / "own.json").read_text()
    assert own.put_right() == ()
    (folder / "own.last").write_text("{}")
    own.note({"/own/store", "/absent"})
    assert (folder / "own.json").read_text() == true


def test_copying_ends_when_it_is_not_needed(live: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = live / "own" / "store"
    own = OwnFiles(str(folder), kept=("/own",), live=str(live))
    monkeypatch.setattr(os, "sendfile", lambda *_: time.sleep(60))
    before = children()
    own.begin_copying({"/own/store"})
    assert children() != before
    own.stop_copying()
    assert not (folder / "own.files").exists()
    assert children() == before


def children() -> str:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text()
