"""Manifests of base images are kept: a later build asks the registry for a digest, and for no more."""

import dataclasses
import json
from pathlib import Path

import pytest

from executor.build.bases.bases import BaseImages
from executor.errors import AuthError, RegistryError
from executor.events import discard
from executor.image import mediatypes
from executor.image.layout import index_bytes
from executor.image.manifest import Index
from executor.image.platform import Platform
from executor.registry.client import RegistryClient
from executor.registry.credentials import Keychain
from executor.spec import PruneSpec, RegistryOptions, RetryPolicy
from executor.store import Store, prune
from tests.support.fake_registry import FakeRegistry, Fault
from tests.support.images import small_image

AMD = Platform.parse("linux/amd64")
HASTY = RegistryOptions(insecure_pull=True, pull_retry=RetryPolicy())


@pytest.fixture
def registry():
    with FakeRegistry() as registry:
        small_image().put(registry, "base", "1")
        yield registry


@pytest.fixture
def get(registry, tmp_path):
    """What a build of a new session reads of an image."""

    def get(name="base:1", platform=AMD):
        registry.requests.clear()
        with (
            RegistryClient(HASTY, Keychain(), discard, "pull") as client,
            Store.open(str(tmp_path / "home")) as store,
        ):
            bases = BaseImages(store, client, {}, discard)
            try:
                return bases.get(f"{registry.host}/{name}", platform)
            finally:
                bases.close()

    return get


def asked(registry):
    return [
        f"{seen.method} {seen.path.rpartition('/')[2][:6]}" for seen in registry.requests if seen.path != "/v2/"
    ]


def test_the_second_build_asks_for_the_digest(registry, get):
    first = get()
    assert asked(registry) == ["GET 1", "GET sha256"], "the manifest and the configuration"
    assert get() == first
    assert asked(registry) == ["HEAD 1"]
    digest = first.digest
    assert get(f"base@{digest}").layers == first.layers
    assert [request[:4] for request in asked(registry)] == ["HEAD"], "these credentials may read it"


def test_a_tag_that_moved(registry, get):
    get()
    moved = small_image((b"other",)).put(registry, "base", "1")
    assert get().digest == moved.descriptor.digest
    assert asked(registry) == ["HEAD 1", "GET 1", "GET sha256"]
    get()
    assert asked(registry) == ["HEAD 1"]


def test_an_index_vouches_for_its_images(registry, get):
    images = {name: small_image((name.encode(),), f"linux/{name}") for name in ("amd64", "arm64")}
    entries = []
    for name, image in images.items():
        image.put(registry, "several", name)
        entries.append(dataclasses.replace(image.descriptor, platform=Platform.parse(f"linux/{name}")))
    registry.add_manifest("several", "1", mediatypes.OCI_INDEX, index_bytes(Index(manifests=tuple(entries))))
    get("several:1")
    assert asked(registry) == ["GET 1", "GET sha256", "GET sha256"]
    assert get("several:1").digest == images["amd64"].descriptor.digest
    assert asked(registry) == ["HEAD 1"]
    assert get("several:1", Platform.parse("linux/arm64")).digest == images["arm64"].descriptor.digest
    assert asked(registry) == ["HEAD 1", "GET sha256", "GET sha256"]


@pytest.mark.parametrize("status", [401, 403])
def test_who_may_not_read_an_image_does_not_get_it_from_the_store(registry, get, status):
    get()
    registry.faults.append(Fault(path="/manifests/", status=status, times=10))
    with pytest.raises((AuthError, RegistryError)):
        get()


def test_a_registry_that_is_gone_is_told_of(registry, get):
    get()
    registry.faults.append(Fault(path="/v2/", drop_after=0, times=100))
    with pytest.raises(RegistryError) as caught:
        get()
    assert caught.value.retryable


def test_a_registry_that_knows_no_head_is_read(registry, get):
    first = get()
    registry.faults.append(Fault(path="/manifests/", method="HEAD", status=405))
    assert get() == first
    assert asked(registry) == ["HEAD 1", "GET 1"], "its configuration is here"


@pytest.mark.parametrize("damage", [b"", b"{}", b'{"digest": "sha256:0"}', None])
def test_damage_costs_a_download(registry, get, tmp_path, damage):
    first = get()
    (name,) = (tmp_path / "home" / "names").iterdir()
    for path in (name, *(tmp_path / "home" / "blobs" / "sha256").iterdir()):
        path.write_bytes(damage or b"") if damage is not None else path.unlink()
    assert get() == first
    assert asked(registry) == ["GET 1", "GET sha256"]
    get()
    assert asked(registry) == ["HEAD 1"]


def test_names_go_with_their_images(registry, get, tmp_path):
    get()
    (name,) = (tmp_path / "home" / "names").iterdir()
    assert json.loads(name.read_text())["reference"] == f"{registry.host}/base:1"
    with Store.open(str(tmp_path / "home")) as store:
        prune(store, PruneSpec(everything=True))
    assert list(Path(tmp_path, "home", "names").iterdir()) == []
    get()
    assert asked(registry) == ["GET 1", "GET sha256"]
