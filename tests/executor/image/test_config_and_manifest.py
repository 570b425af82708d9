"""Configurations and manifests: what is read is written again, and nonsense is an ImageError."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.errors import ImageError
from executor.image import mediatypes
from executor.image.config import ContainerConfig, Healthcheck, History, ImageConfig, config_from_bytes
from executor.image.descriptor import Descriptor
from executor.image.digest import Digest
from executor.image.manifest import Index, Manifest, parse_manifest
from executor.image.platform import Platform

texts = st.text(max_size=8)
lists = st.lists(texts, max_size=3).map(tuple)
names = st.text(st.characters(exclude_characters="=", categories=("L", "N")), min_size=1, max_size=5)
containers = st.builds(
    ContainerConfig,
    user=texts,
    env=st.lists(st.builds("{}={}".format, names, texts), max_size=3).map(tuple),
    entrypoint=st.none() | lists,
    cmd=st.none() | lists,
    working_dir=texts,
    labels=st.dictionaries(texts, texts, max_size=3),
    exposed_ports=st.lists(names, max_size=3, unique=True).map(sorted).map(tuple),
    volumes=st.lists(names, max_size=3, unique=True).map(sorted).map(tuple),
    stop_signal=texts,
    healthcheck=st.none() | st.builds(Healthcheck, test=lists.filter(bool), interval=st.integers(0, 10**12)),
    shell=st.none() | lists.filter(bool),
    on_build=lists,
)
configs = st.builds(
    ImageConfig,
    platform=st.just(Platform("linux", "arm", "v7")),
    created=texts,
    author=texts,
    config=containers,
    diff_ids=st.lists(st.binary().map(Digest.of), max_size=3).map(tuple),
    history=st.lists(st.builds(History, created_by=texts, empty_layer=st.booleans()), max_size=3).map(tuple),
)


@given(configs)
def test_config_round_trip(config):
    assert config_from_bytes(config.to_bytes()) == config


def test_environment_of_equal_names_is_the_last():
    assert ContainerConfig(env=("A=1", "B=x=y", "A=2")).environment() == {"A": "2", "B": "x=y"}


def test_unknown_fields_of_a_base_are_dropped():
    content = json.dumps(
        {
            "os": "linux", "architecture": "amd64", "docker_version": "1", "container": "abc",
            "config": {"Hostname": "h", "Env": None}, "rootfs": {"type": "layers", "diff_ids": None},
        }
    ).encode()  # fmt: skip
    document = json.loads(config_from_bytes(content).to_bytes())
    assert "docker_version" not in document
    assert "Hostname" not in document["config"]


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"[" * 100_000, b"null", b"{}", b'{"os":"linux","architecture":"x","rootfs":3}',
     b'{"os":"linux","architecture":"x","rootfs":{"diff_ids":["sha256:1"]}}'],
)  # fmt: skip
def test_malformed_config(content):
    with pytest.raises(ImageError):
        config_from_bytes(content)


LAYER = Descriptor(mediatypes.OCI_LAYER_GZIP, Digest.of(b"layer"), 5)


def test_manifest_round_trip():
    manifest = Manifest(config=Descriptor.of(mediatypes.OCI_CONFIG, b"{}"), layers=(LAYER, LAYER))
    assert parse_manifest(manifest.to_bytes()) == manifest


def test_index_is_told_from_its_content_when_the_type_is_missing():
    entry = Descriptor(mediatypes.OCI_MANIFEST, LAYER.digest, 5, platform=Platform("linux", "arm64"))
    content = json.dumps({"schemaVersion": 2, "manifests": [entry.to_json()]}).encode()
    assert parse_manifest(content) == Index(manifests=(entry,))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{}", "malformed"),
        (b"[]", "malformed"),
        (b"[" * 100_000, "malformed"),
        (b'{"schemaVersion":1}', "schema 1"),
        (b'{"mediaType":"text/html"}', "not a media type of an image"),
        (b'{"manifests":[],"layers":[]}', "at once"),
        (b'{"config":{"digest":"x","size":1},"layers":[]}', "not a digest"),
        (b'{"config":{"digest":"sha256:1","size":-1},"layers":[]}', "size"),
    ],
)
def test_malformed_manifest(content, message):
    with pytest.raises(ImageError, match=message):
        parse_manifest(content)


@given(st.binary(max_size=60))
def test_only_image_errors(content):
    for read in (config_from_bytes, parse_manifest):
        with contextlib.suppress(ImageError):
            read(content)
