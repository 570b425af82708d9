"""Entries as images: there and back, and everything that is not one of ours refused."""

import dataclasses
import json

import pytest

from executor.cache.entry import EMPTY_BLOB, KEY_LABEL, entry_manifest, from_image, to_image
from executor.errors import ImageError
from executor.image.descriptor import Descriptor
from executor.image.manifest import Index, Manifest
from tests.executor.cache.conftest import entry_of


def read(entry, made):
    return from_image(entry.key, entry_manifest(made.manifest_bytes), made.config_bytes, source="r/c")


def test_there_and_back(layer):
    entry = entry_of(layer, upon="u")
    expected = dataclasses.replace(entry, layer=dataclasses.replace(layer, source="r/c"))
    assert read(entry, to_image(entry)) == expected


def test_an_entry_without_a_layer_has_the_empty_tar(layer):
    entry = entry_of(None)
    made = to_image(entry)
    assert made.layer == Descriptor.of(made.layer.media_type, EMPTY_BLOB)
    assert read(entry, made) == entry


def test_it_is_kanikos_layout_and_explains_itself(layer):
    entry = entry_of(layer)
    config = json.loads(to_image(entry).config_bytes)
    assert config["created"] == "1970-01-12T13:46:40Z"
    assert json.loads(config["config"]["Labels"][KEY_LABEL])["name"] == "x"
    assert len(config["rootfs"]["diff_ids"]) == len(config["history"]) == 1


def test_kanikos_fractions_of_seconds_are_read(layer):
    entry = entry_of(layer)
    config = to_image(entry).config_bytes.replace(b"13:46:40Z", b"13:46:40.123456789Z")
    manifest = Manifest(config=Descriptor.of("x", config), layers=(layer.descriptor,))
    assert from_image(entry.key, manifest, config).created == 1_000_000


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b'"created":"1970', b'"created":"1970-1970', "creation time"),
        (b'"created":"1970-01', b'"created":"1970-13', "creation time"),
        (b'"os"', b'"so"', "malformed"),
        (b'test', b'tset', "not made for this key"),
        (KEY_LABEL.encode(), b"other", "not made for this key"),
        (b'"diff_ids":[', b'"diff_ids":["sha256:%b",' % (b"0" * 64), "2 diff IDs"),
    ],
)  # fmt: skip
def test_foreign_configurations_are_refused(layer, old, new, message):
    entry = entry_of(layer)
    config = to_image(entry).config_bytes
    assert old in config
    changed = config.replace(old, new, 1)
    manifest = Manifest(config=Descriptor.of("x", changed), layers=(layer.descriptor,))
    with pytest.raises(ImageError, match=message):
        from_image(entry.key, manifest, changed)


def test_another_keys_entry_and_another_manifests_configuration_are_refused(layer):
    entry, made = entry_of(layer), to_image(entry_of(layer))
    with pytest.raises(ImageError, match="not made for this key"):
        from_image("0" * 64, entry_manifest(made.manifest_bytes), made.config_bytes)
    with pytest.raises(ImageError, match="of its manifest"):
        from_image(entry.key, entry_manifest(made.manifest_bytes), made.config_bytes + b" ")


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (lambda one: Manifest(config=one, layers=()), "0 layers"),
        (lambda one: Manifest(config=one, layers=(one, one)), "2 layers"),
        (lambda one: Manifest(config=dataclasses.replace(one, size=1 << 30), layers=(one,)), "bytes"),
    ],
)
def test_foreign_manifests_are_refused(layer, manifest, message):
    with pytest.raises(ImageError, match=message):
        entry_manifest(manifest(layer.descriptor).to_bytes())


def test_an_index_is_refused():
    index = json.dumps({"schemaVersion": 2, "mediaType": Index(manifests=()).media_type, "manifests": []})
    with pytest.raises(ImageError, match="index"):
        entry_manifest(index.encode())
