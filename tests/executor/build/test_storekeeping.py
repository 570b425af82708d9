"""The store is kept within its size when a build or a list is done; damage in it costs a download, not a build."""

import gzip
import io
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from executor.build.bases.layersource import LayerSource
from executor.build.stopping import StopFlag
from executor.build.storekeeping import prune_store, store_session, trim_store
from executor.cache.entry import to_image
from executor.cache.places import open_place
from executor.errors import ImageError, UnfitError, UsageError
from executor.events import Warned
from executor.image.descriptor import Descriptor
from executor.image.layer import Layer
from executor.image.mediatypes import OCI_LAYER
from executor.spec import CacheOptions, PruneSpec
from executor.store import Store
from tests.executor.build.layers.test_layer_streams import NOISE, Registry, layer_of
from tests.executor.cache.conftest import entry_of


@pytest.fixture
def home(tmp_path):
    return str(tmp_path / "home")


def old_blob(home):
    with Store.open(home) as store:
        path = store.blobs.path(store.blobs.put(NOISE))
    os.utime(path, (time.time() - 100,) * 2)
    return Path(path)


@pytest.mark.parametrize(("size", "stays"), [(0, True), (10_000_000, True), (1_000_000, False), (None, True)])
def test_trimming_to_a_size(home, size, stays):
    blob, told = old_blob(home), []
    trim_store(home, size, told.append)
    assert blob.exists() == stays
    assert len(told) == (not stays)


def test_with_room_on_the_disk_nothing_is_looked_at(home, monkeypatch):
    monkeypatch.setattr("executor.build.storekeeping.has_room", lambda _home: True)
    monkeypatch.setattr("executor.build.storekeeping.prune", pytest.fail)
    blob = old_blob(home)
    trim_store(home, None)
    assert blob.exists()


def test_a_session_keeps_what_its_builds_used_and_trims_at_its_end(home):
    blob = old_blob(home)
    with store_session(home, 1):
        with Store.open(home) as build:
            made = Path(build.blobs.path(build.blobs.put(b"made")))
        trim_store(home, 1)
        assert made.exists(), "the next image may build on it"
        assert not blob.exists()
    assert not made.exists()


def test_a_store_that_cannot_be_used_is_for_the_builds_to_tell(tmp_path):
    (tmp_path / "file").touch()
    with store_session(str(tmp_path / "file" / "home"), None):
        pass
    trim_store(str(tmp_path / "file" / "home"), 1)


def damage(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("use", ["open", "open_blob", "ensure"])
def test_a_damaged_blob_is_fetched_anew(home, use):
    layer, blob = layer_of(NOISE)
    with Store.open(home) as store:
        path = Path(store.blobs.path(store.blobs.put(blob)))
    damage(path)
    told = []
    with Store.open(home) as store:
        registry = Registry(blob)
        source = LayerSource(store.blobs, registry, StopFlag(), told.append)
        if use == "ensure":
            source.ensure(layer)
        else:
            with getattr(source, use)(layer) as stream:
                assert stream.read() == (NOISE if use == "open" else blob)
        assert registry.opened == 1
        assert path.read_bytes() == blob
    (warning,) = [event.message for event in told if isinstance(event, Warned)]
    assert "was damaged" in warning


def test_a_damaged_blob_that_nobody_has_is_named(home):
    layer, blob = layer_of(b"x", source="")
    with Store.open(home) as store:
        path = Path(store.blobs.path(store.blobs.put(blob)))
    path.write_bytes(gzip.compress(b"y"))
    with Store.open(home) as store, pytest.raises(ImageError, match="not in the store"):
        LayerSource(store.blobs, Registry(), StopFlag()).ensure(layer)


def old_entry(folder, age):
    """A cached layer that nobody has used for `age` seconds."""
    content = b"layer"
    descriptor = Descriptor.of(OCI_LAYER, content)
    entry = entry_of(Layer(descriptor=descriptor, diff_id=descriptor.digest))
    open_place(f"dir:{folder}", None, None).put(entry.key, to_image(entry), lambda: io.BytesIO(content))
    manifest = folder / entry.key / "manifest.json"
    os.utime(manifest, (time.time() - age,) * 2)
    return manifest


def test_caches_are_pruned_in_place_of_the_store(home, tmp_path):
    blob, day = old_blob(home), 86400
    folders = tmp_path / "a", tmp_path / "b"
    caches = tuple((f"dir:{path}", CacheOptions()) for path in folders)
    entries = [old_entry(path, 20 * day) for path in folders]
    said = prune_store(home, PruneSpec(caches=caches, dry_run=True))
    assert said.removed == {"cached layer": 2}
    assert all(entry.exists() for entry in entries)
    assert prune_store(home, PruneSpec(caches=caches)) == said
    assert not any(entry.exists() for entry in entries)
    entry = old_entry(folders[0], 13 * day)
    assert prune_store(home, PruneSpec(caches=caches)).removed == {}, "it may be used for two weeks"
    assert prune_store(home, PruneSpec(caches=caches, everything=True)).removed == {"cached layer": 1}
    assert not entry.exists()
    assert blob.exists()


def test_a_cache_is_pruned_as_its_builds_would(home, tmp_path):
    entry = old_entry(tmp_path, 20 * 86400)
    place, longer = f"dir:{tmp_path}", CacheOptions(ttl=30 * 86400.0)
    kept = prune_store(home, PruneSpec(caches=((place, longer),)))
    assert (kept.removed, kept.left > 0, entry.exists()) == ({}, True, True)
    twice = PruneSpec(caches=((place, longer), (place, CacheOptions(size=1))), dry_run=True)
    assert prune_store(home, twice).removed == {"cached layer": 1}
    both = PruneSpec(caches=((place, longer), (place, replace(longer, copy_layers=True))))
    assert prune_store(home, both).left == kept.left, "one folder is counted once"


def test_a_cache_that_cannot_be_changed_is_told_of(home, tmp_path, monkeypatch):
    old_entry(tmp_path, 20 * 86400)

    def refuse(**_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("executor.cache.pruning.tempfile.TemporaryDirectory", refuse)
    with pytest.raises(UnfitError, match=f"dir:{tmp_path}: Permission denied"):
        prune_store(home, PruneSpec(caches=((f"dir:{tmp_path}", CacheOptions()),)))
    with pytest.raises(UsageError, match="no folder of this machine"):
        prune_store(home, PruneSpec(caches=(("r.io/team/cache", CacheOptions()),)))
