"""The small things of a store: soundness of blobs, what names stood for, marks of use, and locks."""

import errno
import fcntl
import json
import os
import threading
import time
from pathlib import Path

import pytest

from executor import hangup
from executor.errors import StoppedError, UnfitError
from executor.image.digest import Digest
from executor.store import Store
from executor.store.locks import locked


@pytest.fixture
def store(tmp_path):
    with Store.open(str(tmp_path / "home")) as opened:
        yield opened


def again(store):
    """The same store in another process, which has seen nothing yet."""
    return Store.open(store.home)


def test_a_blob_is_sound_when_it_was_read_and_found_right(store):
    digest = store.blobs.put(b"x" * 1_000_000)
    assert store.blobs.is_sound(digest)
    with again(store) as other:
        assert other.blobs.is_sound(digest)
        Path(other.blobs.path(digest)).write_bytes(b"y")
        assert other.blobs.is_sound(digest), "read once in a process"
    with again(store) as other:
        assert not other.blobs.is_sound(digest)
        assert not other.blobs.has(digest), "and removed, to be had anew"
        assert not other.blobs.is_sound(digest)
        other.blobs.put(b"x" * 1_000_000)
        assert other.blobs.is_sound(digest)


def test_a_blob_that_was_removed_is_not_sound(store):
    digest = store.blobs.put(b"x")
    store.blobs.remove(digest)
    assert not store.blobs.is_sound(digest)
    store.blobs.remove(digest)
    Path(store.blobs.path(digest)).write_bytes(b"other")
    assert not store.blobs.is_sound(digest), "what was known of it is forgotten"


@pytest.mark.parametrize("size", [0, 1, 256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1])
def test_damage_in_the_last_byte_is_found(store, size):
    content = b"a" * size
    digest = store.blobs.put(content)
    assert store.blobs.read(digest) == content
    with again(store) as other:
        Path(store.blobs.path(digest)).write_bytes(content[:-1] + b"b")
        assert not other.blobs.is_sound(digest)
    assert not store.blobs.has(digest)


def test_a_disk_that_is_full_is_told_of(store, monkeypatch):
    class Full:
        def write(self, _view):
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self):
            pass

    with store.blobs.writer() as writer:
        writer._file.close()
        monkeypatch.setattr(writer, "_file", Full())
        with pytest.raises(UnfitError, match="No space left on device") as caught:
            writer.write(b"x")
        assert "KRUNNER_HOME" in caught.value.hint


def test_a_blob_is_written_whole_however_little_the_kernel_takes_at_once(store, monkeypatch):
    with store.blobs.writer() as writer:
        file = writer._file
        monkeypatch.setattr(
            writer,
            "_file",
            type("Slow", (), {"write": lambda _self, view: file.write(view[:3]), "close": file.close})(),
        )
        writer.write(b"0123456789")
        writer.write(b"abc")
        digest = writer.commit()
    assert store.blobs.read(digest) == b"0123456789abc"
    assert os.stat(store.blobs.path(digest)).st_mode & 0o777 == 0o600


def test_names_are_remembered(store):
    digest, other = Digest.of(b"1"), Digest.of(b"2")
    assert store.names.get("busybox:latest") is None
    store.names.put("busybox:latest", digest)
    store.names.put("busybox:1", other)
    assert (store.names.get("busybox:latest"), store.names.get("busybox:1")) == (digest, other)
    store.names.put("busybox:latest", other)
    assert store.names.get("busybox:latest") == other
    store.names.forget(lambda digest: digest == other)
    assert store.names.get("busybox:1") == other
    store.names.forget(lambda _digest: False)
    assert store.names.get("busybox:1") is None


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"reference": "a"}', b'{"reference": "a", "digest": "x"}', b"\xff"]
)
def test_names_whose_record_is_damaged_are_not_known(store, content):
    store.names.put("a", Digest.of(b"1"))
    (record,) = Path(store.home, "names").iterdir()
    record.write_bytes(content)
    assert store.names.get("a") is None
    store.names.forget(lambda _digest: True)
    assert not record.exists()


def test_the_record_of_another_name_does_not_count(store):
    store.names.put("a", Digest.of(b"1"))
    (record,) = Path(store.home, "names").iterdir()
    record.write_text(json.dumps({**json.loads(record.read_text()), "reference": "b"}))
    assert store.names.get("a") is None


@pytest.mark.parametrize("content", ["", "{"])
def test_a_damaged_record_of_sources_says_nothing(store, content):
    store.sources.put(Digest.of(b"1"), {"sha256:1": "host/repo"})
    Path(store.home, "images", f"{Digest.of(b'1').hex}.json").write_text(content)
    assert store.sources.get(Digest.of(b"1")) == {}


def test_a_mark_is_the_time_of_use(store, tmp_path):
    file = tmp_path / "file"
    assert not store.usage.mark(str(file))
    file.touch()
    os.utime(file, (1000, 1000))
    assert store.usage.mark(str(file))
    assert time.time() - file.stat().st_mtime < 100


@pytest.mark.parametrize("error", [PermissionError(1, "no"), OSError(errno.EROFS, "read-only")])
def test_what_cannot_be_marked_is_there_all_the_same(store, tmp_path, monkeypatch, error):
    def refuse(*_arguments):
        raise error

    (tmp_path / "file").touch()
    monkeypatch.setattr(os, "utime", refuse)
    assert store.usage.mark(str(tmp_path / "file"))
    assert not store.usage.mark(str(tmp_path / "absent"))


def test_nothing_is_marked_while_something_is_removed(store, tmp_path):
    (tmp_path / "file").touch()
    marked = threading.Event()

    def mark():
        store.usage.mark(str(tmp_path / "file"))
        marked.set()

    thread = threading.Thread(target=mark)
    with store.usage.removing():
        thread.start()
        assert not marked.wait(0.2)
    thread.join(10)
    assert marked.is_set()
    with locked(store.usage._lock, fcntl.LOCK_SH):
        assert store.usage.mark(str(tmp_path / "file")), "but several may be marked at a time"


def test_who_waited_for_a_lock_whose_file_went_locks_the_next_one(tmp_path):
    """Else two would hold it: one the file that is gone, one the new one."""
    path, order = str(tmp_path / "lock"), []

    def wait():
        with locked(path, fcntl.LOCK_EX):
            order.append("waited")
            with pytest.raises(BlockingIOError), locked(path, fcntl.LOCK_EX | fcntl.LOCK_NB):
                pass

    thread = threading.Thread(target=wait)
    with locked(path, fcntl.LOCK_EX):
        thread.start()
        time.sleep(0.1)
        os.unlink(path)
        order.append("removed")
    thread.join(10)
    assert order == ["removed", "waited"]
    with locked(path, fcntl.LOCK_EX | fcntl.LOCK_NB):
        pass


def test_who_waits_for_a_lock_hears_of_a_stop(tmp_path):
    """A thread in flock(2) would not: the lock may be another build's, for as long as its command runs."""
    path, raised = str(tmp_path / "lock"), []

    def wait():
        with pytest.raises(StoppedError) as caught, locked(path, fcntl.LOCK_EX):
            pass
        raised.append(caught.value.exit_code)

    hangup.begin()
    thread = threading.Thread(target=wait, daemon=True)
    with locked(path, fcntl.LOCK_EX):
        thread.start()
        time.sleep(0.1)
        hangup.hang_up(15)
        thread.join(5)
        hangup.begin()
    assert raised == [143]


@pytest.mark.parametrize("first", [fcntl.LOCK_SH, fcntl.LOCK_EX])
@pytest.mark.parametrize("second", [fcntl.LOCK_SH, fcntl.LOCK_EX])
def test_only_shared_locks_go_together(tmp_path, first, second):
    path = str(tmp_path / "lock")
    with locked(path, first):
        if first == second == fcntl.LOCK_SH:
            with locked(path, second | fcntl.LOCK_NB):
                return
        with pytest.raises(BlockingIOError), locked(path, second | fcntl.LOCK_NB):
            pass


def test_a_layer_that_is_taken_is_gone_from_the_store(store):
    path = store.unpacked.add("key", lambda directory: Path(directory, "file").write_text("x"))
    taken = store.unpacked.take("key")
    assert Path(taken, "file").read_text() == "x"
    assert not os.path.exists(path)
    assert not os.path.exists(f"{path}.seal")
    assert store.unpacked.get("key") is None
    assert store.unpacked.take("key") is None
    Path(taken, "file").write_text("y")
    assert store.unpacked.adopt("key", taken) == path
    assert Path(store.unpacked.get("key"), "file").read_text() == "y"


def test_a_layer_of_an_earlier_run_of_the_machine_is_not_taken(store, monkeypatch):
    store.unpacked.add("key", lambda directory: Path(directory, "file").write_text("x"))
    monkeypatch.setattr("executor.store.seals._boot", lambda: "another run")
    assert store.unpacked.take("key") is None
