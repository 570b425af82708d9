"""Cache directories: kept, shared or alone, and free again when their holder is gone."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from executor.store import Store


@pytest.fixture
def store(tmp_path):
    with Store.open(str(tmp_path / "home")) as opened:
        yield opened


def mark(directory):
    Path(directory, "first").touch()


def test_content_stays_and_is_made_once(store):
    with store.caches.use("k", "shared", mark) as path:
        Path(path, "more").touch()
    with store.caches.use("k", "locked", lambda _: pytest.fail("filled twice")) as again:
        assert again == path
        assert sorted(os.listdir(again)) == ["first", "more"]
    with store.caches.use("other", "shared", mark) as other:
        assert os.listdir(other) == ["first"]


def test_a_failed_filling_leaves_nothing(store):
    begun = []

    def fail(directory):
        begun.append(directory)
        mark(directory)
        raise OSError("no")

    with pytest.raises(OSError, match="no"), store.caches.use("k", "shared", fail):
        pass
    assert begun[0].startswith(store.session), "where the next process clears it away if this one is killed"
    assert not os.path.exists(begun[0])
    with store.caches.use("k", "shared", mark) as path:
        assert os.listdir(path) == ["first"]


@pytest.mark.parametrize(
    ("held", "wanted", "same"),
    [
        ("shared", "shared", True),
        ("shared", "private", False),
        ("private", "private", False),
        ("private", "shared", False),
        ("locked", "shared", False),
        ("locked", "private", False),
    ],
)
def test_who_shares_with_whom(store, held, wanted, same):
    with store.caches.use("k", held, mark) as first, store.caches.use("k", wanted, mark) as second:
        assert (first == second) is same
    with store.caches.use("k", wanted, mark) as third:
        assert third == first


@pytest.mark.parametrize("held", ["shared", "private", "locked"])
def test_locked_waits(store, held):
    order = []

    def wait():
        with store.caches.use("k", "locked", mark):
            order.append("waited")

    with store.caches.use("k", held, mark):
        thread = threading.Thread(target=wait)
        thread.start()
        time.sleep(0.05)
        order.append("held")
    thread.join(10)
    assert order == ["held", "waited"]


def test_a_killed_holder_holds_nothing(store):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        with store.caches.use("k", "locked", mark):
            os.write(writing, b"x")
            time.sleep(60)
        os._exit(1)
    os.read(reading, 1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(reading)
    os.close(writing)
    with store.caches.use("k", "locked", lambda _: pytest.fail("filled twice")) as path:
        assert os.listdir(path) == ["first"]
