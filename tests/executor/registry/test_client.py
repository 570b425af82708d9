"""Pulling: manifests and blobs that are verified, through faults of every kind."""

from __future__ import annotations

import io
import json
import os
from dataclasses import replace

import pytest

from executor.errors import ImageError, NotFoundError, RegistryError
from executor.events import Event, RetryScheduled
from executor.image import mediatypes
from executor.image.descriptor import Descriptor
from executor.image.digest import Digest
from executor.image.reference import Reference
from executor.image.verified import LARGEST_DOCUMENT
from executor.spec import RetryPolicy
from tests.executor.registry.conftest import ClientMaker
from tests.support.fake_registry import FakeRegistry, Fault
from tests.support.images import small_image

CONTENT = os.urandom(1_500_000)
BLOB = Descriptor.of(mediatypes.OCI_LAYER_GZIP, CONTENT)

pytestmark = pytest.mark.usefixtures("way")


@pytest.fixture
def app(registry: FakeRegistry) -> str:
    """The name of a repository that has the blob."""
    registry.add_blob("team/app", CONTENT)
    return f"{registry.host}/team/app"


def put(registry: FakeRegistry, content: bytes, media_type: str = mediatypes.OCI_MANIFEST) -> Reference:
    registry.add_manifest("team/app", "1", media_type, content)
    return Reference.parse(f"{registry.host}/team/app:1")


def test_a_manifest_by_tag_and_by_digest(registry: FakeRegistry, client: ClientMaker) -> None:
    content = small_image().manifest.to_bytes()
    reference = put(registry, content)
    found = client().get_manifest(reference)
    assert found.content == content
    assert found.descriptor == Descriptor.of(mediatypes.OCI_MANIFEST, content)
    assert client().get_manifest(reference.with_digest(found.descriptor.digest)) == found
    accepted = registry.requests[0].headers["accept"]
    assert all(kind in accepted for kind in (*mediatypes.MANIFESTS, *mediatypes.INDEXES))


def test_a_manifest_that_is_not_its_digest(registry: FakeRegistry, client: ClientMaker) -> None:
    content = small_image().manifest.to_bytes()
    reference = put(registry, content).with_digest(Digest.of(content))
    registry.faults.append(Fault(path="/manifests/", content=content + b" "))
    with pytest.raises(ImageError, match="has the digest"):
        client().get_manifest(reference)


@pytest.mark.parametrize(
    ("content", "media_type", "complaint"),
    [
        (b'{"schemaVersion": 1}', "application/vnd.docker.distribution.manifest.v1+prettyjws", "schema 1"),
        (b"<html>", "text/html", "malformed"),
        (b"[]", "application/json", "malformed"),
        (b'{"schemaVersion": 2}', mediatypes.OCI_MANIFEST, "malformed"),
        (b'{"schemaVersion": 2, "mediaType": "application/x"}', mediatypes.OCI_MANIFEST, "not a media type"),
    ],
)
def test_what_is_not_a_manifest(
    registry: FakeRegistry, client: ClientMaker, content: bytes, media_type: str, complaint: str
) -> None:
    with pytest.raises(ImageError, match=complaint):
        client().get_manifest(put(registry, content, media_type))


def test_a_huge_manifest_is_not_read_whole(registry: FakeRegistry, client: ClientMaker) -> None:
    reference = put(registry, b" " * (LARGEST_DOCUMENT + 1))
    with pytest.raises(RegistryError, match="more than"):
        client(retry=RetryPolicy()).get_manifest(reference)


def test_looking_up_a_manifest(registry: FakeRegistry, client: ClientMaker) -> None:
    content = small_image().manifest.to_bytes()
    reference = put(registry, content)
    assert client().head_manifest(reference) == Descriptor.of(mediatypes.OCI_MANIFEST, content)
    assert client().head_manifest(Reference.parse(f"{registry.host}/team/app:2")) is None
    registry.faults.append(Fault(path="/manifests/", method="HEAD", status=200))
    assert client().head_manifest(reference) == Descriptor.of(mediatypes.OCI_MANIFEST, content)
    assert registry.requests[-1].method == "GET"


def test_what_is_missing_is_named(registry: FakeRegistry, client: ClientMaker) -> None:
    with pytest.raises(NotFoundError, match=f"cannot pull {registry.host}/team/app:1: .* 404 .MANIFEST_UNKNOWN"):
        client().get_manifest(Reference.parse(f"{registry.host}/team/app:1"))
    with pytest.raises(NotFoundError, match=f"cannot pull blob {BLOB.digest} of {registry.host}/team/app"):
        client().open_blob(f"{registry.host}/team/app", BLOB)


def test_a_busy_registry_is_waited_for(registry: FakeRegistry, client: ClientMaker, events: list[Event]) -> None:
    reference = put(registry, small_image().manifest.to_bytes())
    registry.faults += [Fault(path="/manifests/", status=503), Fault(path="/v2/", drop_after=0, times=2)]
    registry.faults.append(Fault(path="/manifests/", status=429, headers={"Retry-After": "0"}))
    client().get_manifest(reference)
    retries = [event for event in events if isinstance(event, RetryScheduled)]
    assert [event.attempt for event in retries] == [1, 2, 3]
    assert all(event.action == f"pull {reference}" for event in retries)


def test_retries_end(registry: FakeRegistry, client: ClientMaker) -> None:
    reference = put(registry, small_image().manifest.to_bytes())
    registry.faults.append(Fault(path="/manifests/", status=502, times=99))
    with pytest.raises(RegistryError) as caught:
        client().get_manifest(reference)
    assert (caught.value.status, len(registry.requests)) == (502, 4)


@pytest.mark.parametrize("piece", [-1, 1000, 65536, 10**7])
def test_a_blob_in_pieces(app: str, client: ClientMaker, piece: int) -> None:
    with client().open_blob(app, BLOB) as stream:
        assert stream.readable()
        pieces = list(iter(lambda: stream.read(piece), b""))
        assert b"".join(pieces) == CONTENT
        assert stream.read() == b""
    assert all(len(item) == piece for item in pieces[:-1])


def test_a_blob_through_a_buffered_reader(app: str, client: ClientMaker) -> None:
    with client().open_blob(app, BLOB) as stream:
        assert io.BufferedReader(stream, 4096).read() == CONTENT  # type: ignore[type-var]


def test_an_empty_blob(registry: FakeRegistry, client: ClientMaker) -> None:
    registry.add_blob("team/app", b"")
    with client().open_blob(f"{registry.host}/team/app", Descriptor.of("", b"")) as stream:
        assert stream.read() == b""


def read(client: ClientMaker, app: str, *, retry: RetryPolicy | None = None) -> bytes:
    making = client(retry=retry) if retry else client()
    with making.open_blob(app, BLOB) as stream:
        return b"".join(iter(lambda: stream.read(100_000), b""))


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_download_goes_on_where_it_broke(
    registry: FakeRegistry, app: str, client: ClientMaker, events: list[Event], ranges: bool
) -> None:
    registry.ranges = ranges
    registry.faults += [
        Fault(path="/blobs/", drop_after=700_000),
        Fault(path="/blobs/", status=503),
        Fault(path="/blobs/", drop_after=400_000 if ranges else 900_000),
    ]
    assert read(client, app) == CONTENT
    offsets = [request.headers.get("range") for request in registry.requests]
    assert offsets[:3] == [None, "bytes=700000-", "bytes=700000-"]
    assert len(offsets) == 4
    assert len([event for event in events if isinstance(event, RetryScheduled)]) == 3


def test_a_download_that_breaks_without_progress_is_given_up(
    registry: FakeRegistry, app: str, client: ClientMaker
) -> None:
    registry.faults += [Fault(path="/blobs/", drop_after=10, times=99)]
    with pytest.raises(RegistryError, match=r"no answer|ends after") as caught:
        read(client, app)
    assert caught.value.retryable
    assert len(registry.requests) <= 5


def test_a_reader_that_failed_can_go_on(registry: FakeRegistry, app: str, client: ClientMaker) -> None:
    registry.faults.append(Fault(path="/blobs/", drop_after=1000))
    with client(retry=RetryPolicy()).open_blob(app, BLOB) as stream:
        with pytest.raises(RegistryError):
            stream.read(1_200_000)
        assert stream.read() == CONTENT


def test_a_chunked_answer_that_is_too_long(registry: FakeRegistry, app: str, client: ClientMaker) -> None:
    registry.chunked = True
    assert read(client, app) == CONTENT
    registry.faults.append(Fault(path="/blobs/", content=CONTENT + b"x"))
    with pytest.raises(ImageError, match="is longer than the 1500000 bytes"):
        read(client, app)


def test_without_retries_a_broken_download_fails(registry: FakeRegistry, app: str, client: ClientMaker) -> None:
    registry.faults.append(Fault(path="/blobs/", drop_after=1000))
    with pytest.raises(RegistryError):
        read(client, app, retry=RetryPolicy())


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        (Fault(path="/blobs/", content=b"x" * len(CONTENT)), "is not what its digest says"),
        (Fault(path="/blobs/", truncate_to=1000), "has 1000 bytes where 1500000 are expected"),
        (Fault(path="/blobs/", content=CONTENT + b"x"), "has 1500001 bytes where 1500000"),
    ],
)
def test_wrong_content_is_an_error_and_not_tried_again(
    registry: FakeRegistry, app: str, client: ClientMaker, fault: Fault, complaint: str
) -> None:
    registry.faults.append(replace(fault))  # a fault counts how often it has struck
    with pytest.raises(ImageError, match=complaint):
        read(client, app)
    assert len(registry.requests) == 1


def test_the_end_of_a_wrong_blob_is_never_handed_out(
    registry: FakeRegistry, app: str, client: ClientMaker
) -> None:
    registry.faults.append(Fault(path="/blobs/", content=CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])))
    with client().open_blob(app, BLOB) as stream:
        assert len(stream.read(len(CONTENT) - 1)) == len(CONTENT) - 1
        with pytest.raises(ImageError):
            stream.read(1)


def test_a_blob_that_moved_between_tries(registry: FakeRegistry, app: str, client: ClientMaker) -> None:
    registry.faults += [Fault(path="/blobs/", drop_after=700_000), Fault(path="/blobs/", truncate_to=800_000)]
    with pytest.raises(ImageError, match="has 100000 bytes where 800000"):
        read(client, app)


def test_sha512_is_verified_too(registry: FakeRegistry, client: ClientMaker) -> None:
    import hashlib

    digest = Digest.parse("sha512:" + hashlib.sha512(CONTENT).hexdigest())
    registry.blobs["team/app"][digest] = CONTENT
    with client().open_blob(f"{registry.host}/team/app", Descriptor("", digest, len(CONTENT))) as stream:
        assert stream.read() == CONTENT


def test_has_blob(registry: FakeRegistry, app: str, client: ClientMaker) -> None:
    assert client().has_blob(app, BLOB.digest)
    assert not client().has_blob(f"{registry.host}/other", BLOB.digest)
    registry.faults.append(Fault(path="/blobs/", status=403, times=9))
    with pytest.raises(RegistryError, match="403"):
        client().has_blob(app, BLOB.digest)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_name_that_a_registry_refuses_is_asked_for_once(
    status: int, registry: FakeRegistry, client: ClientMaker, events: list[Event]
) -> None:
    registry.faults.append(Fault(path="/manifests/", status=status, times=9))
    with pytest.raises(RegistryError, match=str(status)):
        client().get_manifest(Reference.parse(f"{registry.host}/biuld"))
    assert len(registry.seen("GET", "/manifests/")) == 1
    assert not events


def test_put_manifest_checks_what_was_stored(registry: FakeRegistry, client: ClientMaker) -> None:
    reference = Reference.parse(f"{registry.host}/team/app:1")
    content = small_image().manifest.to_bytes()
    assert client("push").put_manifest(reference, mediatypes.OCI_MANIFEST, content) == Digest.of(content)
    assert registry.manifests["team/app"]["1"] == (mediatypes.OCI_MANIFEST, content)
    pinned = Reference(reference.registry, reference.repository, "", Digest.of(content))
    client("push").put_manifest(pinned, mediatypes.OCI_MANIFEST, content)
    assert registry.requests[-1].path.endswith(Digest.of(content))
    headers = {"Docker-Content-Digest": Digest.of(b"else")}
    registry.faults.append(Fault(path="/manifests/", status=201, headers=headers))
    with pytest.raises(ImageError, match=f"stored {reference} as {Digest.of(b'else')}"):
        client("push").put_manifest(reference, mediatypes.OCI_MANIFEST, content)


def test_errors_are_json_or_not(registry: FakeRegistry, client: ClientMaker) -> None:
    body = json.dumps({"errors": [{"code": "TOOMANYREQUESTS", "message": "slow down"}]}).encode()
    registry.faults.append(Fault(path="/v2/", status=429, body=body, times=99, headers={"Retry-After": "9999"}))
    with pytest.raises(RegistryError, match="TOOMANYREQUESTS: slow down") as caught:
        client().get_manifest(Reference.parse(f"{registry.host}/team/app:1"))
    assert caught.value.codes == ("TOOMANYREQUESTS",)
    assert caught.value.retry_after == 9999
    assert len(registry.requests) == 1
