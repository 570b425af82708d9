"""What a command did to the container's own files is undone, or named."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from executor.errors import UnfitError
from executor.rootfs.ownfiles import OwnFiles

Listing = dict[str, tuple[int, int, str]]


@pytest.fixture
def live(tmp_path: Path) -> Path:
    """A container's root with programs, a store that is left out, and things that no archive has."""
    root = tmp_path / "live"
    for name in ("own/lib/a.pyc", "own/lib/b.pyc", "own/program", "own/store/layer", "srv/data"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
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
    (live / "own" / "lib" / "a.pyc").unlink()
    for _ in range(2):
        with pytest.raises(UnfitError, match="a command changed /srv/data of this container"):
            own.put_right()
    assert (live / "own" / "lib" / "a.pyc").read_text() == "own/lib/a.pyc"


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
