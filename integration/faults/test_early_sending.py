"""A large layer goes out while it is being written; whatever a registry makes of that, the image is the same."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import replace

import pytest

from integration.faults.conftest import Attempt
from tests.support.fake_registry import FakeRegistry, Fault

_COPY = "FROM scratch\nCOPY large /\n"
_NOISE = os.urandom(40 << 20)
_HANG = 30.0
_PROMPT = 5


@pytest.fixture
def fake() -> Iterator[FakeRegistry]:
    with FakeRegistry() as registry:
        yield registry


@pytest.fixture
def large(attempt: Attempt) -> Attempt:
    """An attempt whose context has a file of 40 MiB."""
    (attempt.context / "large").write_bytes(_NOISE)
    os.utime(attempt.context / "large", (0, 0))
    return attempt


def layer_of(fake: FakeRegistry, repository: str) -> str:
    """The digest of the layer of the image `repository:latest`, whose content is what it says."""
    manifest = json.loads(fake.manifests[repository]["latest"][1])
    (layer,) = manifest["layers"]
    assert len(fake.blobs[repository][layer["digest"]]) == layer["size"]
    return str(layer["digest"])


def test_it_is_the_layer_that_is_sent_when_it_is_whole(large: Attempt, fake: FakeRegistry) -> None:
    with FakeRegistry() as other:
        names = (f"{fake.host}/a", f"{fake.host}/b", f"{other.host}/a")
        outcome = large(_COPY, *(f"--destination={name}" for name in names))
        assert outcome.status == 0, outcome.log
        assert [len(each.seen("PATCH")) for each in (fake, other)] == [1, 1]
        assert [seen.size > 1 << 20 for seen in fake.seen("PUT", "/blobs/")] == [False, False]
        early = layer_of(fake, "a")
        assert layer_of(fake, "b") == layer_of(other, "a") == early
    fake.accepts = {"PUT"}
    fake.blobs.clear()
    assert large(_COPY, f"--destination={fake.host}/c").status == 0
    assert layer_of(fake, "c") == early


FAULTS = {
    "it begins no upload": Fault(method="POST", path="/uploads/", status=503),
    "it refuses": Fault(method="PATCH", path="", status=405),
    "it fails": Fault(method="PATCH", path="", status=500),
    "it hangs up": Fault(method="PATCH", path="", drop_after=0),
    "it is slow": Fault(method="PATCH", path="", delay=3),
}


@pytest.mark.parametrize("name", FAULTS)
def test_no_registry_fails_a_build_by_what_it_makes_of_it(large: Attempt, fake: FakeRegistry, name: str) -> None:
    fake.faults.append(replace(FAULTS[name]))
    flags = ["--skip-push-permission-check", "--push-retry=0"]
    outcome = large(_COPY, f"--destination={fake.host}/a", *flags)
    assert outcome.status == 0, outcome.log
    assert not any(word in outcome.log.lower() for word in ("warning", "again", "fail")), outcome.log
    assert layer_of(fake, "a")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_ends_it(large: Attempt, fake: FakeRegistry, number: signal.Signals) -> None:
    fake.faults.append(Fault(method="PATCH", path="", delay=_HANG))
    outcome = large.stopped(
        number, _COPY, f"--destination={fake.host}/a", when=lambda _log: fake.faults[0].times == 0
    )
    assert outcome.status == 128 + number, outcome.log
    assert outcome.seconds < _PROMPT
    assert "Traceback" not in outcome.log


def test_a_build_that_fails_does_not_wait_for_it(large: Attempt, base_host: str, fake: FakeRegistry) -> None:
    fake.faults.append(Fault(method="PATCH", path="", delay=_HANG))
    dockerfile = f"FROM {base_host}/busybox\nCOPY large /\nRUN sleep 1; exit 7\n"
    outcome = large(dockerfile, f"--destination={fake.host}/a")
    assert outcome.status == 7, outcome.log
    assert outcome.seconds < _HANG / 2
    assert fake.faults[0].times == 0, "it was being sent"
    assert fake.manifests["a"] == {}
