"""From a reference to one image: indexes, platforms and their order of preference."""

from __future__ import annotations

import json

import pytest

from executor.errors import ImageError
from executor.events import Event, Warned
from executor.image import mediatypes
from executor.image.descriptor import Descriptor
from executor.image.digest import Digest
from executor.image.platform import Platform
from executor.image.reference import Reference
from executor.registry.pull import choose, resolve
from tests.executor.registry.conftest import ClientMaker
from tests.support.fake_registry import FakeRegistry, Fault
from tests.support.images import SmallImage, small_image

AMD64 = Platform("linux", "amd64")


def entry(platform: str, *, attestation: bool = False) -> Descriptor:
    parts = platform.split("/")
    annotations = {"vnd.docker.reference.type": "attestation-manifest"} if attestation else {}
    return Descriptor(
        mediatypes.OCI_MANIFEST,
        Digest.of(platform.encode()),
        1,
        annotations,
        Platform(*parts) if platform else None,
    )


@pytest.mark.parametrize(
    ("wanted", "offered", "chosen"),
    [
        ("linux/amd64", ["linux/arm64", "linux/amd64"], "linux/amd64"),
        ("linux/amd64", ["linux/amd64/v2", "linux/amd64"], "linux/amd64"),
        ("linux/amd64", ["linux/amd64/v2"], None),
        ("linux/amd64/v²", ["linux/amd64"], "linux/amd64"),
        ("linux/amd64/v" + "9" * 15, ["linux/amd64"], "linux/amd64"),
        ("linux/amd64/v3", ["linux/amd64", "linux/amd64/v2", "linux/amd64/v4"], "linux/amd64/v2"),
        ("linux/amd64", ["linux/386"], "linux/386"),
        ("linux/386", ["linux/amd64"], None),
        ("linux/amd64", ["windows/amd64"], None),
        ("linux/arm64", ["linux/arm64/v8"], "linux/arm64/v8"),
        ("linux/arm64", ["linux/arm/v6", "linux/arm/v7"], "linux/arm/v7"),
        ("linux/arm/v7", ["linux/arm/v5", "linux/arm/v6"], "linux/arm/v6"),
        ("linux/arm/v6", ["linux/arm/v7", "linux/arm/v5"], "linux/arm/v5"),
        ("linux/arm", ["linux/arm"], "linux/arm"),
        ("linux/arm/v7", ["linux/arm64"], None),
        ("linux/s390x", ["linux/ppc64le"], None),
        ("linux/s390x", ["linux/ppc64le", ""], ""),
        ("linux/riscv64", [], None),
    ],
)
def test_the_platform_chosen(wanted: str, offered: list[str], chosen: str | None) -> None:
    found = choose([entry(platform) for platform in offered], Platform.parse(wanted))
    assert found == (None if chosen is None else entry(chosen))


def test_the_first_of_equals_is_chosen_and_attestations_never() -> None:
    twins = [entry("linux/amd64", attestation=True), entry("linux/amd64"), entry("linux/amd64/v1")]
    assert choose(twins, AMD64) is twins[1]


def serve(registry: FakeRegistry, image: SmallImage, tag: str = "") -> Descriptor:
    registry.add_manifest("app", tag, image.manifest.media_type, image.manifest.to_bytes())
    for content in image.blobs.values():
        registry.add_blob("app", content)
    platform = json.loads(image.config)
    descriptor = image.descriptor
    return Descriptor(
        descriptor.media_type,
        descriptor.digest,
        descriptor.size,
        platform=Platform(platform["os"], platform["architecture"], platform.get("variant", "")),
    )


def serve_index(
    registry: FakeRegistry, entries: list[Descriptor], tag: str = "", media_type: str = mediatypes.OCI_INDEX
) -> Descriptor:
    document = {"schemaVersion": 2, "mediaType": media_type, "manifests": [item.to_json() for item in entries]}
    content = json.dumps(document).encode()
    registry.add_manifest("app", tag, media_type, content)
    return Descriptor.of(media_type, content)


def reference(registry: FakeRegistry) -> Reference:
    return Reference.parse(f"{registry.host}/app:1")


def test_a_single_image(registry: FakeRegistry, client: ClientMaker, events: list[Event]) -> None:
    image = small_image()
    serve(registry, image, "1")
    found = resolve(client(), reference(registry), AMD64)
    assert found.reference == reference(registry).with_digest(image.descriptor.digest)
    assert found.descriptor == image.descriptor
    assert (found.manifest_bytes, found.config_bytes) == (image.manifest.to_bytes(), image.config)
    assert events == []


def test_a_single_image_of_another_platform_is_taken_with_a_warning(
    registry: FakeRegistry, client: ClientMaker, events: list[Event]
) -> None:
    serve(registry, small_image(platform="linux/arm64"), "1")
    resolve(client(), reference(registry), AMD64)
    (warning,) = events
    assert isinstance(warning, Warned)
    assert "is for linux/arm64, not for linux/amd64" in warning.message


@pytest.mark.parametrize("media_type", mediatypes.INDEXES)
def test_an_index(registry: FakeRegistry, client: ClientMaker, media_type: str) -> None:
    arm, amd = small_image(platform="linux/arm64"), small_image()
    serve_index(registry, [serve(registry, arm), serve(registry, amd)], "1", media_type)
    found = resolve(client(), reference(registry), AMD64)
    assert found.descriptor.digest == amd.descriptor.digest
    assert found.reference.digest == amd.descriptor.digest
    assert resolve(client(), reference(registry), Platform("linux", "arm64")).config_bytes == arm.config


def test_an_index_in_an_index(registry: FakeRegistry, client: ClientMaker) -> None:
    image = small_image()
    inner = serve_index(registry, [serve(registry, image)])
    serve_index(registry, [entry("linux/s390x"), inner], "1")
    assert resolve(client(), reference(registry), AMD64).descriptor.digest == image.descriptor.digest


def test_indexes_nested_without_end(registry: FakeRegistry, client: ClientMaker) -> None:
    nested = serve_index(registry, [serve(registry, small_image())])
    for depth in range(5):
        nested = serve_index(registry, [nested], "1" if depth == 4 else "")
    with pytest.raises(ImageError, match="index of indexes"):
        resolve(client(), reference(registry), AMD64)


def test_a_platform_that_is_missing_lists_those_that_are_there(
    registry: FakeRegistry, client: ClientMaker
) -> None:
    offered = [entry("linux/arm/v7"), entry("linux/arm64"), entry("unknown/unknown", attestation=True)]
    serve_index(registry, offered, "1")
    with pytest.raises(ImageError, match="has no image for linux/amd64") as caught:
        resolve(client(), reference(registry), AMD64)
    assert caught.value.hint == "it has linux/arm/v7, linux/arm64"


def test_the_configuration_is_verified(registry: FakeRegistry, client: ClientMaker) -> None:
    image = small_image()
    serve(registry, image, "1")
    registry.faults.append(Fault(path="/blobs/", content=image.config.replace(b"amd64", b"arm64")))
    with pytest.raises(ImageError, match="is not what its digest says"):
        resolve(client(), reference(registry), AMD64)
