"""Images that wait in the store: kept, found, settled one destination after the other, overtaken by newer ones."""

import json
import os

import pytest

from executor.errors import ImageError
from executor.image.descriptor import Descriptor
from executor.image.layout import read_layout
from executor.image.manifest import Manifest
from executor.image.mediatypes import OCI_CONFIG, OCI_LAYER_GZIP
from executor.store import Store


@pytest.fixture
def store(tmp_path):
    with Store.open(str(tmp_path / "home")) as opened:
        yield opened


def image(store, content=b"layer", *, with_layer=True):
    """A manifest whose blobs are in the store; the layer is not, if a registry alone shall have it."""
    layer = Descriptor.of(OCI_LAYER_GZIP, content)
    config = Descriptor.of(OCI_CONFIG, b"{}")
    manifest = Manifest(config=config, layers=(layer,))
    for blob in (b"{}", manifest.to_bytes(), *([content] if with_layer else [])):
        store.blobs.put(blob)
    return Descriptor.of(manifest.media_type, manifest.to_bytes()), [layer, config]


def keep(store, name, root, content, *destinations):
    store.unpushed.keep(name, root, content, destinations=destinations, record={"for": name})


def test_what_is_kept_is_an_oci_layout(store):
    root, content = image(store)
    keep(store, "app-1", root, content, "r.io/app:1", "r.io/other:1")
    kept = store.unpushed.get("app-1")
    assert (kept.root.digest, kept.destinations, kept.record) == (
        root.digest,
        ("r.io/app:1", "r.io/other:1"),
        {"for": "app-1"},
    )
    layout = read_layout(os.path.join(store.home, "unpushed", "app-1"))
    found = layout.find("r.io/other:1")
    assert found is not None
    assert found.digest == root.digest
    assert {layout.read(blob) for blob in content} == {b"layer", b"{}"}


def test_blobs_take_no_room_twice(store):
    root, content = image(store)
    keep(store, "app", root, content, "r.io/app:1")
    path = os.path.join(store.home, "unpushed", "app", "blobs", "sha256", content[0].digest.hex)
    assert os.path.samefile(path, store.blobs.path(content[0].digest))


def test_a_file_system_without_hard_links(store, monkeypatch):
    def link(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    root, content = image(store)
    keep(store, "app", root, content, "r.io/app:1")
    with store.unpushed.get("app").open(content[0]) as stream:
        assert stream.read() == b"layer"


def test_a_layer_that_only_a_registry_has(store):
    root, content = image(store, with_layer=False)
    keep(store, "app", root, content, "r.io/app:1")
    kept = store.unpushed.get("app")
    assert [kept.has(blob) for blob in content] == [False, True]
    with pytest.raises(ImageError, match="lacks blob"):
        kept.open(content[0])


def test_it_goes_with_its_last_destination(store):
    root, content = image(store)
    keep(store, "app", root, content, "r.io/app:1", "r.io/app:2")
    store.unpushed.settle("app", root.digest, ["r.io/app:1"])
    assert store.unpushed.get("app").destinations == ("r.io/app:2",)
    store.unpushed.settle("app", root.digest, ["r.io/app:2"])
    assert store.unpushed.names() == []
    store.unpushed.settle("app", root.digest, ["r.io/app:2"])


def test_a_newer_build_takes_the_place(store):
    old, old_content = image(store, b"old")
    new, new_content = image(store, b"new")
    keep(store, "app", old, old_content, "r.io/app:1")
    keep(store, "app", new, new_content, "r.io/app:1")
    store.unpushed.settle("app", old.digest, ["r.io/app:1"])  # the older build's push ends only now
    assert store.unpushed.get("app").root.digest == new.digest


def test_a_tag_shall_name_the_image_built_last(store):
    old, old_content = image(store, b"old")
    new, new_content = image(store, b"new")
    keep(store, "app", old, old_content, "r.io/app:1", "r.io/app:latest")
    keep(store, "renamed", new, new_content, "r.io/app:latest")
    assert store.unpushed.get("app").destinations == ("r.io/app:1",)
    keep(store, "again", new, new_content, "r.io/app:1")
    assert store.unpushed.names() == ["again", "renamed"]


def test_later_sessions_find_it(store):
    root, content = image(store)
    keep(store, "app", root, content, "r.io/app:1")
    with Store.open(store.home) as later:
        assert later.unpushed.names() == ["app"]


@pytest.mark.parametrize("text", ["", "{", "{}", '{"destinations": 1}'])
def test_a_damaged_record(store, text):
    root, content = image(store)
    keep(store, "app", root, content, "r.io/app:1")
    with open(os.path.join(store.home, "unpushed", "app", "push.json"), "w") as file:
        file.write(text)
    with pytest.raises(ImageError, match="damaged"):
        store.unpushed.get("app")


def test_a_damaged_image_is_in_nobodys_way(store):
    root, content = image(store)
    keep(store, "broken", root, content, "r.io/app:1")
    with open(os.path.join(store.home, "unpushed", "broken", "push.json"), "w") as file:
        file.write("{")
    keep(store, "app", root, content, "r.io/app:1")
    store.unpushed.settle("broken", root.digest, ["r.io/app:1"])
    assert store.unpushed.names() == ["app", "broken"]


def test_none_of_that_name(store):
    with pytest.raises(ImageError, match="no image waits"):
        store.unpushed.get("app")


def test_the_record_is_json(store):
    root, content = image(store)
    keep(store, "app", root, content, "r.io/app:1")
    with open(os.path.join(store.home, "unpushed", "app", "push.json")) as file:
        assert json.load(file) == {"destinations": ["r.io/app:1"], "record": {"for": "app"}}
