"""Layers on their way: written in two threads, read through a pump, kept as they pass, damage always found."""

import gzip
import hashlib
import io
import random
import tarfile
import threading

import pytest

from executor.build.bases import transfers
from executor.build.bases.layersource import LayerSource
from executor.build.bases.transfers import Meter
from executor.build.layers import layerwriter
from executor.build.layers.layerwriter import LayerWriter
from executor.build.stopping import StopFlag
from executor.errors import (
    ImageError,
    RegistryError,
    StepError,
    StoppedError,
    UnfitError,
    machine_faults_explained,
)
from executor.image.descriptor import Descriptor
from executor.image.digest import Digest
from executor.image.layer import EntryType, Layer, LayerEntry
from executor.image.mediatypes import OCI_LAYER_GZIP, OCI_LAYER_ZSTD
from executor.image.verified import verified
from executor.snapshot.changes import Change
from executor.spec import LayerOptions
from executor.store import Store

NOISE = random.Random(7).randbytes(3_000_000)


@pytest.fixture
def store(tmp_path):
    with Store.open(str(tmp_path / "home")) as opened:
        yield opened


class Registry:
    """Stands for the registry client: serves bytes, checked as it does, counts, may fail."""

    def __init__(self, content=b"", error=None):
        self.content, self.error, self.opened = content, error, 0

    def open_blob(self, _repository, descriptor):
        self.opened += 1
        if self.error:
            raise self.error
        return verified(io.BytesIO(self.content), descriptor)


def layer_of(tar, *, blob=None, source="host/repo"):
    blob = gzip.compress(tar, 1) if blob is None else blob
    return Layer(descriptor=Descriptor.of(OCI_LAYER_GZIP, blob), diff_id=Digest.of(tar), source=source), blob


@pytest.mark.parametrize("size", [0, 10, 100_000, 3_000_000])
@pytest.mark.parametrize("reproducible", [False, True])
def test_written_layers_read_back(store, tmp_path, size, reproducible):
    (tmp_path / "file").write_bytes(NOISE[:size])
    entry = LayerEntry(name="file", type=EntryType.FILE, mode=0o640, size=size, mtime_ns=5_000_000_000)
    writer = LayerWriter(store.blobs, reproducible=reproducible, epoch=3)
    layer = writer.write([Change(entry, str(tmp_path / "file"))])
    again = writer.write([Change(entry, str(tmp_path / "file"))])
    assert layer is not None
    assert layer == again
    tar = gzip.decompress(store.blobs.read(layer.descriptor.digest))
    assert Digest.of(tar) == layer.diff_id
    assert store.blobs.size(layer.descriptor.digest) == layer.descriptor.size
    member = tarfile.open(fileobj=io.BytesIO(tar)).getmember("file")  # noqa: SIM115
    assert (member.size, member.mode, member.mtime) == (size, 0o640, 3)


@pytest.mark.parametrize(
    ("options", "media_type"),
    [
        (LayerOptions(level=0), OCI_LAYER_GZIP),
        (LayerOptions(level=9), OCI_LAYER_GZIP),
        (LayerOptions(compression="zstd"), OCI_LAYER_ZSTD),
        (LayerOptions(compression="zstd", level=1), OCI_LAYER_ZSTD),
    ],
)
@pytest.mark.parametrize("size", [10, 3_000_000])
def test_every_compression_and_level_reads_back(store, tmp_path, options, media_type, size):
    (tmp_path / "file").write_bytes(NOISE[:size])
    change = Change(LayerEntry(name="file", type=EntryType.FILE, mode=0o640, size=size), str(tmp_path / "file"))
    layer = LayerWriter(store.blobs, options).write([change])
    assert layer.descriptor.media_type == media_type
    assert LayerWriter(store.blobs, options).write([change]) == layer
    assert layer.diff_id == LayerWriter(store.blobs).write([change]).diff_id
    with LayerSource(store.blobs, Registry(), StopFlag()).open(layer) as stream:
        assert NOISE[:size] in stream.read()


def test_no_changes_no_layer(store):
    assert LayerWriter(store.blobs).write([]) is None


def test_a_file_that_vanishes_leaves_no_blob(store, tmp_path):
    entry = LayerEntry(name="file", type=EntryType.FILE, mode=0o640, size=5)
    with pytest.raises(StepError):
        LayerWriter(store.blobs).write([Change(entry, str(tmp_path / "missing"))])
    assert list((tmp_path / "home" / "blobs" / "sha256").iterdir()) == []


def test_a_large_layer_where_no_thread_can_be_started(store, tmp_path, monkeypatch):
    def start(_thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    (tmp_path / "file").write_bytes(NOISE)
    entry = LayerEntry(name="file", type=EntryType.FILE, mode=0o640, size=len(NOISE))
    with pytest.raises(UnfitError, match="no thread can be started"), machine_faults_explained():
        LayerWriter(store.blobs).write([Change(entry, str(tmp_path / "file"))])


@pytest.fixture
def large(monkeypatch):
    monkeypatch.setattr(layerwriter, "LARGE", 100_000)


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize(("size", "begun"), [(3_000_000, 1), (10_000, 0)])
def test_a_large_layer_is_told_of_before_it_is_whole(store, tmp_path, size, begun):
    (tmp_path / "file").write_bytes(NOISE[:size])
    change = Change(LayerEntry(name="file", type=EntryType.FILE, mode=0o640, size=size), str(tmp_path / "file"))
    told = []
    layer = LayerWriter(store.blobs).write([change], on_large=lambda blob: told.append((blob, blob.digest)))
    assert [digest for _, digest in told] == [None] * begun
    for blob, _ in told:
        assert blob.digest == layer.descriptor.digest
        assert b"".join(blob.pieces()) == store.blobs.read(blob.digest)


@pytest.mark.usefixtures("large")
def test_whoever_follows_a_layer_hears_that_it_was_given_up(store, tmp_path):
    (tmp_path / "file").write_bytes(NOISE)
    entry = LayerEntry(name="file", type=EntryType.FILE, mode=0o640, size=len(NOISE) + 1)
    told = []
    with pytest.raises(StepError, match="changed its size"):
        LayerWriter(store.blobs).write([Change(entry, str(tmp_path / "file"))], on_large=told.append)
    (blob,) = told
    with pytest.raises(ImageError, match="given up"):
        list(blob.pieces())


def test_stopping_ends_what_is_sent_early(store):
    stop = StopFlag()
    with store.blobs.writer() as writer:
        writer.write(NOISE)
        pieces = LayerSource(store.blobs, Registry(), stop).follow(writer.growing()).pieces()
        next(pieces)
        stop.set(15)
        with pytest.raises(StoppedError):
            next(pieces)


def test_how_far_an_early_upload_is_can_be_told_once_its_size_is_known(store, monkeypatch):
    monkeypatch.setattr(transfers, "_EVERY", 0)
    told = []
    with store.blobs.writer() as writer:
        writer.write(NOISE)
        pieces = LayerSource(store.blobs, Registry(), StopFlag(), told.append).follow(writer.growing()).pieces()
        next(pieces)
        writer.write(NOISE)
        next(pieces)
        assert told == []
        digest = writer.commit()
    assert sum(map(len, pieces)) == 2 * len(NOISE) - 2 * 256 * 1024
    assert {(event.direction, event.digest, event.total) for event in told} == {("push", digest, 2 * len(NOISE))}
    assert told[-1].done == 2 * len(NOISE)


def test_a_download_is_inflated_and_kept(store):
    layer, blob = layer_of(NOISE)
    registry = Registry(blob)
    source = LayerSource(store.blobs, registry, StopFlag())
    with source.open(layer) as stream:
        assert hashlib.sha256(stream.read()).digest() == hashlib.sha256(NOISE).digest()
    assert store.blobs.read(layer.descriptor.digest) == blob
    with source.open(layer) as stream:
        assert stream.read() == NOISE
    source.ensure(layer)
    assert registry.opened == 1
    assert source.downloaded == len(blob)


def test_ensure_downloads_without_unpacking(store):
    layer, blob = layer_of(NOISE)
    with LayerSource(store.blobs, Registry(blob), StopFlag()).open_blob(layer) as stream:
        assert stream.read() == blob


def test_wrong_bytes_are_found_and_not_kept(store):
    layer, _ = layer_of(NOISE)
    other = gzip.compress(NOISE[::-1], 1)
    with (
        pytest.raises(ImageError),
        LayerSource(store.blobs, Registry(other), StopFlag()).open(layer) as stream,
    ):
        stream.read()
    assert not store.blobs.has(layer.descriptor.digest)


def test_a_damaged_file_of_the_warmer_is_not_kept(store):
    """What it was looked through for may be another file by now: here its digest is computed as it passes."""
    layer, _ = layer_of(NOISE)

    class Folder:
        def open_blob(self, _descriptor):
            return io.BytesIO(gzip.compress(NOISE[::-1], 1))

    source = LayerSource(store.blobs, Registry(), StopFlag(), warmed=Folder())
    with pytest.raises(ImageError, match="has"):
        source.ensure(layer)
    assert not store.blobs.has(layer.descriptor.digest)


def test_a_wrong_diff_id_is_found(store):
    layer, blob = layer_of(NOISE)
    lying = Layer(descriptor=layer.descriptor, diff_id=Digest.of(b"else"), source="host/repo")
    with (
        pytest.raises(ImageError, match="does not unpack to"),
        LayerSource(store.blobs, Registry(blob), StopFlag()).open(lying) as stream,
    ):
        stream.read()


def test_an_error_of_the_registry_reaches_the_reader(store):
    layer, _ = layer_of(NOISE)
    source = LayerSource(store.blobs, Registry(error=RegistryError("down")), StopFlag())
    with pytest.raises(RegistryError, match="down"), source.open(layer) as stream:
        stream.read()


def test_closing_early_ends_the_thread_and_a_second_reader_may_begin(store):
    layer, blob = layer_of(NOISE * 4)
    source = LayerSource(store.blobs, Registry(blob), StopFlag())
    stream = source.open(layer)
    assert stream.read(10) == NOISE[:10]
    stream.close()
    assert not store.blobs.has(layer.descriptor.digest)
    with source.open(layer) as again:
        assert len(again.read()) == len(NOISE) * 4


def test_what_is_unpacked_for_a_build_that_has_failed_ends_at_once(store):
    """And it is nothing against the layer: another try may read it."""
    layer, blob = layer_of(NOISE * 4)
    source = LayerSource(store.blobs, Registry(blob), StopFlag())
    with source.open(layer) as stream:
        stream.read(1)
        with pytest.raises(StepError), source.wanted():
            raise StepError("a step failed")
        with pytest.raises(ImageError, match="of no more use"):
            stream.read()
    assert source.failed == set()
    source.want_again()
    with source.open(layer) as stream:
        assert stream.read() == NOISE * 4


def test_no_source_is_a_clear_error(store):
    layer, _ = layer_of(b"x", source="")
    with pytest.raises(ImageError, match="no registry is known"):
        LayerSource(store.blobs, Registry(), StopFlag()).ensure(layer)


def test_stopping_ends_transfers(store):
    layer, blob = layer_of(NOISE * 4)
    stop = StopFlag()
    source = LayerSource(store.blobs, Registry(blob), stop)
    with source.open(layer) as stream:
        stop.set(15)
        with pytest.raises(StoppedError) as caught:
            stream.read()
    assert caught.value.exit_code == 143
    with pytest.raises(StoppedError):
        source.ensure(layer)
    assert not store.blobs.has(layer.descriptor.digest)


class TestWhatIsTold:
    def test_an_unpacked_layer_and_whether_it_was_downloaded(self, store):
        layer, blob = layer_of(NOISE)
        told = []
        source = LayerSource(store.blobs, Registry(blob), StopFlag(), told.append)
        for _ in range(2):
            with source.open(layer) as stream:
                stream.read()
        unpacked = [(event.digest, event.size, event.downloaded) for event in told]
        expected = layer.descriptor.digest, layer.descriptor.size
        assert unpacked == [(*expected, True), (*expected, False)]
        assert all(event.seconds >= 0 for event in told)

    def test_a_layer_that_is_damaged_is_not_unpacked(self, store):
        layer, _ = layer_of(NOISE)
        told = []
        source = LayerSource(store.blobs, Registry(gzip.compress(NOISE[::-1])), StopFlag(), told.append)
        with pytest.raises(ImageError), source.open(layer) as stream:
            stream.read()
        assert told == []

    def test_large_transfers_twice_a_second(self):
        told, now = [], [0.0]
        blob = Descriptor.of(OCI_LAYER_GZIP, b"x" * 5_000_000)
        meter = Meter(told.append, "pull", blob, clock=lambda: now[0])
        for _ in range(10):
            now[0] += 0.2
            meter.add(600_000)
        assert [(event.direction, event.digest, event.total) for event in told] == [
            ("pull", blob.digest, 5_000_000)
        ] * 3
        assert [event.done for event in told] == [1_800_000, 3_600_000, 5_000_000]

    def test_small_transfers_are_not_worth_it(self):
        told, now = [], [0.0]
        meter = Meter(told.append, "push", Descriptor.of(OCI_LAYER_GZIP, b"x"), clock=lambda: now[0])
        now[0] = 10.0
        meter.add(1)
        assert told == []
