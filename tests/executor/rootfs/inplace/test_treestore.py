"""Trees are made in the store where they can be renamed to `/` from there, else in a store of their own."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from executor.rootfs.inplace import treestore
from executor.store import Store


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    (tmp_path / "takeover").mkdir()
    monkeypatch.setattr(treestore, "FOLDER", str(tmp_path / "takeover"))
    monkeypatch.setattr(treestore, "_TREES", str(tmp_path / "takeover" / "trees"))
    with Store.open(str(tmp_path / "store")) as store:
        yield store


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store is on another file system than what is put aside."""
    rename = os.rename

    def renamed(source: str, goal: str) -> None:
        if ("/takeover/" in source) != ("/takeover/" in goal):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), source)
        rename(source, goal)

    monkeypatch.setattr(os, "rename", renamed)


def test_on_one_file_system_it_is_the_store(store: Store, tmp_path: Path) -> None:
    assert treestore.store_of_trees(store) is store
    assert not list((tmp_path / "takeover").iterdir())
    assert not list(Path(store.session).glob("probe-*"))


@pytest.mark.usefixtures("elsewhere")
def test_a_volume_at_the_store_has_no_trees(store: Store, tmp_path: Path) -> None:
    trees = treestore.store_of_trees(store)
    assert trees.home == str(tmp_path / "takeover" / "trees")
    assert not list(Path(store.session).glob("probe-*"))
    trees.close()


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("room", [True, False])
def test_trees_of_earlier_builds_are_kept_while_there_is_room(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: bool
) -> None:
    with treestore.store_of_trees(store) as earlier:
        folder = earlier.scratch("made")
        Path(folder, "fs").mkdir()
        earlier.unpacked.adopt("base-spare", folder)
    monkeypatch.setattr(treestore, "has_room", lambda _home: room)
    monkeypatch.setattr(treestore, "usual_size", lambda _home: 0)
    with treestore.store_of_trees(store) as trees:
        assert (trees.unpacked.get("base-spare") is not None) == room


@pytest.mark.usefixtures("elsewhere")
def test_where_nothing_can_be_written_it_is_said(store: Store, tmp_path: Path) -> None:
    (tmp_path / "takeover" / "trees").write_text("")
    with pytest.raises(Exception, match="trees"):
        treestore.store_of_trees(store)
