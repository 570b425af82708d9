"""Random edits of a tree → changes → layer → unpacked again gives the tree: the property a builder stands on."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from executor.image.layer import Layer
from executor.rootfs.base import Driver, SetAside
from executor.rootfs.files.unpack import apply_layer
from integration.drivers.children import in_child
from integration.drivers.conftest import MakeDriver
from integration.drivers.layers import LayersInMemory, tree

pytestmark = pytest.mark.root
Edit = Callable[[str], None]
BASES = ("a", "b", "c", "é", "\udcff x", "-n", "new\nline", "wh." * 30 + "long")

paths = st.lists(st.sampled_from(BASES), min_size=1, max_size=3).map("/".join)
shallow = st.sampled_from(BASES)
owners = st.sampled_from([0, 1, 1000, 3_000_000])


def write(path: str, content: bytes) -> Edit:
    return lambda root: os.close(_written(f"{root}/{path}", content))


def _written(path: str, content: bytes) -> int:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.write(descriptor, content)
    return descriptor


def remove(path: str) -> Edit:
    def edit(root: str) -> None:
        at = f"{root}/{path}"
        shutil.rmtree(at) if os.path.isdir(at) and not os.path.islink(at) else os.unlink(at)

    return edit


def rename(source: str, target: str) -> Edit:
    return lambda root: os.rename(f"{root}/{source}", f"{root}/{target}")


def link(source: str, target: str) -> Edit:
    return lambda root: os.link(f"{root}/{source}", f"{root}/{target}", follow_symlinks=False)


def change(path: str, mode: int, uid: int, gid: int) -> Edit:
    def edit(root: str) -> None:
        if not os.path.islink(f"{root}/{path}"):
            os.chown(f"{root}/{path}", uid, gid)
            os.chmod(f"{root}/{path}", mode)

    return edit


def attribute(path: str, name: str, value: bytes) -> Edit:
    return lambda root: os.setxattr(f"{root}/{path}", name, value, follow_symlinks=False)


def touch(path: str, seconds: int) -> Edit:
    return lambda root: os.utime(f"{root}/{path}", ns=(0, seconds * 10**9), follow_symlinks=False)


def make(kind: str, path: str) -> Edit:
    def edit(root: str) -> None:
        at = f"{root}/{path}"
        match kind:
            case "directory":
                os.mkdir(at)
            case "symlink":
                os.symlink("../a/./b", at)
            case "dangling":
                os.symlink("/" + "x" * 150, at)
            case "fifo":
                os.mkfifo(at)
            case _:
                os.mknod(at, stat.S_IFCHR | 0o600, os.makedev(1, 3))

    return edit


kinds = st.sampled_from(["directory", "directory", "directory", "symlink", "dangling", "fifo", "device"])
names = st.sampled_from(["user.a", "user.b", "trusted.c"])
modes = st.sampled_from([0o644, 0o755, 0o4755, 0o2775, 0o1777, 0o400, 0])
edits = st.one_of(
    st.builds(write, paths, st.binary(max_size=20)),
    st.builds(make, kinds, paths),
    st.builds(make, st.just("directory"), shallow),
    st.builds(remove, paths),
    st.builds(remove, shallow),
    st.builds(rename, paths, paths),
    st.builds(link, paths, paths),
    st.builds(change, paths, modes, owners, owners),
    st.builds(attribute, paths, names, st.binary(max_size=5)),
    st.builds(touch, paths, st.integers(-5, 2**31)),
)
steps = st.lists(st.lists(edits, min_size=1, max_size=15), min_size=1, max_size=4)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("later", [False, True], ids=["read-at-once", "read-later"])
@in_child
def test_edits_survive_the_way_through_layers(make_driver: MakeDriver, home: str, *, later: bool) -> None:
    """`later`: where the driver can, changes are read when all edits were made."""
    driver, fresh = make_driver(), make_driver(store=f"{home}-fresh")

    @settings(
        max_examples=int(os.environ.get("KRUNNER_TEST_EXAMPLES", "60")),
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(steps)
    def check(sequence: Sequence[Sequence[Edit]]) -> None:
        layers = LayersInMemory()
        made, expected = edited(driver, sequence, layers, later=later)
        for other, what in ((fresh, "the driver's own unpacking"), (driver, "what it kept of its own layers")):
            with other.open_root(made, layers.open) as root:
                assert tree(root.path) == expected, what
                assert list(root.changes()) == []
        plain = Path(f"{home}-plain")
        plain.mkdir()
        try:
            for layer in made:
                with layers.open(layer) as stream:
                    apply_layer(stream, str(plain))
            assert tree(str(plain)) == expected, "one layer applied on another"
        finally:
            shutil.rmtree(plain)

    check()


def edited(
    driver: Driver, sequence: Sequence[Sequence[Edit]], layers: LayersInMemory, *, later: bool
) -> tuple[list[Layer], dict[str, tuple[object, ...]]]:
    """The layers that the edits make, a layer for each step, and the tree at the end."""
    made: list[Layer] = []
    kept: list[SetAside] = []
    with driver.open_root([], layers.open) as root:
        for step in sequence:
            for edit in step:
                with suppress(OSError, shutil.Error):
                    edit(root.path)
            before = tree(root.path)
            changes = list(root.changes())
            aside = root.set_aside(lambda aside: aside) if changes and later else None
            if aside:
                kept.append(aside)
            else:
                layer = layers.of_changes(root.changes().grouped()) if changes else None
                root.commit(layer)
                made += [layer] if layer else []
            assert list(root.changes()) == [], "changes right after a commit"
            assert tree(root.path) == before, "a commit changes what is seen"
        for aside in kept:
            layer = layers.of_changes(aside.changes)
            aside.became(layer)
            made.append(layer)
        return made, tree(root.path)


@in_child
def test_large_files_and_many_layers(make_driver: MakeDriver) -> None:
    """More layers than mount(2) has room for by name, and a file that passes in pieces."""
    layers = LayersInMemory()
    driver = make_driver()
    made: list[Layer] = []
    with driver.open_root([], layers.open) as root:
        Path(root.path, "big").write_bytes(os.urandom(3_000_000))
        for number in range(150):
            Path(root.path, f"f{number}").write_text(str(number))
            layer = layers.of_changes(root.changes())
            root.commit(layer)
            made.append(layer)
        expected = tree(root.path)
    with driver.open_root(made, layers.open) as root:
        assert tree(root.path) == expected
