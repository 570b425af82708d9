"""The warmer fills a folder; builds read it. Registries are counted, gone, or lie."""

import base64
import dataclasses
import json
import os
import threading
from pathlib import Path

import pytest

from executor.build.bases.bases import BaseImages
from executor.build.bases.layersource import LayerSource
from executor.build.bases.warmedbases import open_warmed
from executor.build.stopping import StopFlag
from executor.cache.warmed import WarmedImages
from executor.errors import AuthError, Error, InvalidFileError, NotFoundError, RegistryError, UnfitError
from executor.events import PullFinished, Warned, discard
from executor.image import mediatypes
from executor.image.descriptor import Descriptor
from executor.image.layout import index_bytes
from executor.image.manifest import Index
from executor.image.platform import Platform
from executor.image.reference import Reference
from executor.registry.client import RegistryClient
from executor.registry.credentials import Keychain
from executor.spec import BuildSpec, CacheOptions, RegistryOptions, RetryPolicy
from executor.store import Store
from executor.warmer.request import WarmRequest
from executor.warmer.warm import warm
from tests.support.fake_registry import FakeRegistry, Fault
from tests.support.images import small_image

PLATFORM = Platform.parse("linux/amd64")
HASTY = RegistryOptions(insecure_pull=True, pull_retry=RetryPolicy())


@pytest.fixture
def registry():
    with FakeRegistry() as registry:
        small_image().put(registry, "base", "1")
        small_image((b"other",)).put(registry, "other", "1")
        yield registry


@pytest.fixture
def folder(tmp_path):
    return str(tmp_path / "cache")


@pytest.fixture
def told():
    return []


def warmed(folder, *images, sink=discard, **how):
    warm(WarmRequest(folder=folder, images=images, platforms=(str(PLATFORM),), registry=HASTY, **how), sink)


def fetched(registry):
    """The manifests and blobs that were downloaded since the last call."""
    paths = [seen.path.rpartition("/")[2] for seen in registry.seen("GET", "/v2/") if seen.path != "/v2/"]
    registry.requests.clear()
    return paths


def build_reads(folder, registry, home, sink=discard, *, ttl=1000.0, name="base:1"):
    """What a build does with a base image: its configuration, and each layer's files."""
    spec = BuildSpec(context=".", registry=HASTY, cache=CacheOptions(folder=folder, ttl=ttl))
    client = RegistryClient(HASTY, Keychain.from_environment(), sink, "pull")
    bases = None
    try:
        with Store.open(str(home)) as store:
            folder_images = open_warmed(spec, Keychain.from_environment(), sink)
            bases = BaseImages(store, client, {}, sink, warmed=folder_images)
            image = bases.get(f"{registry}/{name}", PLATFORM)
            layers = LayerSource(store.blobs, client, StopFlag(), sink, warmed=folder_images)
            contents = []
            for layer in image.layers:
                with layers.open(layer) as stream:
                    contents.append(stream.read())
        return image, contents
    finally:
        if bases:
            bases.close()
        client.close()


def test_a_build_downloads_nothing_that_is_warmed(registry, folder, tmp_path):
    direct = build_reads("/nowhere", registry.host, tmp_path / "a")
    warmed(folder, f"{registry.host}/base:1")
    fetched(registry)
    assert build_reads(folder, registry.host, tmp_path / "b") == direct
    assert fetched(registry) == []


def test_a_build_does_without_a_registry_that_is_gone(registry, folder, tmp_path, told):
    warmed(folder, f"{registry.host}/base:1")
    host = registry.host
    registry.__exit__(None, None, None)
    image, contents = build_reads(folder, host, tmp_path / "home", told.append)
    assert len(contents) == len(image.layers) > 0
    (warning,) = [event.message for event in told if isinstance(event, Warned)]
    assert "is used as it is" in warning
    with pytest.raises(RegistryError):
        build_reads(folder, host, tmp_path / "home", ttl=-1.0)
    registry.__enter__()


def test_a_digest_is_not_even_asked_for(registry, folder, tmp_path):
    digest = small_image().put(registry, "base", "1").descriptor.digest
    warmed(folder, f"{registry.host}/base@{digest}")
    registry.requests.clear()
    build_reads(folder, registry.host, tmp_path / "home", name=f"base@{digest}")
    assert registry.requests == []


def test_a_tag_that_moved_is_pulled(registry, folder, tmp_path):
    warmed(folder, f"{registry.host}/base:1")
    moved = small_image((b"new", b"layers")).put(registry, "base", "1")
    image, _ = build_reads(folder, registry.host, tmp_path / "home")
    assert image.digest == moved.descriptor.digest


def test_what_is_fresh_is_not_fetched_again(registry, folder):
    warmed(folder, f"{registry.host}/base:1")
    fetched(registry)
    warmed(folder, f"{registry.host}/base:1")
    assert fetched(registry) == []
    warmed(folder, f"{registry.host}/base:1", force=True)
    assert fetched(registry) != []


@pytest.mark.parametrize("cut", [False, True])
def test_what_is_missing_of_a_fresh_image_is_brought(registry, folder, tmp_path, cut):
    warmed(folder, f"{registry.host}/base:1")
    layer = small_image().manifest.layers[1]
    path = Path(folder, "blobs", "sha256", layer.digest.hex)
    path.write_bytes(b"") if cut else path.unlink()
    fetched(registry)
    warmed(folder, f"{registry.host}/base:1")
    assert layer.digest in fetched(registry)
    build_reads(folder, registry.host, tmp_path / "home")
    assert fetched(registry) == []


def test_a_blob_that_is_needed_again_is_as_good_as_new(folder):
    images = WarmedImages(folder, ttl=1000.0)
    blob = Descriptor.of("", b"blob")
    with images.warming(Reference.parse("h.example/app:1"), PLATFORM):
        images.put_bytes(blob, b"blob")
        path = Path(folder, "blobs", "sha256", blob.digest.hex)
        os.utime(path, (0, 0))
        images.put_bytes(blob, b"blob")  # another warmer brings an image that has it, and has not noted it yet
        images.remove_unneeded()
    assert path.exists()


def test_an_expired_image_is_refreshed_without_its_layers(registry, folder, tmp_path):
    warmed(folder, f"{registry.host}/base:1")
    fetched(registry)
    warmed(folder, f"{registry.host}/base:1", ttl=-1.0)
    image, _ = build_reads(folder, registry.host, tmp_path / "home")
    assert len(fetched(registry)) == 2, "manifest and configuration: the layers are here"
    record = json.loads(next(Path(folder, "images").iterdir()).read_text())
    assert record["named"] == image.digest


def test_what_no_image_needs_any_longer_goes(registry, folder, monkeypatch):
    warmed(folder, f"{registry.host}/base:1")
    small_image((b"new", b"layers")).put(registry, "base", "1")
    monkeypatch.setattr("executor.cache.warmed._SPARED", -10.0)
    before = set(Path(folder, "blobs", "sha256").iterdir())
    warmed(folder, f"{registry.host}/base:1")
    after = set(Path(folder, "blobs", "sha256").iterdir())
    assert len(after) == len(before)
    assert after != before


@pytest.mark.parametrize("damage", ["truncate", "flip", "remove"])
@pytest.mark.parametrize("victim", ["layer", "config", "manifest", "record"])
def test_damage_is_a_download_and_the_warmer_mends_it(registry, folder, tmp_path, victim, damage):
    image = small_image()
    warmed(folder, f"{registry.host}/base:1")
    digests = {
        "layer": image.manifest.layers[0].digest,
        "config": image.manifest.config.digest,
        "manifest": image.descriptor.digest,
    }
    path = next(Path(folder, "images").iterdir())
    if victim in digests:
        path = Path(folder, "blobs", "sha256", digests[victim].hex)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    wrong = {"truncate": content[: len(content) // 3], "flip": content}
    path.write_bytes(wrong[damage]) if damage in wrong else path.unlink()
    fetched(registry)
    built, _ = build_reads(folder, registry.host, tmp_path / "home")
    assert built.digest == image.descriptor.digest
    assert fetched(registry) != []
    warmed(folder, f"{registry.host}/base:1", force=True)
    fetched(registry)
    build_reads(folder, registry.host, tmp_path / "again")
    assert fetched(registry) == []


def test_one_failure_fails_it(registry, folder, told):
    names = [f"{registry.host}/{name}" for name in ("missing:1", "base:1")]
    with pytest.raises(NotFoundError):
        warmed(folder, *names, sink=told.append)
    assert any("missing:1 is not warmed" in event.message for event in told if isinstance(event, Warned))


def test_keep_going_fails_only_when_all_do(registry, folder, told):
    warmed(folder, f"{registry.host}/missing:1", f"{registry.host}/base:1", keep_going=True, sink=told.append)
    assert [event.reference for event in told if isinstance(event, PullFinished)] == [f"{registry.host}/base:1"]
    with pytest.raises(NotFoundError):
        warmed(folder, f"{registry.host}/missing:1", f"{registry.host}/missing:2", keep_going=True)


LIES = [
    (path, fault)
    for path in ("/manifests/", "/blobs/")
    for fault in ({"status": 500}, {"drop_after": 0}, {"drop_after": 20}, {"content": b"lie"})
]


@pytest.mark.parametrize(("path", "fault"), [*LIES, ("/blobs/", {"truncate_to": 3})])
def test_a_bad_registry_leaves_nothing_that_looks_whole(registry, folder, tmp_path, path, fault):
    registry.faults.append(Fault(path=path, method="GET", times=100, **fault))
    with pytest.raises(Error):
        warmed(folder, f"{registry.host}/base:1")
    assert list(Path(folder, "images").iterdir()) == []
    registry.faults.clear()
    warmed(folder, f"{registry.host}/base:1")
    build_reads(folder, registry.host, tmp_path / "home")


def test_the_images_of_a_dockerfile(registry, folder, tmp_path):
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text(
        f"ARG TAG=0\nFROM {registry.host}/base:$TAG AS a\nFROM a\nCOPY --from={registry.host}/other:1 / /\n"
        "FROM scratch AS unused\nCOPY --from=a / /\n"
    )
    warmed(folder, dockerfiles=(str(dockerfile),), build_args={"TAG": "1"})
    images = WarmedImages(folder, ttl=100)
    for name in ("base:1", "other:1"):
        assert images.find(Reference.parse(f"{registry.host}/{name}"), PLATFORM)
    assert len(list(Path(folder, "images").iterdir())) == 2
    dockerfile.write_text("FORM x\n")
    with pytest.raises(InvalidFileError):
        warmed(folder, dockerfiles=(str(dockerfile),))


def test_warmers_side_by_side(registry, folder, tmp_path):
    failures = []

    def run():
        try:
            warmed(folder, f"{registry.host}/base:1", f"{registry.host}/other:1")
        except Error as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    blobs = [path for path in fetched(registry) if path.startswith("sha256:")]
    assert len(blobs) == len(set(blobs)), "each was fetched once"
    build_reads(folder, registry.host, tmp_path / "home")
    assert fetched(registry) == []


def test_a_folder_that_cannot_be_written(registry, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UnfitError, match="cannot write to"):
        warmed(str(tmp_path / "file" / "cache"), f"{registry.host}/base:1")


def test_platforms_have_images_of_their_own(registry, folder):
    request = WarmRequest(
        folder=folder,
        images=(f"{registry.host}/base:1",),
        platforms=("linux/amd64", "linux/arm64"),
        registry=HASTY,
    )
    warm(request, discard)
    assert len(list(Path(folder, "images").iterdir())) == 2
    arm = dataclasses.replace(PLATFORM, architecture="arm64")
    assert WarmedImages(folder, ttl=9).find(Reference.parse(f"{registry.host}/base:1"), arm)


def test_an_image_that_is_named_twice_is_fetched_once(registry, folder, tmp_path):
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text(f"FROM {registry.host}/base:1\n")
    names = [f"{registry.host}/base:1", f"{registry.host}/base:1"]
    warmed(folder, *names, dockerfiles=(str(dockerfile), str(dockerfile)))
    paths = fetched(registry)
    assert len(paths) == len(set(paths)) == 4, "a manifest, a configuration and two layers"


def test_of_an_index_only_the_platforms_that_were_asked_for_are_fetched(registry, folder, tmp_path):
    images = {name: small_image((name.encode(),), f"linux/{name}") for name in ("amd64", "arm64", "s390x")}
    entries = []
    for image, name in zip(images.values(), images, strict=True):
        image.put(registry, "several", name)
        entries.append(dataclasses.replace(image.descriptor, platform=Platform.parse(f"linux/{name}")))
    registry.add_manifest("several", "1", mediatypes.OCI_INDEX, index_bytes(Index(manifests=tuple(entries))))
    name = f"{registry.host}/several:1"
    warm(
        WarmRequest(folder=folder, images=(name,), platforms=("linux/amd64", "linux/arm64"), registry=HASTY),
        discard,
    )
    foreign = images["s390x"]
    assert not {str(foreign.descriptor.digest), *map(str, foreign.blobs)} & set(fetched(registry))
    for platform in ("linux/amd64", "linux/arm64"):
        found = WarmedImages(folder, ttl=9).find(Reference.parse(name), Platform.parse(platform))
        assert found.manifest.digest == images[platform.removeprefix("linux/")].descriptor.digest
    image, _ = build_reads(folder, registry.host, tmp_path / "home", name="several:1")
    assert image.digest == images["amd64"].descriptor.digest
    assert fetched(registry) == [], "the tag was asked for by HEAD"


def test_an_expired_image_whose_tag_has_moved_is_the_new_one(registry, folder, tmp_path):
    warmed(folder, f"{registry.host}/base:1")
    moved = small_image((b"one", b"another")).put(registry, "base", "1")
    fetched(registry)
    warmed(folder, f"{registry.host}/base:1", ttl=-1.0)
    assert len(fetched(registry)) == 3, "of two layers one was here"
    image, contents = build_reads(folder, registry.host, tmp_path / "home")
    assert image.digest == moved.descriptor.digest
    assert len(contents) == 2
    assert fetched(registry) == []


def test_an_expired_image_of_a_registry_that_is_gone_fails_the_warmer_and_stays(registry, folder, tmp_path):
    warmed(folder, f"{registry.host}/base:1")
    fetched(registry)
    registry.faults.append(Fault(path="/v2/", status=503, times=100))
    with pytest.raises(RegistryError):
        warmed(folder, f"{registry.host}/base:1", ttl=-1.0)
    build_reads(folder, registry.host, tmp_path / "home")
    assert fetched(registry) == [], "for a build it is young enough"


def test_a_registry_with_a_password(folder, tmp_path, monkeypatch):
    with FakeRegistry(auth="bearer") as registry:
        registry.users["user"] = "right"
        small_image().put(registry, "base", "1")
        for password in ("wrong", "right"):
            logins = {registry.host: {"auth": base64.b64encode(f"user:{password}".encode()).decode()}}
            monkeypatch.setenv("DOCKER_AUTH_CONFIG", json.dumps({"auths": logins}))
            if password == "wrong":
                with pytest.raises(AuthError) as caught:
                    warmed(folder, f"{registry.host}/base:1")
                assert "wrong" not in f"{caught.value.message} {caught.value.hint}".replace("is wrong", "")
                assert list(Path(folder, "images").iterdir()) == []
            else:
                warmed(folder, f"{registry.host}/base:1")
        fetched(registry)
        build_reads(folder, registry.host, tmp_path / "home")
        assert [path for path in fetched(registry) if path.startswith("sha256:")] == []


def test_an_image_that_another_warmer_has_in_hand_is_waited_for(registry, folder):
    held = WarmedImages(folder, ttl=9)
    done = threading.Event()

    def run():
        warmed(folder, f"{registry.host}/base:1")
        done.set()

    with held.warming(Reference.parse(f"{registry.host}/base:1"), PLATFORM):
        thread = threading.Thread(target=run)
        thread.start()
        warmed(folder, f"{registry.host}/other:1")
        assert not done.wait(0.2)
        assert not any("/base/" in seen.path for seen in registry.requests)
    assert done.wait(30)
    thread.join()
