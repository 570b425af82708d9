"""A second process that packs: the same archive with it, without it, and when it ends early."""

from __future__ import annotations

import io
import marshal
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from executor.build import cgroup
from executor.build.layers import sharing
from executor.build.layers.layerwriter import LayerWriter
from executor.build.layers.packing import Packed, Packer
from executor.build.layers.sharing import shared
from executor.errors import UnfitError
from executor.image.layer import EntryType, LayerEntry
from executor.image.tar import Member, write_layer
from executor.rootfs.base import AbandonedError
from executor.snapshot.overlaydiff import Overlay, OverlayDiff
from executor.store import Store
from tests.support.packed import members

ROOT = LayerEntry(name="", type=EntryType.DIRECTORY, mode=0o755)
FOLDERS, FILES = 20, 17


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Folders with small files, some of which are linked, have attributes or are no files."""
    upper = tmp_path / "upper"
    for number in range(FOLDERS):
        folder = upper / f"{number:02}"
        folder.mkdir(parents=True)
        for file in range(FILES):
            (folder / f"{file:02}").write_text(f"{number} {file}\n" * file)
        os.link(folder / "03", folder / "link")
        os.setxattr(folder / "04", "user.x", b"1")
        (folder / "08.symlink").symlink_to("08")
        (folder / "09").write_bytes(bytes(100_000))
    return upper


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two cores, and turns that are short."""
    monkeypatch.setattr(cgroup, "cores", lambda: 2)
    monkeypatch.setattr(sharing, "_ALONE", 30)
    monkeypatch.setattr(sharing, "_TURN", 5)


class Watched:
    """What became of helpers: their processes, and what was taken from them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pids: list[int] = []
        self.taken: list[Packed | None] = []
        take, begin = sharing._Helper.take, sharing._Helper.__init__

        def watched_take(helper: sharing._Helper) -> Packed | None:
            self.taken.append(take(helper))
            return self.taken[-1]

        def watched_begin(helper: sharing._Helper, pid: int, pipe: int) -> None:
            self.pids.append(pid)
            begin(helper, pid, pipe)

        monkeypatch.setattr(sharing._Helper, "take", watched_take)
        monkeypatch.setattr(sharing._Helper, "__init__", watched_begin)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(monkeypatch)


def grouped(upper: Path) -> Iterator[object]:
    return OverlayDiff(Overlay(upper=str(upper), lowers=[], namespace="user"), ROOT).grouped()


def archive(parts: Iterator[Member]) -> bytes:
    out = io.BytesIO()
    write_layer(parts, out.write)
    return out.getvalue()


def alone(upper: Path) -> bytes:
    return archive(members(grouped(upper), Packer(None)))  # type: ignore[arg-type]


def by_two(upper: Path) -> bytes:
    return archive(shared(grouped(upper), Packer(None)))  # type: ignore[arg-type]


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_the_archive_is_the_same(tree: Path, watched: Watched) -> None:
    assert by_two(tree) == alone(tree)
    assert len(watched.pids) == 1
    assert is_gone(watched.pids[0])
    assert len(watched.taken) > FOLDERS / 2
    assert all(watched.taken)


def test_little_work_and_one_core_are_not_shared(
    tree: Path, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = alone(tree)
    monkeypatch.setattr(cgroup, "cores", lambda: 1)
    assert by_two(tree) == expected
    monkeypatch.setattr(cgroup, "cores", lambda: 2)
    monkeypatch.setattr(sharing, "_ALONE", FOLDERS * (FILES + 1) + 1)
    assert by_two(tree) == expected
    assert watched.pids == []


def kill_itself(_packer: Packer, _siblings: object) -> Packed:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def fail(_packer: Packer, _siblings: object) -> Packed:
    raise MemoryError


@pytest.mark.parametrize("how", [kill_itself, fail])
@pytest.mark.parametrize("after", [0, 3])
def test_a_helper_that_ends_early_only_costs_time(
    how: Callable[..., Packed], after: int, tree: Path, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, parent, pack, count = alone(tree), os.getpid(), Packer.pack, 0

    def pack_for_a_while(packer: Packer, siblings: object) -> Packed:
        nonlocal count
        count += os.getpid() != parent
        return how(packer, siblings) if count > after else pack(packer, siblings)  # type: ignore[arg-type]

    monkeypatch.setattr(Packer, "pack", pack_for_a_while)
    assert by_two(tree) == expected
    assert [bool(packed) for packed in watched.taken[: after + 1]] == [True] * after + [False]
    assert not any(watched.taken[after:])
    assert is_gone(watched.pids[0])


@pytest.mark.parametrize("whole", range(6))
def test_neither_does_one_that_ends_in_the_middle_of_a_row(
    whole: int, tree: Path, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After so many writes one is done by half: that of a row's outline, or of some of its bytes."""
    expected, parent, write, count = alone(tree), os.getpid(), os.write, 0

    def write_half(descriptor: int, data: bytes) -> int:
        nonlocal count
        count += 1
        if os.getpid() == parent or count <= whole:
            return write(descriptor, data)
        write(descriptor, bytes(data)[: len(data) // 2])
        os._exit(1)

    monkeypatch.setattr(os, "write", write_half)
    assert by_two(tree) == expected
    assert watched.taken
    assert not watched.taken[-1]
    assert is_gone(watched.pids[0])


@pytest.mark.parametrize("what", ["fork", "pipe"])
def test_none_that_can_be_had_only_costs_time(what: str, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = alone(tree)

    def refused() -> None:
        raise UnfitError("no process can be started") if what == "fork" else OSError("too many open files")

    place = (sharing, "fork_with_signals_blocked") if what == "fork" else (os, "pipe")
    open_before = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(*place, refused)
    assert by_two(tree) == expected
    assert len(os.listdir("/proc/self/fd")) == open_before


def test_a_layer_that_is_given_up_leaves_no_helper(tree: Path, watched: Watched) -> None:
    open_before = len(os.listdir("/proc/self/fd"))
    parts = shared(grouped(tree), Packer(None))  # type: ignore[arg-type]
    while not watched.pids:
        next(parts)
    parts.close()  # type: ignore[attr-defined]
    assert is_gone(watched.pids[0])
    assert len(os.listdir("/proc/self/fd")) == open_before


def test_one_that_nobody_wants_any_more_leaves_none_either(tree: Path, watched: Watched, tmp_path: Path) -> None:
    """Whoever holds the error holds all that was under way."""

    def check() -> None:
        if watched.pids:
            raise AbandonedError

    with Store.open(str(tmp_path / "home")) as store, pytest.raises(AbandonedError) as caught:
        LayerWriter(store.blobs).write(grouped(tree), check)  # type: ignore[arg-type]
    assert caught.value
    assert is_gone(watched.pids[0])


def test_a_helper_keeps_no_file_of_the_parent_open(
    tree: Path, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads a pipe of the parent's waits for its end."""
    reading, writing = os.pipe()
    parts = shared(grouped(tree), Packer(None))  # type: ignore[arg-type]
    monkeypatch.setattr(marshal, "dumps", lambda _packed: time.sleep(20))
    while not watched.pids:
        next(parts)
    os.close(writing)
    assert os.read(reading, 1) == b""
    assert not is_gone(watched.pids[0])
    os.kill(watched.pids[0], signal.SIGKILL)
    parts.close()  # type: ignore[attr-defined]
    os.close(reading)
