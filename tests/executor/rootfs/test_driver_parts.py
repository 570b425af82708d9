"""Parts of the drivers that need no root: chain IDs, ranges of ids, trials, the choice of a driver."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from executor.errors import StepError, UnfitError
from executor.events import DriverChosen, Event
from executor.image.descriptor import Descriptor
from executor.image.digest import Digest
from executor.image.layer import Layer
from executor.image.mediatypes import OCI_LAYER
from executor.rootfs import choose
from executor.rootfs.base import Probe
from executor.rootfs.chroot.driver import ChrootDriver
from executor.rootfs.kernel import namespaces
from executor.rootfs.kernel.namespaces import subordinate_range
from executor.rootfs.kernel.trial import try_in_child
from executor.rootfs.overlay import overlaymount
from executor.rootfs.overlay.driver import OverlayDriver
from executor.rootfs.overlay.layerdirs import chain_ids
from executor.rootfs.overlay.overlaymount import OverlayMount, mount_overlay
from executor.spec import RootfsOptions
from executor.store import Store


def layer(content: bytes) -> Layer:
    digest = Digest.of(content)
    return Layer(descriptor=Descriptor(OCI_LAYER, digest, len(content)), diff_id=digest)


def test_chain_ids_are_the_specs() -> None:
    one, two, three = layer(b"1"), layer(b"2"), layer(b"3")
    chain = chain_ids([one, two, three])
    assert chain[0] == one.diff_id
    assert chain[1] == Digest.of(f"{one.diff_id} {two.diff_id}".encode())
    assert chain[2] == Digest.of(f"{chain[1]} {three.diff_id}".encode())
    assert chain_ids([]) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("app:100000:65536\n", (100000, 65536)), ("1000:5:6\n", (5, 6)), ("other:1:2\napp:3:4\n", (3, 4)),
        ("app:x:4\n", None), ("app:1:0\n", None), ("app\n", None), ("", None), ("application:1:2", None),
    ],
)  # fmt: skip
def test_subordinate_ranges(text: str, expected: tuple[int, int] | None) -> None:
    assert subordinate_range(text, 1000, "app") == expected


def test_trials_tell_why() -> None:
    def fail_by_error() -> None:
        raise StepError("because")

    def fail_by_system() -> None:
        os.stat("/does/not/exist")

    assert try_in_child(lambda: None) == Probe(True, "")
    assert try_in_child(fail_by_error) == Probe(False, "because")
    assert try_in_child(fail_by_system) == Probe(False, "No such file or directory: /does/not/exist")
    assert try_in_child(lambda: os.kill(os.getpid(), 9)) == Probe(False, "it was killed")
    assert try_in_child(lambda: [].index(1)) == Probe(False, "it failed")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(str(tmp_path / "store")) as store:
        yield store


@pytest.mark.parametrize(
    ("asked", "works", "expected"),
    [
        ("auto", {"overlay", "chroot"}, "overlay"),
        ("auto", {"chroot"}, "chroot"),
        ("chroot", {"overlay", "chroot"}, "chroot"),
        ("overlay", {"overlay"}, "overlay"),
    ],
)
def test_the_first_driver_that_works_is_taken(
    asked: Any, works: set[str], expected: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in (OverlayDriver, ChrootDriver):
        monkeypatch.setattr(kind, "probe", lambda driver: Probe(driver.name in works, "it is broken"))
    events: list[Event] = []
    assert choose.choose_driver(store, RootfsOptions(driver=asked), events.append).name == expected
    assert isinstance(events[0], DriverChosen)
    assert events[0].driver == expected
    assert ("overlay: it is broken" in events[0].reason) == (asked == "auto" and expected == "chroot")


@pytest.mark.parametrize("asked", ["auto", "overlay", "chroot"])
def test_no_driver_that_works_is_told_with_a_way_out(
    asked: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in (OverlayDriver, ChrootDriver):
        monkeypatch.setattr(kind, "probe", lambda driver: Probe(False, f"no {driver.name}"))
    with pytest.raises(UnfitError) as caught:
        choose.choose_driver(store, RootfsOptions(driver=asked), lambda event: None)
    for name in ("overlay", "chroot"):
        assert (f"{name}: no {name}" in caught.value.message) == (asked in ("auto", name))
    assert caught.value.hint


def test_too_many_layers_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    mount = OverlayMount(target="/t", lowers=[f"/{n}" for n in range(501)], upper="/u", work="/w")
    with pytest.raises(UnfitError, match="501 layers; overlayfs stacks 500"):
        mount_overlay(mount)


@pytest.mark.parametrize(("failing", "tried"), [(0, 1), (1, 2), (3, 4)])
def test_older_ways_to_mount_are_tried_in_turn(failing: int, tried: int, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, bool]] = []

    def way(name: str) -> Any:
        def mount(overlay: OverlayMount, *, volatile: bool) -> None:
            assert overlay.lowers == ["/a", "/b"], "a repeated layer counts where it is topmost"
            calls.append((name, volatile))
            if len(calls) <= failing:
                raise OSError(22, "Invalid argument")

        return mount

    monkeypatch.setattr(overlaymount, "_by_descriptor", way("new"))
    monkeypatch.setattr(overlaymount, "_by_string", way("old"))
    mount_overlay(OverlayMount(target="/t", lowers=["/a", "/b", "/a"], upper="/u", work="/w"))
    assert calls == [("new", True), ("old", True), ("new", False), ("old", False)][:tried]


def test_what_was_found_out_for_forks_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[object] = []
    entered: list[bool] = []

    def try_nothing(action: object) -> Probe:
        tried.append(action)
        return Probe(usable=True)

    monkeypatch.setattr(namespaces, "_found_out", [])
    monkeypatch.setattr(namespaces, "try_in_child", try_nothing)
    monkeypatch.setattr(namespaces, "_unshare_mounts", lambda: entered.append(True))
    namespaces.enter_mount_namespace()
    assert (len(tried), len(entered)) == (1, 1)
    namespaces.find_out_for_forks()
    namespaces.enter_mount_namespace()
    namespaces.enter_mount_namespace()
    assert (len(tried), len(entered)) == (2, 3)
