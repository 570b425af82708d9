"""Uploads that break off: what the registry has kept is not sent again, what it has not is."""

import io
import random

import pytest

from executor.errors import RegistryError
from executor.events import RetryScheduled
from executor.image.descriptor import Descriptor
from executor.image.mediatypes import OCI_LAYER
from executor.registry.client import RegistryClient
from executor.registry.credentials import Keychain
from executor.spec import RegistryOptions, RetryPolicy
from tests.support.cutting_proxy import CuttingProxy
from tests.support.fake_registry import FakeRegistry, Fault

MIB = 1024 * 1024
CONTENT = random.Random(0).randbytes(8 * MIB)
BLOB = Descriptor.of(OCI_LAYER, CONTENT)


@pytest.fixture
def registry():
    with FakeRegistry() as server:
        server.keeps_broken = True
        yield server


def upload(registry, cuts, *, content=CONTENT, retries=5):
    """Upload through connections that are cut: the bytes sent in all, and how often it was tried again."""
    retried = []
    blob = Descriptor.of(OCI_LAYER, content)
    host, _, port = registry.host.partition(":")
    with (
        CuttingProxy((host, int(port)), [int(cut * MIB) for cut in cuts]) as proxy,
        RegistryClient(
            RegistryOptions(insecure=True),
            Keychain(),
            lambda event: retried.append(event) if isinstance(event, RetryScheduled) else None,
            "push",
            retry=RetryPolicy(retries=retries, initial_wait=0.01, max_wait=0.01),
        ) as client,
    ):
        assert client.upload_blob(f"{proxy.host}/a", blob, lambda: io.BytesIO(content)) == "sent"
        return proxy.sent, len(retried)


@pytest.mark.parametrize("cuts", [[], [7], [3, 2], [1, 1, 1, 1]])
def test_what_has_arrived_is_not_sent_again(registry, cuts):
    sent, retried = upload(registry, cuts)
    assert registry.blobs["a"] == {BLOB.digest: CONTENT}
    assert retried == len(cuts)
    assert sent <= (8.1 + 0.8 * len(cuts)) * MIB  # a cut loses what the registry had not yet read
    assert len(registry.seen("POST")) == 1


def test_a_registry_that_does_not_say_what_it_has(registry):
    registry.keeps_broken = False
    sent, _ = upload(registry, [6])
    assert registry.blobs["a"] == {BLOB.digest: CONTENT}
    assert sent > 14 * MIB
    assert len(registry.seen("POST")) == 2


@pytest.mark.parametrize("status", [404, 400, 405])
def test_a_registry_that_has_thrown_it_away(registry, status):
    registry.faults.append(Fault(method="GET", path="/blobs/uploads/", status=status))
    sent, _ = upload(registry, [6])
    assert registry.blobs["a"] == {BLOB.digest: CONTENT}
    assert sent > 14 * MIB


@pytest.mark.parametrize("said", ["0-99999999", "0-0", "", "junk", "5-10"])
def test_a_registry_that_says_nonsense(registry, said):
    registry.faults.append(Fault(method="GET", path="/blobs/uploads/", status=204, headers={"Range": said}))
    upload(registry, [6])
    assert registry.blobs["a"] == {BLOB.digest: CONTENT}


def test_a_registry_that_has_kept_something_else(registry):
    """It notices at the end, by the digest, and all is sent anew."""
    broken = Fault(method="GET", path="/blobs/uploads/", status=204, headers={"Range": "0-99"})
    registry.faults.append(broken)
    upload(registry, [6])
    assert registry.blobs["a"] == {BLOB.digest: CONTENT}
    assert len(registry.seen("POST")) == 2


def test_a_registry_that_is_away_for_a_while(registry):
    registry.faults.append(Fault(method="GET", path="/blobs/uploads/", status=503, times=2))
    sent, retried = upload(registry, [6])
    assert retried == 3
    assert sent < 9 * MIB


def test_small_blobs_are_sent_again(registry):
    upload(registry, [0.5], content=CONTENT[:MIB])
    assert not registry.seen("GET", "/blobs/uploads/")


def test_the_tries_end(registry):
    with pytest.raises(RegistryError):
        upload(registry, [1, 1, 1], retries=2)
