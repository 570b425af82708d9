"""Directories that a command renamed are put back; those that it removed are named."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from executor.rootfs.inplace.footholds import Footholds


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Two directories, one in the other, with a file in each."""
    home = tmp_path / "home"
    (home / "store").mkdir(parents=True)
    (home / "file").write_text("home")
    (home / "store" / "file").write_text("store")
    return home


@pytest.fixture
def footholds(home: Path) -> Iterator[Footholds]:
    with closing(Footholds((str(home / "store"), str(home)))) as footholds:
        yield footholds


def assert_whole(home: Path) -> None:
    assert (home / "file").read_text() == "home"
    assert (home / "store" / "file").read_text() == "store"
    assert not home.is_symlink()


def test_nothing_done(home: Path, footholds: Footholds) -> None:
    assert footholds.restore() == ()
    assert_whole(home)


def test_both_were_renamed(home: Path, footholds: Footholds, tmp_path: Path) -> None:
    home.rename(tmp_path / "moved")
    (tmp_path / "moved" / "store").rename(tmp_path / "elsewhere")
    assert footholds.restore() == ()
    assert_whole(home)
    assert sorted(os.listdir(tmp_path)) == ["home"]


@pytest.mark.parametrize("kind", ["link", "file", "directory"])
def test_something_else_is_in_the_place(home: Path, footholds: Footholds, tmp_path: Path, kind: str) -> None:
    home.rename(tmp_path / "moved")
    match kind:
        case "link":
            home.symlink_to(tmp_path)
        case "file":
            home.write_text("")
        case _:
            (home / "in").mkdir(parents=True)
    assert footholds.restore() == ()
    assert_whole(home)


def test_what_was_removed_is_named_and_its_place_is_free(home: Path, footholds: Footholds, tmp_path: Path) -> None:
    shutil.rmtree(home)
    home.symlink_to(tmp_path)
    assert footholds.restore() == (str(home), str(home / "store"))
    assert os.listdir(tmp_path) == []


def test_one_of_them_was_removed(home: Path, footholds: Footholds, tmp_path: Path) -> None:
    home.rename(tmp_path / "moved")
    shutil.rmtree(tmp_path / "moved" / "store")
    assert footholds.restore() == (str(home / "store"),)
    assert os.listdir(home) == ["file"]
