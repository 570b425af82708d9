"""Places of the layer cache that are slow, drop, refuse, lie or are full: a build goes well, and says so once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from integration.cache.test_layer_cache import MIXED, Builds, builds
from integration.support.flatten import flatten
from integration.support.programs import run
from tests.support.fake_registry import FakeRegistry, Fault

__all__ = ["builds"]

pytestmark = pytest.mark.parametrize("executor", ["overlay"], indirect=True)
FAULTS: dict[str, dict[str, Any]] = {
    "refuses": {"status": 403},
    "wants a password": {"status": 401, "headers": {"WWW-Authenticate": 'Basic realm="x"'}},
    "is broken": {"status": 500},
    "drops": {"drop_after": 0},
    "drops in the middle": {"drop_after": 200},
    "lies": {"content": b'{"schemaVersion": 2, "config": {}, "layers": "what?"}'},
    "is slow": {"trickle": 0.001},
}


@pytest.fixture
def fake() -> Iterator[FakeRegistry]:
    with FakeRegistry() as fake:
        yield fake


@pytest.mark.parametrize("path", ["/manifests/", "/blobs/"])
@pytest.mark.parametrize("name", FAULTS)
def test_reading(builds: Builds, fake: FakeRegistry, name: str, path: str) -> None:
    place = f"{fake.host}/cache"
    first = flatten(builds.cached(MIXED, place))
    fake.faults.append(Fault(path=path, method="GET", times=10_000, **FAULTS[name]))
    second = flatten(builds.cached(MIXED, place, "--no-push-cache"))
    assert second["/one"].sha256 == second["/two"].sha256 == second["/three"].sha256
    if name == "is slow":
        assert second["/one"].sha256 == first["/one"].sha256
        assert all(builds.hits)
        assert builds.warnings == []
        return
    assert second["/one"].sha256 != first["/one"].sha256, "made anew"
    assert 1 <= len(builds.warnings) <= 3, "for each entry once at most"
    assert all("cache" in warning for warning in builds.warnings)


@pytest.mark.parametrize("name", [name for name in FAULTS if name not in ("lies", "drops in the middle")])
def test_writing(builds: Builds, fake: FakeRegistry, name: str) -> None:
    fake.faults += [Fault(path="/v2/", method=method, times=10_000, **FAULTS[name]) for method in ("POST", "PUT")]
    tree = flatten(builds.cached(MIXED, f"{fake.host}/cache"))
    assert tree["/one"].sha256 == tree["/three"].sha256
    if name != "is slow":
        (warning,) = builds.warnings
        assert "cannot be written, so this build does without" in warning


@pytest.mark.parametrize("kind", ["dir", "oci"])
def test_a_full_disk(builds: Builds, kind: str) -> None:
    place = builds.folder / "small"
    place.mkdir()
    (builds.context / "large").write_bytes(bytes(range(256)) * 4000)
    text = "FROM registry.test/busybox\nRUN head -c 300000 /dev/urandom > /large\nRUN true > /small\n"
    run(["mount", "-t", "tmpfs", "-o", "size=100k", "none", place])
    try:
        builds.cached(text, f"{kind}:{place}/cache")
        (warning,) = builds.warnings
        assert "cannot be written" in warning
        assert "No space left" in warning
        builds.cached(text, f"{kind}:{place}/cache")
        assert builds.hits[0] is False, "nothing half written is taken for an entry"
        assert len(builds.warnings) == 1
    finally:
        run(["umount", place])


def test_all_keys_are_looked_up_at_once_before_the_first_step(builds: Builds, fake: FakeRegistry) -> None:
    """The registry answers none before it was asked for all of both stages."""
    steps = "".join(f"RUN echo {number} >> /file\n" for number in range(4))
    text = f"FROM registry.test/busybox AS one\n{steps}FROM registry.test/busybox\nCOPY --from=one /file /copy\n"
    meeting = threading.Barrier(8, timeout=60)
    fake.faults.append(Fault(path="/cache/manifests/", times=8, meet=meeting))
    builds.cached(f"{text}WORKDIR /x\nRUN true\nRUN echo >> /file\n", f"{fake.host}/cache", "--no-push-cache")
    assert not meeting.broken
    assert builds.warnings == []
    assert builds.hits == [False] * 8
