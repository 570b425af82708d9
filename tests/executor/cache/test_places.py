"""The three places: what is put is got; what is damaged is refused, and mended by the next put."""

import io
import json
import os
import shutil
import threading

import pytest

from executor.cache.entry import EMPTY_BLOB, entry_manifest, to_image
from executor.cache.places import check_place, open_place, repository_of
from executor.errors import AuthError, Error, ImageError, RegistryError, UsageError
from executor.events import discard
from executor.image.layout import locked_folder, read_layout
from executor.registry.client import RegistryClient
from executor.registry.credentials import Keychain
from executor.spec import RegistryOptions
from executor.store import Store
from tests.executor.cache.conftest import entry_of
from tests.support.fake_registry import Fault


@pytest.fixture
def client():
    with RegistryClient(RegistryOptions(insecure=True), Keychain(), discard, "push") as client:
        yield client


@pytest.fixture(params=["registry", "oci", "dir"])
def place(request, registry, client, store, tmp_path):
    text = f"{registry.host}/team/cache" if request.param == "registry" else f"{request.param}:{tmp_path}/cache"
    return open_place(text, client, store.blobs)


@pytest.fixture
def put(image):
    def put(place, entry):
        content = image.blobs[entry.layer.descriptor.digest] if entry.layer else EMPTY_BLOB
        place.put(entry.key, to_image(entry), lambda: io.BytesIO(content))

    return put


def test_what_is_put_is_got(place, put, layer):
    entry = entry_of(layer, upon="u")
    assert place.get(entry.key) is None
    put(place, entry)
    found = place.get(entry.key)
    assert (found.layer.descriptor, found.layer.diff_id, found.upon) == (layer.descriptor, layer.diff_id, "u")
    assert place.get(entry_of(layer, name="other").key) is None


def test_an_entry_without_a_layer(place, put):
    entry = entry_of(None)
    put(place, entry)
    assert place.get(entry.key) == entry


def test_the_last_put_wins(place, put, layer):
    for upon in ("one", "two"):
        put(place, entry_of(layer, upon=upon))
    put(place, entry_of(None, name="other"))
    assert place.get(entry_of(layer).key).upon == "two"


def test_a_layer_is_where_the_entry_says(place, put, store, layer, registry):
    put(place, entry_of(layer))
    found = place.get(entry_of(layer).key)
    if found.layer.source:
        assert found.layer.source == f"{registry.host}/team/cache"
        assert not store.blobs.has(layer.descriptor.digest), "nothing was downloaded"
        assert registry.seen("GET", str(layer.descriptor.digest)) == []
    else:
        assert store.blobs.has(layer.descriptor.digest)


def test_the_registry_holds_kanikos_layout(registry, client, store, put, layer):
    put(open_place(f"{registry.host}/cache", client, store.blobs), entry_of(layer))
    media_type, content = registry.manifests["cache"][entry_of(layer).key]
    manifest = json.loads(content)
    assert media_type == "application/vnd.oci.image.manifest.v1+json"
    assert [blob["digest"] for blob in manifest["layers"]] == [str(layer.descriptor.digest)]


def test_a_layer_that_is_there_is_not_sent_again(registry, client, store, put, layer):
    place = open_place(f"{registry.host}/cache", client, store.blobs)
    put(place, entry_of(layer, name="one"))
    sent = len(registry.seen("PUT", "/blobs/"))
    put(place, entry_of(layer, name="two"))
    assert len(registry.seen("PUT", "/blobs/")) == sent + 1, "only the configuration"


@pytest.mark.parametrize("missing", ["config", "layer"])
def test_a_registry_that_lost_a_blob(registry, client, store, put, layer, missing):
    place = open_place(f"{registry.host}/cache", client, store.blobs)
    put(place, entry_of(layer))
    manifest = json.loads(registry.manifests["cache"][entry_of(layer).key][1])
    lost = manifest["config"] if missing == "config" else manifest["layers"][0]
    del registry.blobs["cache"][lost["digest"]]
    with pytest.raises(ImageError, match="has its manifest but not its"):
        place.get(entry_of(layer).key)


@pytest.mark.parametrize("there", [True, False])
def test_what_the_registry_has_elsewhere_is_not_sent_to_it_again(
    registry, client, store, put, layer, image, there
):
    digest = layer.descriptor.digest
    if there:
        registry.add_blob("app", image.blobs[digest])

    def holder(asked, blob):
        return f"{registry.host}/app" if (asked, blob) == (registry.host, digest) else ""

    put(open_place(f"{registry.host}/cache", client, store.blobs, holder), entry_of(layer))
    assert registry.blobs["cache"][digest] == image.blobs[digest]
    sizes = [seen.size for seen in registry.seen("PUT", "/uploads/")]
    assert (layer.descriptor.size in sizes) is not there
    assert len(sizes) == (1 if there else 2), "the configuration is always sent"


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(path="/manifests/", status=403), AuthError),
        (Fault(path="/manifests/", status=500), RegistryError),
        (Fault(path="/manifests/", content=b"<html>"), ImageError),
        (Fault(path="/blobs/", method="GET", truncate_to=10), Error),
        (Fault(path="/blobs/", method="GET", content=b"{}"), Error),
        (Fault(path="/blobs/", method="HEAD", status=503), RegistryError),
    ],
)
def test_a_registry_that_fails(registry, client, store, put, layer, fault, error):
    place = open_place(f"{registry.host}/cache", client, store.blobs)
    put(place, entry_of(layer))
    registry.faults.append(fault)
    with pytest.raises(error):
        place.get(entry_of(layer).key)
    assert place.get(entry_of(layer).key) is not None, "the next look finds it"


def files_below(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("kind", ["oci", "dir"])
@pytest.mark.parametrize("damage", [lambda data: data[:20], lambda data: data[:-3] + b"xyz", lambda _data: b""])
def test_every_damaged_file_is_noticed_and_mended(client, tmp_path, put, layer, kind, damage):
    with Store.open(str(tmp_path / "first")) as store:
        put(open_place(f"{kind}:{tmp_path}/cache", client, store.blobs), entry_of(layer))
    written = files_below(tmp_path / "cache")
    for number, (path, content) in enumerate(written.items()):
        if path.name in ("oci-layout", "index.json"):
            continue
        path.write_bytes(damage(content))
        with Store.open(str(tmp_path / f"home-{number}")) as store:
            place = open_place(f"{kind}:{tmp_path}/cache", client, store.blobs)
            with pytest.raises(ImageError):
                place.get(entry_of(layer).key)
            put(place, entry_of(layer))
            assert place.get(entry_of(layer).key) is not None
            assert store.blobs.read(layer.descriptor.digest)


@pytest.mark.parametrize("name", ["manifest.json", "config.json"])
def test_a_file_that_is_too_large_is_not_read(client, store, tmp_path, put, layer, name):
    place = open_place(f"dir:{tmp_path}/cache", client, store.blobs)
    put(place, entry_of(layer))
    os.truncate(tmp_path / "cache" / entry_of(layer).key / name, 2**40)  # more than there is memory
    with pytest.raises(ImageError, match="is too large"):
        place.get(entry_of(layer).key)


@pytest.mark.parametrize("kind", ["oci", "dir"])
def test_a_put_that_fails_leaves_nothing_half(client, store, tmp_path, layer, kind):
    place = open_place(f"{kind}:{tmp_path}/cache", client, store.blobs)
    with pytest.raises(ImageError):
        place.put(entry_of(layer).key, to_image(entry_of(layer)), lambda: io.BytesIO(b"something else"))
    assert place.get(entry_of(layer).key) is None
    assert [name for name in os.listdir(tmp_path / "cache") if name.startswith(".new")] == []


def test_a_folder_that_cannot_be_written(client, store, tmp_path, put, layer):
    (tmp_path / "file").touch()
    for kind in ("oci", "dir"):
        with pytest.raises(OSError):
            put(open_place(f"{kind}:{tmp_path}/file/cache", client, store.blobs), entry_of(layer))


@pytest.mark.parametrize(
    "text", ["oci:", "dir:", "host:5000/Case", "host:5000/repo:tag", f"a/b@sha256:{'0' * 64}", ""]
)
def test_places_that_are_none(text):
    with pytest.raises(UsageError):
        check_place(text)


def test_repositories():
    assert repository_of("oci:/x") == repository_of("dir:x") == ""
    assert repository_of("host:5000/team/cache") == "host:5000/team/cache"
    assert repository_of("team/cache") == "docker.io/team/cache"


def test_the_index_of_a_layout_is_read_once_until_it_changes(client, store, layer, put, tmp_path, monkeypatch):
    text, reads = f"oci:{tmp_path}/cache", []
    monkeypatch.setattr("executor.cache.places.read_layout", lambda path: reads.append(path) or read_layout(path))
    place, elsewhere = (open_place(text, client, store.blobs) for _ in range(2))
    put(place, entry_of(layer, name="a"))
    reads.clear()
    for name in ("a", "b", "c"):
        place.get(entry_of(layer, name=name).key)
    assert len(reads) == 1
    put(elsewhere, entry_of(layer, name="b"))
    reads.clear()
    assert place.get(entry_of(layer, name="b").key)
    assert place.get(entry_of(layer, name="a").key)
    assert len(reads) == 1


def test_an_entry_that_goes_while_it_is_read_is_not_there(client, store, layer, put, tmp_path, monkeypatch):
    place = open_place(f"dir:{tmp_path}/cache", client, store.blobs)
    put(place, entry_of(layer))

    def read_and_lose(content, *media_type):
        shutil.rmtree(tmp_path / "cache" / entry_of(layer).key)
        return entry_manifest(content, *media_type)

    monkeypatch.setattr("executor.cache.places.entry_manifest", read_and_lose)
    assert place.get(entry_of(layer).key) is None


@pytest.mark.parametrize("kind", ["oci", "dir"])
def test_who_writes_waits_for_who_removes(client, store, layer, put, tmp_path, kind):
    place = open_place(f"{kind}:{tmp_path}/cache", client, store.blobs)
    put(place, entry_of(layer, upon="1"))
    thread = threading.Thread(target=put, args=(place, entry_of(layer, upon="2")))
    with locked_folder(str(tmp_path / "cache")):
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
        assert place.get(entry_of(layer).key).upon == "1", "who reads does not"
    thread.join(10)
    assert place.get(entry_of(layer).key).upon == "2"
