"""Pushing: every way a blob can come to a registry, once each, and manifests last."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import BinaryIO

import pytest

from executor.errors import AuthError, ImageError, RegistryError
from executor.events import BlobPushed, Event, PushFinished, PushStarted
from executor.image.descriptor import Descriptor
from executor.image.digest import Digest
from executor.image.layout import index_bytes
from executor.image.manifest import Index
from executor.image.mediatypes import OCI_INDEX
from executor.image.reference import Reference
from executor.registry import uploads as uploading
from executor.registry.client import RegistryClient
from executor.registry.push import (
    BlobUploads,
    PushBlob,
    PushDocument,
    PushSummary,
    check_push_permission,
    push_image,
)
from executor.spec import RetryPolicy
from tests.executor.registry.conftest import ClientMaker
from tests.support.fake_registry import FakeRegistry, Fault
from tests.support.images import SmallImage, small_image

CONTENT = os.urandom(300_000)
BLOB = Descriptor.of("", CONTENT)


def opener(content: bytes = CONTENT) -> Callable[[], BinaryIO]:
    return lambda: io.BytesIO(content)


def push_blobs(image: SmallImage, source: str = "") -> list[PushBlob]:
    descriptors = (image.manifest.config, *image.manifest.layers)
    return [PushBlob(descriptor=d, source=source, open=opener(image.blobs[d.digest])) for d in descriptors]


def push(
    client: RegistryClient, name: str, image: SmallImage, uploads: BlobUploads | None = None, source: str = ""
) -> PushSummary:
    documents = [document(image)]
    return push_image(client, Reference.parse(name), documents, push_blobs(image, source), uploads=uploads)


def document(image: SmallImage) -> PushDocument:
    return PushDocument(image.manifest.media_type, image.manifest.to_bytes())


def upload(client: RegistryClient, registry: FakeRegistry, mount_from: str = "") -> str:
    return client.upload_blob(f"{registry.host}/team/app", BLOB, opener(), mount_from=mount_from)


def sent(registry: FakeRegistry) -> list[tuple[str, int]]:
    return [(seen.method, seen.size) for seen in registry.requests if seen.size]


def test_a_blob_goes_out_in_one_put(registry: FakeRegistry, client: ClientMaker) -> None:
    assert upload(client("push"), registry) == "sent"
    assert registry.blobs["team/app"] == {BLOB.digest: CONTENT}
    assert sent(registry) == [("PUT", len(CONTENT))]
    assert registry.requests[-1].headers["content-length"] == str(len(CONTENT))


def test_an_empty_blob(registry: FakeRegistry, client: ClientMaker) -> None:
    client("push").upload_blob(f"{registry.host}/app", Descriptor.of("", b""), opener(b""))
    assert registry.blobs["app"] == {Digest.of(b""): b""}


def test_refused_whole_it_goes_in_chunks_from_then_on(
    registry: FakeRegistry, client: ClientMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploading, "_CHUNK", 100_000)
    registry.accepts = {"PATCH"}
    pushing = client("push")
    upload(pushing, registry)
    assert registry.blobs["team/app"] == {BLOB.digest: CONTENT}
    chunks = [("PATCH", 100_000)] * 3
    assert sent(registry) == [("PUT", len(CONTENT)), *chunks]
    ranges = [seen.headers["content-range"] for seen in registry.seen("PATCH")]
    assert ranges == ["0-99999", "100000-199999", "200000-299999"]
    upload(pushing, registry)
    assert sent(registry) == [("PUT", len(CONTENT)), *chunks, *chunks]


def test_refused_in_chunks_it_goes_whole_again(registry: FakeRegistry, client: ClientMaker) -> None:
    pushing = client("push")
    registry.accepts = {"PATCH"}
    upload(pushing, registry)
    registry.accepts = {"PUT"}
    upload(pushing, registry)
    assert [method for method, _ in sent(registry)] == ["PUT", "PATCH", "PATCH", "PUT"]


def test_refused_both_ways_the_first_refusal_is_told(registry: FakeRegistry, client: ClientMaker) -> None:
    registry.accepts = set()
    registry.faults.append(Fault(path="/uploads/", method="PUT", status=413))
    with pytest.raises(RegistryError) as caught:
        upload(client("push"), registry)
    assert caught.value.status == 413


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
@pytest.mark.parametrize("status", [201, 202, 204])
def test_other_ways_to_say_that_all_went_well(
    registry: FakeRegistry, client: ClientMaker, method: str, status: int
) -> None:
    registry.statuses[method] = status
    registry.accepts = {method}
    image = small_image()
    push(client("push"), f"{registry.host}/team/app:1", image)
    assert registry.manifests["team/app"]["1"][1] == image.manifest.to_bytes()
    assert registry.blobs["team/app"] == image.blobs


def test_a_refused_beginning_is_not_asked_for_again(registry: FakeRegistry, client: ClientMaker) -> None:
    registry.faults.append(Fault(path="/uploads/", method="POST", status=404, times=9))
    with pytest.raises(RegistryError, match="404"):
        upload(client("push"), registry)
    assert len(registry.requests) == 1


def test_the_least_chunk_of_the_registry_is_kept(
    registry: FakeRegistry, client: ClientMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploading, "_CHUNK", 50_000)
    registry.accepts = {"PATCH"}
    pushing = client("push")
    registry.chunk_minimum = 120_000
    upload(pushing, registry)
    assert [size for method, size in sent(registry) if method == "PATCH"] == [50_000, 120_000, 120_000, 10_000]


@pytest.mark.parametrize("minimum", ["²", "9" * 5000, "many"])
def test_a_least_chunk_that_is_no_number_is_none(
    registry: FakeRegistry, client: ClientMaker, monkeypatch: pytest.MonkeyPatch, minimum: str
) -> None:
    monkeypatch.setattr(uploading, "_CHUNK", 150_000)
    registry.accepts = {"PATCH"}
    pushing = client("push")
    registry.chunk_minimum = minimum
    upload(pushing, registry)
    assert [size for method, size in sent(registry) if method == "PATCH"] == [150_000, 150_000]


@pytest.mark.parametrize("content", [CONTENT[:-1], b"", CONTENT[:-1] + b"?"])
def test_a_blob_that_is_not_its_descriptor_is_not_uploaded(
    registry: FakeRegistry, client: ClientMaker, content: bytes
) -> None:
    with pytest.raises((ImageError, RegistryError)) as caught:
        client("push").upload_blob(f"{registry.host}/team/app", BLOB, opener(content))
    assert registry.blobs["team/app"] == {}
    assert not caught.value.retryable


def test_a_disk_that_fails_is_not_a_network_that_fails(registry: FakeRegistry, client: ClientMaker) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(ImageError, match=r"cannot read blob .*: Input/output error"):
        client("push").upload_blob(f"{registry.host}/team/app", BLOB, Broken)


@pytest.mark.parametrize(
    "fault", [{"status": 503}, {"drop_after": 0}, {"status": 429, "headers": {"Retry-After": "0"}}]
)
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_failed_upload_is_tried_again(
    registry: FakeRegistry, client: ClientMaker, method: str, fault: dict[str, object]
) -> None:
    registry.faults.append(Fault(path="/uploads/", method=method, times=2, **fault))  # type: ignore[arg-type]
    assert upload(client("push"), registry) == "sent"


def test_without_retries_it_fails(registry: FakeRegistry, client: ClientMaker) -> None:
    registry.faults.append(Fault(path="/uploads/", status=503))
    with pytest.raises(RegistryError):
        upload(client("push", retry=RetryPolicy()), registry)


def test_an_expired_login_sends_the_body_again(registry: FakeRegistry, client: ClientMaker) -> None:
    from tests.executor.registry.conftest import bob

    registry.auth = "bearer"
    registry.users["bob"] = "s3cret-of-bob"
    challenge = {"WWW-Authenticate": f'Bearer realm="{registry.url}/token",service="fake"'}
    registry.faults.append(Fault(path="/uploads/", method="PUT", status=401, headers=challenge))
    upload(client("push", keychain=bob()), registry)
    assert sent(registry) == [("PUT", len(CONTENT))] * 2


def test_a_mount_sends_nothing(registry: FakeRegistry, client: ClientMaker) -> None:
    registry.add_blob("base/image", CONTENT)
    assert upload(client("push"), registry, f"{registry.host}/base/image") == "mounted"
    assert registry.blobs["team/app"] == {BLOB.digest: CONTENT}
    assert [(seen.method, seen.query.get("from")) for seen in registry.requests] == [("POST", "base/image")]


def test_an_ignored_mount_becomes_an_upload(registry: FakeRegistry, client: ClientMaker) -> None:
    registry.add_blob("base/image", CONTENT)
    registry.mounts = False
    assert upload(client("push"), registry, f"{registry.host}/base/image") == "sent"
    assert [seen.method for seen in registry.requests] == ["POST", "PUT"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405])
def test_a_refused_mount_becomes_an_upload(registry: FakeRegistry, client: ClientMaker, status: int) -> None:
    registry.faults.append(Fault(path="mount=", status=status))
    assert upload(client("push"), registry, f"{registry.host}/base/image") == "sent"


def test_nothing_is_mounted_from_elsewhere_or_itself(registry: FakeRegistry, client: ClientMaker) -> None:
    for source in ("registry.example.com/base/image", f"{registry.host}/team/app"):
        assert upload(client("push"), registry, source) == "sent"
    assert not any("mount" in seen.query for seen in registry.requests)


def test_an_image_arrives_with_its_manifest_last(
    registry: FakeRegistry, client: ClientMaker, events: list[Event]
) -> None:
    image = small_image()
    name = f"{registry.host}/team/app:1"
    summary = push(client("push"), name, image)
    size = sum(len(blob) for blob in image.blobs.values())
    assert summary == PushSummary(digest=image.descriptor.digest, sent=3, mounted=0, existing=0, size=size)
    assert registry.blobs["team/app"] == dict(image.blobs)
    puts = registry.seen("PUT")
    assert puts[-1].path == "/v2/team/app/manifests/1"
    started, *blobs, finished = events
    assert started == PushStarted(reference=name)
    told = {(blob.repository, blob.digest, blob.size, blob.how) for blob in blobs if isinstance(blob, BlobPushed)}
    assert told == {
        (f"{registry.host}/team/app", digest, len(content), "sent") for digest, content in image.blobs.items()
    }
    assert isinstance(finished, PushFinished)
    assert (finished.reference, finished.sent, finished.digest) == (name, 3, image.descriptor.digest)


def test_what_is_there_is_not_sent_again(registry: FakeRegistry, client: ClientMaker) -> None:
    image = small_image()
    registry.faults.append(Fault(path="/manifests/", status=503, times=99))
    with pytest.raises(RegistryError):
        push(client("push"), f"{registry.host}/team/app:1", image)
    registry.faults.clear()
    registry.requests.clear()
    summary = push(client("push"), f"{registry.host}/team/app:1", image)
    assert (summary.sent, summary.existing, summary.size) == (0, 3, 0)
    assert registry.seen("POST") == []


def test_the_base_is_mounted_from_where_it_came(registry: FakeRegistry, client: ClientMaker) -> None:
    image = small_image()
    for content in image.blobs.values():
        registry.add_blob("base/image", content)
    summary = push(client("push"), f"{registry.host}/team/app:1", image, source=f"{registry.host}/base/image")
    assert (summary.sent, summary.mounted) == (0, 3)


@pytest.mark.parametrize("mounts", [True, False])
def test_destinations_share_what_was_uploaded(registry: FakeRegistry, client: ClientMaker, mounts: bool) -> None:
    registry.mounts = mounts
    image = small_image()
    with FakeRegistry() as other, BlobUploads(client("push")) as uploads:
        pushing = client("push")
        names = [f"{registry.host}/a:1", f"{registry.host}/a:2", f"{registry.host}/b:1", f"{other.host}/a:1"]
        summaries = [push(pushing, name, image, uploads) for name in names]
        assert [(s.sent, s.mounted) for s in summaries[2:]] == [(0, 3) if mounts else (3, 0), (3, 0)]
        bodies = registry.seen("PUT", "/uploads/")
        assert len(bodies) == (3 if mounts else 6)
        assert set(registry.manifests["a"]) >= {"1", "2"}
        assert other.blobs["a"] == registry.blobs["a"] == registry.blobs["b"]


def test_a_layer_may_go_out_before_the_image_is_complete(registry: FakeRegistry, client: ClientMaker) -> None:
    image = small_image()
    blobs = push_blobs(image)
    pushing = client("push")
    repository = f"{registry.host}/team/app"
    with BlobUploads(pushing) as uploads:
        first = uploads.begin(repository, blobs[1])
        assert uploads.begin(repository, blobs[1]) is first
        assert first.result() == "sent"
        push(pushing, f"{repository}:1", image, uploads)
        assert len(registry.seen("PUT", "/uploads/")) == 3


def test_a_failed_upload_is_begun_anew(registry: FakeRegistry, client: ClientMaker) -> None:
    blob = PushBlob(descriptor=BLOB, source="", open=opener())
    repository = f"{registry.host}/team/app"
    registry.faults.append(Fault(path="/uploads/", status=403))
    with BlobUploads(client("push")) as uploads:
        with pytest.raises(AuthError):
            uploads.begin(repository, blob).result()
        assert uploads.begin(repository, blob).result() == "sent"


def test_who_else_wants_a_blob_waits_for_it_to_be_there(registry: FakeRegistry, client: ClientMaker) -> None:
    gate = threading.Event()

    def slow() -> BinaryIO:
        assert gate.wait(20)
        return io.BytesIO(CONTENT)

    blob = PushBlob(descriptor=BLOB, source="", open=slow)
    with BlobUploads(client("push")) as uploads, ThreadPoolExecutor(1) as pool:
        assert uploads.holder(registry.host, BLOB.digest) == ""
        uploads.begin(f"{registry.host}/a", blob)
        asked = pool.submit(uploads.holder, registry.host, BLOB.digest)
        assert not wait([asked], timeout=0.1).done
        gate.set()
        assert asked.result(20) == f"{registry.host}/a"
        assert uploads.holder("other.example", BLOB.digest) == ""


def test_nobody_has_a_blob_that_could_not_be_sent(registry: FakeRegistry, client: ClientMaker) -> None:
    registry.faults.append(Fault(path="/uploads/", status=403))
    with BlobUploads(client("push")) as uploads:
        uploads.begin(f"{registry.host}/a", PushBlob(descriptor=BLOB, source="", open=opener()))
        assert uploads.holder(registry.host, BLOB.digest) == ""


def test_a_mount_does_not_wait_for_a_thread_that_waits_for_it(registry: FakeRegistry, client: ClientMaker) -> None:
    gate = threading.Event()

    def slow() -> BinaryIO:
        assert gate.wait(20)
        return io.BytesIO(CONTENT)

    blob = PushBlob(descriptor=BLOB, source="", open=slow)
    with BlobUploads(client("push"), threads=2) as uploads:
        futures = [uploads.begin(f"{registry.host}/{name}", blob) for name in "abcdef"]
        gate.set()
        assert [future.result(30) for future in futures] == ["sent", *["mounted"] * 5]


def test_foreign_layers_stay_where_they_are(registry: FakeRegistry, client: ClientMaker) -> None:
    image = small_image((b"1",))
    layer = image.manifest.layers[0]
    foreign = Descriptor(layer.media_type, layer.digest, layer.size, urls=("https://else.example/layer",))
    blobs = [PushBlob(descriptor=foreign, source="", open=opener()), push_blobs(image)[0]]
    push_image(client("push"), Reference.parse(f"{registry.host}/app:1"), [document(image)], blobs)
    assert set(registry.blobs["app"]) == {image.manifest.config.digest}


def test_the_manifests_of_an_index_get_no_names(registry: FakeRegistry, client: ClientMaker) -> None:
    images = [small_image((b"1",)), small_image((b"1", b"2"))]
    entries = tuple(Descriptor.of(image.manifest.media_type, image.manifest.to_bytes()) for image in images)
    index = PushDocument(OCI_INDEX, index_bytes(Index(manifests=entries)))
    blobs = [blob for image in images for blob in push_blobs(image)]
    reference = Reference.parse(f"{registry.host}/app:1")
    summary = push_image(client("push"), reference, [*map(document, images), index], blobs)
    puts = [seen.path.rpartition("/")[2] for seen in registry.requests if "/manifests/" in seen.path]
    assert puts == [*(entry.digest for entry in entries), "1"]
    assert summary.digest == Digest.of(index.content)
    assert summary.sent == len({blob.descriptor.digest for blob in blobs})


def test_a_failing_layer_fails_the_push_without_a_manifest(registry: FakeRegistry, client: ClientMaker) -> None:
    registry.faults.append(Fault(path="/uploads/", method="PUT", status=403, times=99))
    with pytest.raises(AuthError):
        push(client("push"), f"{registry.host}/team/app:1", small_image())
    assert registry.manifests["team/app"] == {}


def test_the_permission_to_push_is_asked_for_and_nothing_is_left(
    registry: FakeRegistry, client: ClientMaker
) -> None:
    reference = Reference.parse(f"{registry.host}/team/app:1")
    check_push_permission(client("push"), reference)
    assert [seen.method for seen in registry.requests] == ["POST", "DELETE"]
    assert registry.uploads == {}
    registry.faults.append(Fault(path="/uploads/", method="DELETE", status=405))
    check_push_permission(client("push"), reference)
    registry.faults.append(Fault(path="/uploads/", status=403))
    with pytest.raises(AuthError, match=f"cannot push to {registry.host}/team/app: .* 403"):
        check_push_permission(client("push"), reference)
