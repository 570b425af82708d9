"""The store: nothing half-written is ever visible, locks exclude, the dead are cleared away."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from executor.errors import ImageError, UnfitError
from executor.image.digest import Digest
from executor.store import Store


@pytest.fixture
def store(tmp_path):
    with Store.open(str(tmp_path / "home")) as opened:
        yield opened


def test_blob_round_trip(store):
    digest = store.blobs.put(b"content")
    assert digest == Digest.of(b"content")
    assert store.blobs.has(digest)
    assert store.blobs.size(digest) == 7
    assert store.blobs.read(digest) == b"content"


def test_a_blob_that_is_not_committed_leaves_nothing(store):
    with store.blobs.writer() as writer:
        writer.write(b"half")
    assert not store.blobs.has(Digest.of(b"half"))
    assert os.listdir(os.path.dirname(writer._path)) == []


@pytest.mark.parametrize(
    ("expected", "size", "message"),
    [(Digest.of(b"other"), None, "has the content of"), (Digest.of(b"abc"), 4, "has 3 bytes, not 4")],
)
def test_commit_refuses_what_was_not_expected(store, expected, size, message):
    with store.blobs.writer() as writer:
        writer.write(b"abc")
        with pytest.raises(ImageError, match=message):
            writer.commit(expected, size)
    assert not store.blobs.has(Digest.of(b"abc"))


def test_reading_finds_damage(store):
    digest = store.blobs.put(b"x" * 1_000_000)
    path = store.blobs.path(digest)
    os.chmod(path, 0o600)
    with Path(path).open("r+b") as file:
        file.seek(500_000)
        file.write(b"y")
    with pytest.raises(ImageError, match="damaged"):
        store.blobs.read(digest)


def test_unpacked_is_filled_once_by_many_threads(store):
    fills = []

    def fill(directory):
        fills.append(directory)
        time.sleep(0.05)
        Path(directory, "file").write_text("x")

    found = []
    threads = [threading.Thread(target=lambda: found.append(store.unpacked.add("key", fill))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(fills) == 1
    assert len(set(found)) == 1
    assert Path(found[0], "file").read_text() == "x"


def test_a_failed_fill_leaves_nothing_and_can_be_tried_again(store):
    begun = []

    def fail(directory):
        begun.append(directory)
        Path(directory, "half").write_text("x")
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        store.unpacked.add("key", fail)
    assert begun[0].startswith(store.session), "where the next process clears it away if this one is killed"
    assert not os.path.exists(begun[0])
    assert store.unpacked.get("key") is None
    path = store.unpacked.add("key", lambda directory: Path(directory, "whole").write_text("x"))
    assert os.listdir(path) == ["whole"]


def test_adopt_keeps_the_first(store):
    first, second = store.scratch("a"), store.scratch("b")
    Path(first, "first").touch()
    path = store.unpacked.adopt("key", first)
    assert store.unpacked.adopt("key", second) == path
    assert os.listdir(path) == ["first"]
    assert not os.path.exists(second)


def test_close_removes_scratch_and_lock(tmp_path):
    with Store.open(str(tmp_path)) as store:
        Path(store.scratch("x"), "file").touch()
        assert os.listdir(tmp_path / "work")
    assert os.listdir(tmp_path / "work") == []


def test_what_a_killed_process_left_is_removed_and_the_living_are_spared(tmp_path):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        dead = Store.open(str(tmp_path))
        os.write(writer, dead.scratch("dead").encode())
        signal.pause()
    left = os.read(reader, 4096).decode()
    os.close(reader)
    os.close(writer)
    with Store.open(str(tmp_path)):
        assert os.path.isdir(left)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert os.path.isdir(left)
    with Store.open(str(tmp_path)):
        assert not os.path.exists(left)


def test_a_home_that_cannot_be_made_is_unfit(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UnfitError, match="cannot use"):
        Store.open(str(tmp_path / "file" / "home"))


def test_sources_survive_and_unknown_images_have_none(store):
    digest = Digest.of(b"manifest")
    assert store.sources.get(digest) == {}
    store.sources.put(digest, {"sha256:1": "host/repo"})
    assert store.sources.get(digest) == {"sha256:1": "host/repo"}
