"""The drivers under test: each with a store of its own, on a real disk because overlayfs wants one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from executor.rootfs.base import Driver
from executor.rootfs.chroot.driver import ChrootDriver
from executor.rootfs.inplace.driver import InPlaceDriver
from executor.rootfs.overlay.driver import OverlayDriver
from executor.snapshot.ignore import IgnoredPaths
from executor.store import Store
from integration.support import leftovers

DRIVERS = os.environ.get("KRUNNER_TEST_DRIVERS", "overlay,chroot,chroot without mounts").split(",")
"""In-place is tested in a container only: see integration/debugimage/test_contract.py."""
MakeDriver = Callable[..., Driver]
"""Makes the driver under test, in the child, where its mounts belong. Keywords: ignore (paths), store (folder)."""


@pytest.fixture
def home(work: Path, request: pytest.FixtureRequest) -> str:
    """A folder for a store."""
    return str(work / "drivers" / request.node.name.replace("/", "-"))


@pytest.fixture(params=DRIVERS)
def make_driver(request: pytest.FixtureRequest, home: str, work: Path) -> Iterator[MakeDriver]:
    """Every driver in turn. What it leaves mounted fails the test."""

    def make(ignore: tuple[str, ...] = (), store: str = home) -> Driver:
        opened = Store.open(store)
        ignored = IgnoredPaths(ignore)
        if request.param == "overlay":
            return OverlayDriver(opened, ignore=ignored)
        if request.param == "in-place":
            return in_place(opened, ignored)
        driver = ChrootDriver(opened, ignore=ignored)
        if request.param == "chroot without mounts":
            driver.forbid_mounts()
        return driver

    yield make
    assert not [point for point in leftovers.mounts() if point.startswith(f"{work}/drivers")]


def in_place(store: Store, ignored: IgnoredPaths) -> Driver:
    """The in-place driver, ready to use."""
    driver = InPlaceDriver(store, ignore=ignored)
    assert driver.probe().usable
    return driver
