"""Blobs that are sent before they are whole: the same blob in the end, whatever the registry makes of that."""

from __future__ import annotations

import io
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace

import pytest

from executor import hangup
from executor.errors import ImageError, RegistryError, StoppedError
from executor.events import BlobPushed, Event
from executor.image.descriptor import Descriptor
from executor.image.digest import Digest
from executor.registry import early as sending_early
from executor.registry.push import BlobUploads, PushBlob
from executor.registry.uploads import Outcome
from tests.executor.registry.conftest import ClientMaker, bob
from tests.support.fake_registry import FakeRegistry, Fault

CONTENT = os.urandom(1_000_000)
BLOB = Descriptor.of("", CONTENT)
HELD = 10.0  # seconds; what is held up waits no longer for a test that fails


class Growing:
    """A blob of which half is there before `finish` or `give_up` is called."""

    def __init__(self, content: bytes = CONTENT) -> None:
        self.digest: Digest | None = None
        self.content = content
        self._ended = threading.Event()

    def finish(self) -> None:
        self.digest = Digest.of(self.content)
        self._ended.set()

    def give_up(self) -> None:
        self._ended.set()

    def pieces(self) -> Iterator[bytes]:
        half = len(self.content) // 2
        yield self.content[:half]
        assert self._ended.wait(HELD)
        if self.digest is None:
            raise ImageError("given up")
        yield self.content[half:]


def usual(content: bytes = CONTENT) -> PushBlob:
    """The blob as it is sent when it is whole."""
    return PushBlob(descriptor=Descriptor.of("", content), source="", open=lambda: io.BytesIO(content))


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + HELD
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def send(uploads: BlobUploads, *repositories: str) -> list[Future[Outcome]]:
    """Send early to the first repository, and to all of them when the blob is whole."""
    growing = Growing()
    uploads.begin_early(repositories[0], growing)
    growing.finish()
    return [uploads.begin(repository, usual()) for repository in repositories]


def requests(registry: FakeRegistry) -> list[tuple[str, int]]:
    return [(seen.method, seen.size) for seen in registry.requests if seen.path != "/v2/"]


@pytest.mark.usefixtures("way")
def test_it_is_sent_while_it_is_being_written(
    registry: FakeRegistry, client: ClientMaker, events: list[Event]
) -> None:
    growing = Growing()
    repository = f"{registry.host}/team/app"
    with BlobUploads(client("push")) as uploads:
        uploads.begin_early(repository, growing)
        wait_until(lambda: registry.seen("POST") and registry.arriving)
        growing.finish()
        assert uploads.begin(repository, usual()).result(HELD) == "sent"
    assert registry.blobs["team/app"] == {BLOB.digest: CONTENT}
    assert registry.uploads == {}
    assert sorted(requests(registry)) == [("HEAD", 0), ("PATCH", len(CONTENT)), ("POST", 0), ("PUT", 0)]
    (patch,) = registry.seen("PATCH")
    assert patch.headers["transfer-encoding"] == "chunked"
    assert "content-length" not in patch.headers
    assert [type(event) for event in events] == [BlobPushed]


@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_a_registry_that_wants_a_login(registry: FakeRegistry, client: ClientMaker, auth: str) -> None:
    registry.auth, registry.users = auth, {"bob": "s3cret-of-bob"}  # type: ignore[assignment]
    with BlobUploads(client("push", keychain=bob())) as uploads:
        assert send(uploads, f"{registry.host}/app")[0].result(HELD) == "sent"
    assert [seen.size for seen in registry.seen("PUT")] == [0]


def test_a_token_that_is_no_longer_good_in_the_middle(registry: FakeRegistry, client: ClientMaker) -> None:
    registry.auth, registry.users = "bearer", {"bob": "s3cret-of-bob"}
    challenge = f'Bearer realm="{registry.url}/token",service="fake",scope="repository:app:pull,push"'
    registry.faults.append(Fault(method="PATCH", path="", status=401, headers={"WWW-Authenticate": challenge}))
    with BlobUploads(client("push", keychain=bob())) as uploads:
        assert send(uploads, f"{registry.host}/app")[0].result(HELD) == "sent"
    assert [seen.size for seen in registry.seen("PATCH")] == [len(CONTENT)] * 2
    assert registry.blobs["app"] == {BLOB.digest: CONTENT}


FAULTS = {
    "no upload is begun": Fault(method="POST", path="", status=503),
    "none is begun for this user": Fault(method="POST", path="", status=403),
    "PATCH is refused": Fault(method="PATCH", path="", status=405),
    "a length is wanted": Fault(method="PATCH", path="", status=411),
    "the upload is forgotten": Fault(method="PATCH", path="", status=404),
    "it fails": Fault(method="PATCH", path="", status=500),
    "it asks for a long pause": Fault(method="PATCH", path="", status=429, headers={"Retry-After": "3000"}),
    "it answers what it should not": Fault(method="PATCH", path="", status=200),
    "it hangs up": Fault(method="PATCH", path="", drop_after=0),
    "it does not answer": Fault(method="PATCH", path="", delay=HELD),
    "it has something else": Fault(
        method="PUT", path="", status=400, body=b'{"errors":[{"code":"DIGEST_INVALID"}]}'
    ),
    "it fails at the end": Fault(method="PUT", path="", status=502),
    "it hangs up at the end": Fault(method="PUT", path="", drop_after=0, times=2),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_fails_early_is_sent_in_the_usual_way_and_told_to_nobody(
    registry: FakeRegistry,
    client: ClientMaker,
    events: list[Event],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    way: str,
) -> None:
    monkeypatch.setattr(sending_early, "SILENCE", 0.5)
    registry.faults.append(replace(FAULTS[name]))
    with BlobUploads(client("push")) as uploads:
        assert send(uploads, f"{registry.host}/app")[0].result(HELD) == "sent"
    assert registry.blobs["app"] == {BLOB.digest: CONTENT}
    assert registry.seen("PUT")[-1].size == len(CONTENT)
    assert [type(event) for event in events] == [BlobPushed]


PLACES = ("path", "url", "relative")


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("locates", PLACES)
@pytest.mark.parametrize("early", [True, False])
def test_a_registry_may_name_uploads_as_it_likes(
    registry: FakeRegistry, client: ClientMaker, locates: str, early: bool
) -> None:
    registry.locates = locates  # type: ignore[assignment]
    registry.accepts = {"PATCH"}
    repository = f"{registry.host}/team/app"
    with BlobUploads(client("push")) as uploads:
        sent = send(uploads, repository) if early else [uploads.begin(repository, usual())]
        assert sent[0].result(HELD) == "sent"
    assert registry.blobs["team/app"] == {BLOB.digest: CONTENT}
    assert len(registry.seen("POST")) == (1 if early else 2), "the usual way tries a whole PUT first"


@pytest.mark.parametrize("status", [201, 204])
def test_one_that_takes_it_with_another_status_gets_it_once(
    registry: FakeRegistry, client: ClientMaker, status: int
) -> None:
    """201 is what Amazon ECR says, 204 what Pulp does."""
    registry.statuses["PATCH"] = status
    with BlobUploads(client("push")) as uploads:
        assert send(uploads, f"{registry.host}/app")[0].result(HELD) == "sent"
    assert registry.blobs["app"] == {BLOB.digest: CONTENT}
    assert [seen.size for seen in registry.seen("PUT")] == [0]


def test_one_that_forgets_the_upload_in_between(registry: FakeRegistry, client: ClientMaker) -> None:
    repository = f"{registry.host}/app"
    with BlobUploads(client("push")) as uploads:
        growing = Growing()
        uploads.begin_early(repository, growing)
        growing.finish()
        wait_until(lambda: registry.seen("PATCH"))
        wait_until(lambda: any(registry.uploads.values()))
        registry.uploads.clear()
        assert uploads.begin(repository, usual()).result(HELD) == "sent"
    assert registry.blobs["app"] == {BLOB.digest: CONTENT}
    assert [seen.size for seen in registry.seen("PUT")] == [0, len(CONTENT)]


def test_one_that_keeps_less_than_it_was_sent(registry: FakeRegistry, client: ClientMaker) -> None:
    """As its Range says: it makes no blob of that, and gets all of it in the usual way."""
    registry.keeps_at_most = 1000
    with BlobUploads(client("push")) as uploads:
        assert send(uploads, f"{registry.host}/app")[0].result(HELD) == "sent"
    assert registry.blobs["app"] == {BLOB.digest: CONTENT}
    assert [seen.size for seen in registry.seen("PUT")] == [0, len(CONTENT)]


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("status", [400, 405, 411, 413, 501])
def test_one_that_wants_the_length_beforehand(registry: FakeRegistry, client: ClientMaker, status: int) -> None:
    """It says so at once, and reads nothing of what comes without one."""
    registry.faults.append(Fault(method="PATCH", path="", status=status, times=9, unread=True))
    contents = [os.urandom(100) * 100_000, os.urandom(1000)]  # the first is more than sockets hold
    with BlobUploads(client("push")) as uploads:
        for content in contents:
            growing = Growing(content)
            uploads.begin_early(f"{registry.host}/app", growing)
            growing.finish()
            assert uploads.begin(f"{registry.host}/app", usual(content)).result(HELD) == "sent"
    assert registry.blobs["app"] == {Digest.of(content): content for content in contents}
    assert [seen.size for seen in registry.seen("PUT")] == [len(content) for content in contents]
    (fault,) = registry.faults
    assert fault.times == 8, "it is not asked again"


def test_one_whose_last_answer_is_lost_has_the_blob_and_gets_it_once(
    registry: FakeRegistry, client: ClientMaker
) -> None:
    registry.faults.append(Fault(method="PUT", path="", silently=True, times=2))
    with BlobUploads(client("push")) as uploads:
        assert send(uploads, f"{registry.host}/app")[0].result(HELD) == "sent"
    assert registry.blobs["app"] == {BLOB.digest: CONTENT}
    assert {seen.size for seen in registry.seen("PUT")} == {0}


def test_one_that_sends_the_upload_elsewhere(registry: FakeRegistry, client: ClientMaker) -> None:
    with FakeRegistry() as storage:
        registry.faults.append(Fault(method="PATCH", path="", redirect_to=storage.url))
        with BlobUploads(client("push")) as uploads:
            assert send(uploads, f"{registry.host}/app")[0].result(HELD) == "sent"
    assert registry.blobs["app"] == {BLOB.digest: CONTENT}


def test_the_usual_way_says_what_is_wrong(registry: FakeRegistry, client: ClientMaker) -> None:
    registry.faults.append(Fault(method="POST", path="", status=403, times=99))
    with BlobUploads(client("push")) as uploads, pytest.raises(RegistryError, match=str(BLOB.digest)):
        send(uploads, f"{registry.host}/app")[0].result(HELD)


def test_a_registry_that_refused_once_is_not_asked_again(registry: FakeRegistry, client: ClientMaker) -> None:
    registry.accepts = {"PUT"}
    other = os.urandom(1000)
    with BlobUploads(client("push")) as uploads:
        send(uploads, f"{registry.host}/app")[0].result(HELD)
        uploads.begin_early(f"{registry.host}/app", Growing(other))
        assert uploads.begin(f"{registry.host}/app", usual(other)).result(HELD) == "sent"
    assert len(registry.seen("PATCH")) == 1


def test_what_the_registry_has_already_is_not_stored_again(registry: FakeRegistry, client: ClientMaker) -> None:
    registry.add_blob("app", CONTENT)
    with BlobUploads(client("push")) as uploads:
        growing = Growing()
        uploads.begin_early(f"{registry.host}/app", growing)
        growing.finish()
        wait_until(lambda: registry.seen("PATCH"))
        assert uploads.begin(f"{registry.host}/app", usual()).result(HELD) == "existing"
    wait_until(lambda: registry.uploads == {})
    assert registry.seen("PUT") == []


def test_a_blob_that_is_given_up_leaves_nothing_at_the_registry(
    registry: FakeRegistry, client: ClientMaker
) -> None:
    growing = Growing()
    with BlobUploads(client("push")) as uploads:
        uploads.begin_early(f"{registry.host}/app", growing)
        wait_until(lambda: registry.arriving)
        growing.give_up()
    wait_until(lambda: registry.seen("DELETE"))
    assert (registry.uploads, registry.blobs["app"]) == ({}, {})


def test_closing_does_not_wait_for_a_registry_that_takes_no_more(
    registry: FakeRegistry, client: ClientMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending_early, "_FAREWELL", 0.05)
    registry.faults.append(Fault(method="PATCH", path="", delay=HELD))
    began = time.monotonic()
    with BlobUploads(client("push")) as uploads:
        growing = Growing(bytes(30_000_000))  # more than sockets hold
        uploads.begin_early(f"{registry.host}/app", growing)
        wait_until(lambda: registry.seen("POST"))
    assert time.monotonic() - began < HELD / 2
    growing.give_up()


def test_closing_does_not_wait_for_what_nobody_will_need(
    registry: FakeRegistry, client: ClientMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending_early, "_FAREWELL", 0.05)
    registry.faults.append(Fault(method="PATCH", path="", delay=HELD))
    began = time.monotonic()
    with BlobUploads(client("push")) as uploads:
        (future,) = send(uploads, f"{registry.host}/app")
        wait_until(lambda: registry.seen("HEAD"))
    assert time.monotonic() - began < HELD / 2
    assert isinstance(future.exception(0), RegistryError)
    assert registry.seen("PUT") == []


def test_two_repositories_and_two_registries(registry: FakeRegistry, client: ClientMaker) -> None:
    with FakeRegistry() as other, BlobUploads(client("push")) as uploads:
        growing = Growing()
        for repository in (f"{registry.host}/a", f"{other.host}/a"):
            uploads.begin_early(repository, growing)
        growing.finish()
        names = (f"{registry.host}/a", f"{registry.host}/b", f"{other.host}/a")
        futures = [uploads.begin(name, usual()) for name in names]
        assert [future.result(HELD) for future in futures] == ["sent", "mounted", "sent"]
        assert [len(each.seen("PATCH")) for each in (registry, other)] == [1, 1]
        assert registry.blobs["a"] == registry.blobs["b"] == other.blobs["a"] == {BLOB.digest: CONTENT}


def test_two_blobs_of_one_repository_are_told_apart(registry: FakeRegistry, client: ClientMaker) -> None:
    contents = [CONTENT, os.urandom(500_000)]
    with BlobUploads(client("push")) as uploads:
        growing = [Growing(content) for content in contents]
        for blob in growing:
            uploads.begin_early(f"{registry.host}/app", blob)
        for blob in reversed(growing):
            blob.finish()
            uploads.begin(f"{registry.host}/app", usual(blob.content)).result(HELD)
    assert registry.blobs["app"] == {Digest.of(content): content for content in contents}
    assert [seen.size for seen in registry.seen("PUT")] == [0, 0]


def test_nothing_is_sent_any_more_when_the_build_is_stopped(registry: FakeRegistry, client: ClientMaker) -> None:
    registry.faults.append(Fault(method="PATCH", path="", delay=HELD))
    hangup.begin()
    try:
        with BlobUploads(client("push")) as uploads:
            (future,) = send(uploads, f"{registry.host}/app")
            wait_until(lambda: registry.seen("POST"))
            began = time.monotonic()
            hangup.hang_up(15)
            assert isinstance(future.exception(HELD / 2), StoppedError | RegistryError)
        assert time.monotonic() - began < HELD / 2
    finally:
        hangup.begin()
    assert registry.blobs["app"] == {}
