"""Which driver is taken: the one that is asked for, or the first that works, and what `auto` leaves out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from executor.errors import UnfitError
from executor.events import DriverChosen, Event, Warned
from executor.rootfs import choose
from executor.rootfs.base import Probe
from executor.rootfs.chroot.driver import ChrootDriver
from executor.rootfs.inplace import recovery
from executor.rootfs.overlay.driver import OverlayDriver
from executor.spec import RootfsOptions
from executor.store import Store


class Works:
    def __init__(self, name):
        self.name = name

    def probe(self):
        return Probe(usable=True)


@pytest.fixture
def chosen(monkeypatch):
    monkeypatch.setattr(choose, "drivers", lambda _store, _options, _written: [Works("in-place"), Works("chroot")])
    monkeypatch.setattr(choose, "FOLDER", "/nothing-such")
    return lambda **options: choose.choose_driver(None, RootfsOptions(**options), lambda _event: None).name


def test_no_build_takes_the_root_over_while_others_go_on(chosen):
    assert chosen() == "in-place"
    assert chosen(beside=True) == "chroot"
    with pytest.raises(UnfitError, match="other images are built at the same time"):
        chosen(driver="in-place", beside=True)


def test_what_another_build_of_the_run_has_proven_is_not_tried_again(monkeypatch):
    class NeverWorks(Works):
        def probe(self):
            raise AssertionError("it is tried")

    monkeypatch.setattr(choose, "drivers", lambda _store, _options, _written: [NeverWorks("overlay")])
    monkeypatch.setattr(choose, "FOLDER", "/nothing-such")
    told = []
    assert choose.choose_driver(None, RootfsOptions(proven="overlay"), told.append).name == "overlay"
    assert told == [DriverChosen(driver="overlay", reason="the first that works")]
    with pytest.raises(AssertionError):
        choose.choose_driver(None, RootfsOptions(), told.append)


def test_what_a_killed_process_left_is_undone_before_and_told(chosen, monkeypatch, tmp_path):
    undone = []
    monkeypatch.setattr(choose, "FOLDER", str(tmp_path))
    monkeypatch.setattr(recovery, "recover", lambda: undone.append(True) or True)
    events = []
    choose.choose_driver(None, RootfsOptions(), events.append)
    assert undone == [True]
    assert isinstance(events[0], Warned)
    assert chosen() == "in-place"


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


@pytest.mark.parametrize(("asked", "tried"), [("auto", True), ("in-place", False)])
def test_the_order_of_drivers_is_only_found_out_where_it_counts(
    asked: Any, tried: bool, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    asks: list[bool] = []
    monkeypatch.setattr(ChrootDriver, "mounts", property(lambda _driver: asks.append(True)))
    assert {driver.name for driver in choose.drivers(store, RootfsOptions(driver=asked))} == {
        "overlay",
        "chroot",
        "in-place",
    }
    assert bool(asks) == tried
