"""Trees for roots: unpacked no more often than needed, and never with what another root did to them."""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import BinaryIO

import pytest

from executor.errors import ImageError
from executor.image.descriptor import Descriptor
from executor.image.digest import Digest
from executor.image.layer import EntryType, Layer, LayerEntry
from executor.image.mediatypes import OCI_LAYER
from executor.image.tar import write_layer
from executor.rootfs.chroot.record import Made
from executor.rootfs.chroot.roottrees import RootTrees, restored
from executor.store import Store

SQUASH = os.geteuid() != 0
BASE = {"bin/sh": b"shell", "etc/passwd": b"root"}
TOP = {"srv/app": b"application"}


class Layers:
    """Layers by their files, and which of them were opened."""

    def __init__(self) -> None:
        self.opened: list[Layer] = []
        self._tars: dict[Digest, bytes] = {}

    def of(self, files: dict[str, bytes]) -> Layer:
        out = io.BytesIO()
        folders = sorted({name.partition("/")[0] for name in files})
        entries = [(LayerEntry(name=name, type=EntryType.DIRECTORY, mode=0o755), b"") for name in folders]
        entries += [
            (LayerEntry(name=name, type=EntryType.FILE, mode=0o644, size=len(content), mtime_ns=5), content)
            for name, content in files.items()
        ]
        write_layer(entries, out.write)
        digest = Digest.of(out.getvalue())
        self._tars[digest] = out.getvalue()
        return Layer(descriptor=Descriptor(OCI_LAYER, digest, len(out.getvalue())), diff_id=digest)

    def open(self, layer: Layer) -> BinaryIO:
        self.opened.append(layer)
        return io.BytesIO(self._tars[layer.diff_id])


@pytest.fixture
def layers() -> Layers:
    return Layers()


@pytest.fixture
def home(tmp_path: Path) -> str:
    return str(tmp_path / "store")


@pytest.fixture
def store(home: str) -> Iterator[Store]:
    with Store.open(home) as store:
        yield store


def trees_of(store: Store, *, shared: bool = False) -> RootTrees:
    return RootTrees(store, squash=SQUASH, shared=shared)


@pytest.fixture
def trees(store: Store) -> RootTrees:
    return trees_of(store)


def unpacked(home: str) -> list[str]:
    """What the store keeps, by the end of its names."""
    return sorted(path.name.rpartition("-")[2] for path in Path(home, "unpacked").iterdir() if path.is_dir())


def content(tree: str) -> dict[str, bytes]:
    root = Path(tree)
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def spoil(tree: str) -> None:
    Path(tree, "srv").mkdir(exist_ok=True)
    Path(tree, "srv", "new").write_text("new")
    Path(tree, "etc").chmod(0o700)


def keys(chain: Sequence[Layer]) -> list[Digest]:
    return [layer.diff_id for layer in chain]


def test_a_tree_alone_is_unpacked_and_nothing_else(layers: Layers, trees: RootTrees, home: str) -> None:
    base = layers.of(BASE)
    tree = trees.take([base], layers.open)
    assert content(tree.path) == BASE
    assert tree.made == Made.of(tree.path)
    assert (keys(layers.opened), unpacked(home)) == ([base.diff_id], [])


def test_a_tree_that_was_prepared_is_taken(layers: Layers, trees: RootTrees) -> None:
    base = layers.of(BASE)
    trees.announce([base])
    trees.prepare([base], layers.open)
    trees.prepare([base], layers.open)
    assert content(trees.take([base], layers.open).path) == BASE
    assert len(layers.opened) == 1


def test_of_two_that_are_announced_the_second_is_copied_before_the_first_is_changed(
    layers: Layers, trees: RootTrees, home: str
) -> None:
    base = layers.of(BASE)
    trees.announce([base])
    trees.announce([base])
    first = trees.take([base], layers.open)
    spoil(first.path)
    second = trees.take([base], layers.open)
    assert content(second.path) == BASE
    assert first.path != second.path
    assert (len(layers.opened), unpacked(home)) == (1, [])


def test_two_threads_that_want_one_at_once_share_the_unpacking(layers: Layers, trees: RootTrees) -> None:
    base, both = layers.of(BASE), Barrier(2)

    def open_slowly(layer: Layer) -> BinaryIO:
        stream = layers.open(layer)
        wait_until(lambda: trees._waiting[trees._keys([base])[-1]] == 2)
        return stream

    def take() -> str:
        both.wait(10)
        return trees.take([base], open_slowly).path

    with ThreadPoolExecutor(2) as pool:
        first, second = (future.result() for future in [pool.submit(take), pool.submit(take)])
    assert content(first) == content(second) == BASE
    assert (first != second, len(layers.opened)) == (True, 1)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_a_kept_tree_is_what_it_was_for_the_next_process(layers: Layers, trees: RootTrees, home: str) -> None:
    base = layers.of(BASE)
    tree = trees.take([base], layers.open)
    spoil(tree.path)
    trees.keep(tree)
    assert unpacked(home) == ["spare"]
    with Store.open(home) as other:
        again = trees_of(other).take([base], layers.open)
        assert content(again.path) == BASE
        assert again.made == Made.of(again.path)
        assert len(layers.opened) == 1
        assert unpacked(home) == []


def test_files_of_the_base_that_were_changed_come_from_its_layers(
    layers: Layers, trees: RootTrees, home: str
) -> None:
    base = layers.of(BASE)
    for _ in range(3):
        tree = trees.take([base], layers.open)
        assert content(tree.path) == BASE
        Path(tree.path, "etc", "passwd").write_text("evil")
        Path(tree.path, "bin", "sh").unlink()
        trees.keep(tree)
    assert len(layers.opened) == 2, "once for the tree, once for what the second needed again"
    assert unpacked(home) == ["flat", "spare"]


def test_a_kept_tree_of_an_earlier_run_of_the_machine_is_not_used(
    layers: Layers, trees: RootTrees, home: str
) -> None:
    base = layers.of(BASE)
    trees.keep(trees.take([base], layers.open))
    (seal,) = Path(home, "unpacked").glob("*.seal")
    seal.write_text(json.dumps({**json.loads(seal.read_text()), "boot": "before"}))
    assert content(trees.take([base], layers.open).path) == BASE
    assert len(layers.opened) == 2


def test_a_kept_tree_whose_record_is_damaged_is_not_used(layers: Layers, trees: RootTrees, home: str) -> None:
    base = layers.of(BASE)
    trees.keep(trees.take([base], layers.open))
    (record,) = Path(home, "unpacked").glob("*/made")
    record.write_bytes(record.read_bytes()[:-8])
    assert content(trees.take([base], layers.open).path) == BASE
    assert len(layers.opened) == 2
    assert unpacked(home) == []


def test_what_a_command_did_to_a_tree_that_waits_is_undone(layers: Layers, trees: RootTrees) -> None:
    base = layers.of(BASE)
    trees.prepare([base], layers.open)
    (tree,) = (Path(layer) for layer in _waiting(trees))
    (tree / "etc" / "passwd").chmod(0o4755)
    trees.suspect()
    taken = trees.take([base], layers.open)
    assert Path(taken.path, "etc", "passwd").stat().st_mode & 0o7777 == 0o644
    assert content(taken.path) == BASE


def _waiting(trees: RootTrees) -> list[str]:
    return [tree.path for ready in trees._ready.values() for tree in ready]


def test_more_layers_are_applied_to_a_copy_of_the_beginning_that_is_kept(
    layers: Layers, trees: RootTrees, home: str
) -> None:
    base, top = layers.of(BASE), layers.of(TOP)
    tree = trees.take([base], layers.open)
    spoil(tree.path)
    trees.keep(tree)
    longer = trees.take([base, top], layers.open)
    assert content(longer.path) == BASE | TOP
    assert keys(layers.opened) == [base.diff_id, top.diff_id]
    assert content(trees.take([base], layers.open).path) == BASE
    assert len(layers.opened) == 2


def test_what_several_processes_may_want_is_unpacked_once_and_copied(
    layers: Layers, store: Store, home: str
) -> None:
    base = layers.of(BASE)
    tree = trees_of(store, shared=True).take([base], layers.open)
    spoil(tree.path)
    with Store.open(home) as other:
        assert content(trees_of(other, shared=True).take([base], layers.open).path) == BASE
    assert (len(layers.opened), unpacked(home)) == (1, ["flat"])


def test_what_a_tree_was_like_is_unpacked_when_somebody_asks(layers: Layers, trees: RootTrees, home: str) -> None:
    base = layers.of(BASE)
    tree = trees.take([base], layers.open)
    spoil(tree.path)
    assert tree.pristine is not None
    assert content(tree.pristine()) == BASE
    assert tree.pristine() == tree.pristine()
    assert (len(layers.opened), unpacked(home)) == (2, ["flat"])


def test_an_empty_tree_has_nothing_to_be_compared_with(trees: RootTrees) -> None:
    tree = trees.empty()
    assert (content(tree.path), list(tree.made.index.listings), tree.spare) == ({}, [""], "")
    Path(tree.path, "new").write_text("new")
    again = restored(tree)
    assert again is not None
    assert content(again.path) == {}


def test_a_layer_that_cannot_be_unpacked_leaves_nothing(layers: Layers, trees: RootTrees, home: str) -> None:
    base = layers.of(BASE)
    with pytest.raises(ImageError):
        trees.take([base], lambda _: io.BytesIO(b"no archive" * 100))
    assert not list(Path(home, "work").glob("*/unpack-*"))
    assert content(trees.take([base], layers.open).path) == BASE
