"""Folders of cached layers within a size: the least recently used goes, what may be in use stays, all is whole."""

import contextlib
import io
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from executor.cache.entry import to_image
from executor.cache.places import LAYOUT_NAME, open_place
from executor.cache.pruning import prune_place, trim_place
from executor.errors import ImageError, UsageError
from executor.image.descriptor import Descriptor
from executor.image.layer import Layer
from executor.image.layout import IMAGE_NAME, blobs_of, read_layout, write_layout
from executor.image.mediatypes import OCI_LAYER
from executor.spec import CacheOptions, PruneResult, PruneSpec
from executor.store import Store
from tests.executor.cache.conftest import entry_of
from tests.support.images import small_image

ROOT = Path(__file__).parents[3]
HOUR, DAY = 3600, 24 * 3600
MB = 1_000_000


def aged(path, seconds):
    os.utime(path, (time.time() - seconds,) * 2)


class Cache:
    """A local place with entries of one letter, each with a layer of 1 MB."""

    def __init__(self, kind, path, store):
        self.text = f"{kind}:{path}"
        self.path = path
        self._place = open_place(self.text, None, store.blobs)

    def put(self, name, *, used=2 * DAY, content=b""):
        """An entry that was made, and last used, `used` seconds ago."""
        content = content or name.encode() * MB
        descriptor = Descriptor.of(OCI_LAYER, content)
        image = to_image(entry_of(Layer(descriptor=descriptor, diff_id=descriptor.digest), name=name))
        key = entry_of(None, name=name).key
        self._place.put(key, image, lambda: io.BytesIO(content))
        if self.text.startswith("dir:"):
            manifest, rest = self.path / key / "manifest.json", []
        else:
            blobs = self.path / "blobs" / "sha256"
            manifest, rest = blobs / image.manifest.digest.hex, [blobs / image.config.digest.hex]
            rest.append(blobs / image.layer.digest.hex)
        for path in (manifest, *rest):
            aged(path, used)
        return manifest

    def get(self, name):
        return self._place.get(entry_of(None, name=name).key)

    def names(self):
        """The entries that are there, found without using them."""
        if self.text.startswith("dir:"):
            there = set(os.listdir(self.path))
        else:
            names = [image.annotations[IMAGE_NAME] for image in read_layout(str(self.path)).index.manifests]
            there = {name.removeprefix(f"{LAYOUT_NAME}:") for name in names}
        return "".join(name for name in "abcdefgh" if entry_of(None, name=name).key in there)

    def files(self):
        return {path for path in self.path.rglob("*") if path.is_file()}


@pytest.fixture(params=["oci", "dir"])
def cache(request, store, tmp_path):
    return Cache(request.param, tmp_path / "cache", store)


@pytest.fixture
def layout(store, tmp_path):
    return Cache("oci", tmp_path / "cache", store)


@pytest.fixture
def folder(store, tmp_path):
    return Cache("dir", tmp_path / "cache", store)


def test_what_was_not_used_for_longest_goes_first(cache):
    for name, used in (("a", 3 * DAY), ("b", 5 * DAY), ("c", 4 * DAY)):
        cache.put(name, used=used)
    assert prune_place(cache.text, PruneSpec(keep=int(3.5 * MB))).removed == {}
    done = prune_place(cache.text, PruneSpec(keep=int(2.5 * MB)))
    assert cache.names() == "ac"
    assert done.removed == {"cached layer": 1}
    assert done.freed == pytest.approx(MB, rel=0.05)
    assert done.left == pytest.approx(2 * MB, rel=0.05)
    assert cache.get("c"), "looking makes it the one that was used last"
    prune_place(cache.text, PruneSpec(keep=int(1.5 * MB)))
    assert cache.names() == "c"


def test_what_was_used_within_the_hour_stays(cache):
    cache.put("a", used=HOUR - 60)
    cache.put("b", used=HOUR + 60)
    assert prune_place(cache.text, PruneSpec(everything=True)).removed == {"cached layer": 1}
    assert cache.names() == "a"
    assert cache.get("a")


def test_age(cache):
    cache.put("a", used=3 * DAY)
    cache.put("b", used=4 * DAY)
    assert prune_place(cache.text, PruneSpec(older_than=3.5 * DAY)).removed == {"cached layer": 1}
    assert cache.names() == "a"


def test_a_dry_run_says_what_would_go(cache):
    cache.put("a")
    cache.put("b")
    before = cache.files()
    said = prune_place(cache.text, PruneSpec(everything=True, dry_run=True))
    assert cache.files() == before
    assert said.removed == {"cached layer": 2}
    assert said.left == 0
    assert prune_place(cache.text, PruneSpec(everything=True)) == said
    assert {path.name for path in cache.files()} <= {"index.json", "oci-layout"}
    assert prune_place(cache.text, PruneSpec(everything=True)) == PruneResult(removed={}, freed=0, left=0)


@pytest.mark.parametrize(
    ("ttl", "names"), [(0, "ab"), (HOUR, "ab"), (14 * DAY, "ab"), (16 * DAY, "abc"), (30 * DAY, "abcd")]
)
def test_a_build_removes_what_nobody_used_for_two_weeks_or_for_its_own_longer_time(cache, ttl, names):
    for name, used in (("a", 2 * HOUR), ("b", 13 * DAY), ("c", 15 * DAY), ("d", 29 * DAY)):
        cache.put(name, used=used)
    trim_place(cache.text, CacheOptions(ttl=ttl, size=0))
    assert cache.names() == names


@pytest.mark.parametrize(("size", "names"), [(0, "abc"), (int(1.5 * MB), "a"), (10 * MB, "abc"), (None, "abc")])
def test_a_build_keeps_it_within_the_size_that_it_was_given(cache, size, names):
    for number, name in enumerate("abc"):
        cache.put(name, used=(number + 1) * DAY)
    trim_place(cache.text, CacheOptions(size=size))
    assert cache.names() == names


@pytest.mark.parametrize(
    ("total", "free", "names"), [(120, 12, "abcd"), (120, 6, "abc"), (120, 0, "ab"), (320, 0, "abc")]
)
def test_without_a_size_the_room_on_the_disk_decides(cache, monkeypatch, total, free, names):
    """A tenth of it shall stay free, and a tenth is the cache's in any case; in units of 0.1 MB here."""
    for number, name in enumerate("abcd"):
        cache.put(name, used=(number + 1) * DAY)
    disk = SimpleNamespace(f_blocks=total, f_bavail=free, f_frsize=MB // 10)
    monkeypatch.setattr(os, "statvfs", lambda _path: disk)
    trim_place(cache.text, CacheOptions())
    assert cache.names() == names


def test_damaged_entries_go_in_any_case(cache):
    cache.put("a")
    cache.put("b").unlink()
    assert prune_place(cache.text, PruneSpec(keep=100 * MB)).removed == {"cached layer": 1}
    assert cache.names() == "a"
    assert cache.get("a")


def test_folders_of_others_stay_whatever_their_names(folder):
    folder.put("a", used=20 * DAY)
    other = folder.path / ("0" * 64)
    other.mkdir()
    (other / "hostname").write_text("not a cached layer")
    aged(other, 20 * DAY)
    assert prune_place(folder.text, PruneSpec(everything=True)).removed == {"cached layer": 1}
    assert (other / "hostname").exists()


def test_a_layer_of_two_entries_goes_with_the_second(layout):
    layout.put("a", used=5 * DAY, content=b"x" * MB)
    layout.put("b", used=3 * DAY, content=b"x" * MB)
    done = prune_place(layout.text, PruneSpec(older_than=4 * DAY))
    assert (done.removed, layout.names()) == ({"cached layer": 1}, "b")
    assert done.freed < MB / 2
    assert layout.get("b")


def test_a_layout_forgets_what_was_replaced(layout):
    """But not what is so young that it may belong to an entry that is being written."""
    layout.put("a", used=2 * HOUR, content=b"1" * MB)
    layout.put("a", used=0, content=b"2" * MB)
    layout.put("b", used=0, content=b"3" * MB)
    young = layout.path / "blobs" / "sha256" / ("0" * 64)
    young.write_bytes(b"half of a blob")
    trim_place(layout.text, CacheOptions())
    index = read_layout(str(layout.path))
    needed = {blob.digest.hex for image in index.index.manifests for blob in blobs_of(index, image)}
    assert {path.name for path in young.parent.iterdir()} == needed | {young.name}
    aged(young, 2 * HOUR)
    trim_place(layout.text, CacheOptions())
    assert not young.exists()


def test_other_images_of_a_layout_stay_whole(layout):
    """A cache may be in the layout that images are written to."""
    image = small_image()
    write_layout(
        str(layout.path), image.descriptor, image.manifest.to_bytes(), image.open, name="registry.test/app:1"
    )
    layout.put("a", content=image.blobs[image.manifest.layers[0].digest])
    for path in layout.files():
        aged(path, 30 * DAY)
    prune_place(layout.text, PruneSpec(everything=True))
    left = read_layout(str(layout.path))
    (found,) = left.index.manifests
    assert [left.read(blob) for blob in blobs_of(left, found)]


def test_a_layout_with_an_unreadable_image_loses_nothing(layout):
    image = small_image()
    write_layout(
        str(layout.path), image.descriptor, image.manifest.to_bytes(), image.open, name="registry.test/app:1"
    )
    layout.put("a", used=20 * DAY)
    (layout.path / "blobs" / "sha256" / image.descriptor.digest.hex).write_bytes(b"damaged")
    before = layout.files()
    with pytest.raises(ImageError):
        trim_place(layout.text, CacheOptions())
    assert layout.files() == before


def test_what_killed_processes_left_in_a_folder_goes_after_an_hour(folder):
    folder.put("a")
    for name, used in ((".new-old", 2 * HOUR), (".new-young", 60)):
        (folder.path / name / "entry").mkdir(parents=True)
        (folder.path / name / "entry" / "layer").write_bytes(b"half")
        for path in (folder.path / name / "entry" / "layer", folder.path / name / "entry", folder.path / name):
            aged(path, used)
    aged(folder.path / ".new-young", 2 * HOUR)
    (folder.path / "notes").mkdir()
    trim_place(folder.text, CacheOptions())
    assert set(os.listdir(folder.path)) == {entry_of(None, name="a").key, ".new-young", "notes"}


@pytest.mark.parametrize("text", ["registry.test/team/cache", "dir:/nowhere/at/all", "oci:/nowhere/at/all"])
def test_places_that_cannot_be_pruned(text):
    with pytest.raises(UsageError):
        prune_place(text, PruneSpec(everything=True))


def test_a_folder_that_may_not_be_written_is_told_of(folder, monkeypatch):
    """What goes is set aside within the folder first."""
    folder.put("a")

    def refuse(**_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("executor.cache.pruning.tempfile.TemporaryDirectory", refuse)
    with pytest.raises(PermissionError):
        prune_place(folder.text, PruneSpec(everything=True))
    assert folder.names() == "a"


def test_an_entry_that_is_used_while_it_is_to_go_stays(folder, monkeypatch):
    """Somebody uses or replaces it between the choice and the removal."""
    from executor.cache import pruning

    folder.put("a")
    folder.put("b")
    choose = pruning._choose

    def choose_and_use(*given):
        chosen = choose(*given)
        folder.get("a")
        return chosen

    monkeypatch.setattr(pruning, "_choose", choose_and_use)
    prune_place(folder.text, PruneSpec(everything=True))
    assert folder.names() == "a"
    assert folder.get("a")


WORKER = """
import io, os, random, sys, traceback
import executor.cache.pruning as pruning
from executor.cache.entry import to_image
from executor.cache.places import open_place
from executor.cache.pruning import prune_place
from executor.errors import ImageError
from executor.image.descriptor import Descriptor
from executor.image.layer import Layer
from executor.image.mediatypes import OCI_LAYER
from executor.spec import PruneSpec
from executor.store import Store
from tests.executor.cache.conftest import entry_of

text = sys.argv[1]


def tell(line):  # at once: others write there too
    os.write(1, f"{line}\\n".encode())


def work(home, seed, spared):
    if not spared:  # but for what is half written
        pruning.SPARED, pruning._newest = 0.0, lambda _folder: float("inf")
    chance = random.Random(seed)
    misses = 0
    with Store.open(home) as store:
        place = open_place(text, None, store.blobs)
        tell(f"begins {os.getpid()}")
        for number in range(60):
            name = chance.choice("abcdefgh")
            content = name.encode() * 50_000
            descriptor = Descriptor.of(OCI_LAYER, content)
            entry = entry_of(Layer(descriptor=descriptor, diff_id=descriptor.digest), name=name)
            try:
                found = place.get(entry.key)
            except ImageError:
                misses += 1  # removed under the reader's hands
                found = None
            if found is None:
                place.put(entry.key, to_image(entry), lambda: io.BytesIO(content))
            else:
                assert store.blobs.read(found.layer.descriptor.digest) == content
                store.blobs.remove(found.layer.descriptor.digest)
            if number % 3 == 0:
                prune_place(text, PruneSpec(keep=chance.choice([0, 100_000, 300_000])))
    tell(f"whole {misses if spared else ''}")


for line in sys.stdin:  # seeds, whose processes work at once
    home, spared, *seeds = line.split()
    pids = []
    for seed in seeds:
        pids.append(os.fork())
        if not pids[-1]:
            try:
                work(f"{home}-{seed}", int(seed), float(spared))
            except BaseException:
                traceback.print_exc()
            os._exit(0)
    for pid in pids:
        os.waitpid(pid, 0)
    tell("ended")
"""


@pytest.fixture
def worker(cache):
    """A process that has imported everything, and forks those that work."""
    words = [sys.executable, "-c", WORKER, cache.text]
    with subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as worker:
        yield worker
        worker.stdin.close()


def start(worker, home, spared, *seeds):
    print(home, spared, *seeds, file=worker.stdin, flush=True)


@pytest.mark.parametrize("spared", [0, 3600])
def test_processes_that_fill_use_and_prune_one_place(cache, worker, tmp_path, spared):
    """Even when nothing is spared; when what is young is, nobody misses anything."""
    start(worker, tmp_path / "home", spared, 0, 1, 2)
    told = [line for line in iter(worker.stdout.readline, "ended\n") if not line.startswith("begins")]
    assert told == ["whole 0\n" if spared else "whole \n"] * 3
    for name in cache.names():
        assert cache.get(name)


def test_killed_anywhere_it_is_whole_for_the_next(cache, worker, tmp_path):
    chance = random.Random(7)
    cache.put("h")
    for seed in range(6):
        start(worker, tmp_path / "home", 0, seed)
        word, pid = worker.stdout.readline().split()
        assert word == "begins"
        time.sleep(chance.random() * 0.2)
        with contextlib.suppress(ProcessLookupError):  # done already
            os.kill(int(pid), signal.SIGKILL)
        while worker.stdout.readline() != "ended\n":
            pass
        with Store.open(str(tmp_path / f"next-{seed}")) as store:
            again = Cache(cache.text.partition(":")[0], cache.path, store)
            for name in again.names():
                assert again.get(name)
    for path in (cache.path, *cache.path.rglob("*")):
        aged(path, 2 * HOUR)
    trim_place(cache.text, CacheOptions())
    names = {path.name for path in cache.path.rglob("*")}
    assert not [name for name in names if name.startswith(".new-")]
