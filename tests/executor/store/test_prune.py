"""A store within its size: the least recently used goes, what a process uses stays, nothing is ever half gone."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from executor.image.digest import Digest
from executor.spec import PruneResult, PruneSpec
from executor.store import Store, prune, usual_size
from executor.store.layout import _FOLDERS

MB = 1_000_000
ROOT = Path(__file__).parents[3]


@pytest.fixture
def home(tmp_path):
    return str(tmp_path / "home")


def put(home, name, *, used):
    """A blob of 1 MB that was last used `used` seconds ago, by a process that is gone."""
    with Store.open(home) as store:
        digest = store.blobs.put(name.encode() * (MB // len(name)))
        return aged(store.blobs.path(digest), used) and digest


def aged(path, seconds):
    os.utime(path, (time.time() - seconds,) * 2)
    return path


def unpack(home, key, *, used):
    with Store.open(home) as store:
        return aged(store.unpacked.add(key, lambda at: Path(at, "fs").write_bytes(b"x" * MB)), used)


def fill_cache(home, key, *, used):
    with Store.open(home) as store, store.caches.use(key, "shared", lambda _path: None) as path:
        Path(path, "file").write_bytes(b"x" * MB)
    aged(os.path.join(home, "locks", f"cache-{key}-0.lock"), used)
    return path


def pruned(home, **wanted):
    with Store.open(home) as store:
        return prune(store, PruneSpec(**wanted))


def has(home, digest):
    return Path(home, "blobs", "sha256", digest.hex).exists()


def test_what_was_not_used_for_longest_goes_first(home):
    old, middle, new = put(home, "a", used=300), put(home, "b", used=200), put(home, "c", used=100)
    done = pruned(home, keep=int(2.5 * MB))
    assert [has(home, digest) for digest in (old, middle, new)] == [False, True, True]
    assert done.removed == {"blob": 1}
    assert done.freed == pytest.approx(MB, rel=0.01)
    assert done.left == pytest.approx(2 * MB, rel=0.01)
    assert pruned(home, keep=int(2.5 * MB)).removed == {}
    with Store.open(home) as store:
        assert store.blobs.has(middle), "looking makes it the one that was used last"
    pruned(home, keep=int(1.5 * MB))
    assert [has(home, digest) for digest in (middle, new)] == [True, False]


def test_every_kind_goes(home):
    blob, layer, cache = put(home, "a", used=9), unpack(home, "key", used=9), fill_cache(home, "k", used=9)
    said = pruned(home, everything=True, dry_run=True)
    assert said.removed == {"blob": 1, "unpacked layer": 1, "cache mount": 1}
    assert has(home, blob)
    assert pruned(home, everything=True) == said
    assert not has(home, blob)
    assert not os.path.exists(layer)
    assert not os.path.exists(f"{layer}.seal")
    assert not os.path.exists(cache)
    assert said.left == 0
    assert os.listdir(os.path.join(home, "work")) == []


def test_age(home):
    old, new = put(home, "a", used=3700), put(home, "b", used=3500)
    assert pruned(home, older_than=3600.0).removed == {"blob": 1}
    assert (has(home, old), has(home, new)) == (False, True)


def test_what_a_running_process_used_stays(home):
    used, unused = put(home, "a", used=99), put(home, "b", used=99)
    layer, other = unpack(home, "key", used=99), unpack(home, "other", used=99)
    with Store.open(home) as running:
        assert running.blobs.has(used)
        assert running.unpacked.get("key") == layer
        made = running.blobs.put(b"made")
        with running.caches.use("k", "shared", lambda _path: None) as cache:
            done = pruned(home, everything=True)
            assert done.removed == {"blob": 1, "unpacked layer": 1}
            assert os.path.isdir(cache)
        assert [has(home, digest) for digest in (used, made, unused)] == [True, True, False]
        assert (os.path.isdir(layer), os.path.isdir(other)) == (True, False)
    pruned(home, everything=True)
    assert not has(home, used)


def test_a_cache_mount_that_was_removed_begins_empty(home):
    fill_cache(home, "k", used=9)
    pruned(home, everything=True)
    fills = []
    with Store.open(home) as store, store.caches.use("k", "shared", fills.append) as path:
        assert os.listdir(path) == []
    assert len(fills) == 1


def test_images_that_wait_for_their_push_stay(home):
    with Store.open(home) as store:
        kept = Path(home, "unpushed", "image")
        kept.mkdir()
        digest = store.blobs.put(b"layer")
        os.link(store.blobs.path(digest), kept / "blob")
    pruned(home, everything=True)
    assert (kept / "blob").read_bytes() == b"layer"


def test_sources_of_images_that_are_gone_are_forgotten(home):
    with Store.open(home) as store:
        manifest = store.blobs.put(b"manifest")
        store.sources.put(manifest, {"sha256:1": "a/b"})
        store.sources.put(Digest.of(b"another"), {"sha256:1": "a/b"})
    pruned(home)
    assert os.listdir(os.path.join(home, "images")) == [f"{manifest.hex}.json"]


def disk(total, free):
    return lambda _path: SimpleNamespace(f_blocks=total, f_bavail=free, f_frsize=1_000)


def test_what_names_stood_for_is_forgotten_with_the_image_and_not_while_it_is_written(home):
    with Store.open(home) as store:
        kept = store.blobs.put(b"manifest")
        store.names.put("there:1", kept)
        store.names.put("gone:1", Digest.of(b"elsewhere"))
        half = Path(home, "names", "00.json.1-half")
        half.write_text("{")
        store.names.forget(lambda digest: digest == kept)
        assert (store.names.get("there:1"), store.names.get("gone:1")) == (kept, None)
        assert half.exists()


@pytest.mark.parametrize(
    ("total", "free", "size"),
    [(100, 50, None), (100, 10, None), (100, 4, 10_000), (10**9, 30 * 10**6, None)],
)
def test_the_usual_size_goes_by_the_room_on_the_disk(home, monkeypatch, total, free, size):
    put(home, "a", used=1)
    monkeypatch.setattr(os, "statvfs", disk(total, free))
    if size is None:
        assert usual_size(home) is None
    else:
        assert usual_size(home) == pytest.approx(MB - 6_000, abs=10_000)


def test_a_nearly_full_disk_leaves_the_store_its_share(home, monkeypatch):
    put(home, "a", used=1)
    monkeypatch.setattr(os, "statvfs", disk(100_000, 0))
    assert usual_size(home) == 10_000_000


WORKER = """
import hashlib, os, random, sys
from executor.errors import ImageError
from executor.image.digest import Digest
from executor.spec import PruneSpec
from executor.store import Store, prune

home, seed = sys.argv[1], int(sys.argv[2])
chance = random.Random(seed)
contents = [b"%d" % number * 40_000 for number in range(8)]
for round in range(12):
    with Store.open(home) as store:
        for number in chance.sample(range(8), 5):
            content, key = contents[number], f"key{number}"
            digest = Digest.of(content)
            if not store.blobs.has(digest):
                store.blobs.put(content)
            def fill(directory):
                os.mkdir(os.path.join(directory, "fs"))
                with open(os.path.join(directory, "fs", "file"), "wb") as file:
                    file.write(content)
            path = store.unpacked.add(key, fill)
            prune(store, PruneSpec(keep=chance.choice([0, 100_000, 300_000])))
            # what was used in this session is there and whole, whatever the others prune
            assert store.blobs.read(digest) == content
            assert open(os.path.join(path, "fs", "file"), "rb").read() == content
            assert store.unpacked.get(key) == path
print("whole")
"""


def start(home, seed):
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, home, str(seed)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


def test_processes_that_fill_use_and_prune_one_store(home):
    workers = [start(home, seed) for seed in range(4)]
    assert [worker.communicate(timeout=100)[0] for worker in workers] == ["whole\n"] * 4
    assert pruned(home, everything=True).left == 0


def test_killed_anywhere_it_is_whole_for_the_next(home):
    chance = random.Random(5)
    for seed in range(8):
        worker = start(home, seed)
        time.sleep(0.12 + chance.random() * 0.25)
        worker.send_signal(signal.SIGKILL)
        worker.communicate()
        with Store.open(home) as store:
            assert len(os.listdir(os.path.join(home, "work"))) == 2, "what it was making is gone"
            for name in os.listdir(os.path.join(home, "blobs", "sha256")):
                assert store.blobs.is_sound(Digest.from_hex(name))
            for name in os.listdir(os.path.join(home, "unpacked")):
                if not name.startswith(".") and ".seal" not in name:
                    assert store.unpacked.get(name)
    assert sorted(os.listdir(home)) == sorted({folder.partition("/")[0] for folder in _FOLDERS})


def test_an_empty_store(home):
    assert pruned(home, everything=True) == PruneResult(removed={}, freed=0, left=0)
