"""A cache in a registry that is slow, drops, refuses or lies: always a miss and a warning, in bounded time."""

import dataclasses
import io
import time

import pytest

from executor.cache import layercache
from executor.cache.entry import to_image
from executor.cache.layercache import LayerCache
from executor.cache.places import open_place
from executor.errors import Error
from executor.events import Warned
from executor.registry import answers
from executor.registry.client import RegistryClient
from executor.registry.credentials import Keychain
from executor.spec import RegistryOptions, RetryPolicy
from tests.executor.cache.conftest import entry_of
from tests.support.fake_registry import Fault

NOW = 1_000_010.0
READS = ("/manifests/", "/blobs/")
FAULTS = {
    "refuses": {"status": 403},
    "forbids": {"status": 401},
    "is broken": {"status": 500},
    "is busy": {"status": 429, "headers": {"Retry-After": "1000"}},
    "drops": {"drop_after": 0},
    "drops in the middle": {"drop_after": 30},
    "lies": {"content": b'{"schemaVersion": 2, "layers": "what?"}'},
    "talks HTML": {"content": b"<html>please log in</html>"},
    "redirects in a circle": {"redirect_to": ""},
    "is silent": {"delay": 3.0},
}


@pytest.fixture
def told():
    return []


@pytest.fixture
def cache_of(registry, store, told):
    opened = []

    def cache_of(**how):
        client = RegistryClient(
            RegistryOptions(insecure=True), Keychain(), told.append, "push", retry=RetryPolicy(), silence=1.0
        )
        place = open_place(f"{registry.host}/cache", client, store.blobs)
        opened.append((LayerCache([place], [place], told.append, ttl=1e9, clock=lambda: NOW, **how), client))
        return opened[-1][0]

    yield cache_of
    for cache, client in opened:
        cache.close()
        client.close()


@pytest.fixture
def kept(registry, store, layer, image):
    """An entry that the registry has."""
    entry = entry_of(layer)
    made = to_image(entry)
    registry.blobs["cache"].update({str(made.config.digest): made.config_bytes})
    registry.blobs["cache"].update({str(digest): blob for digest, blob in image.blobs.items()})
    registry.add_manifest("cache", entry.key, made.manifest.media_type, made.manifest_bytes)
    return entry


def warnings(told):
    return [event.message for event in told if isinstance(event, Warned)]


def fault_of(name, path, registry, **more):
    how = dict(FAULTS[name])
    if "redirect_to" in how:
        how["redirect_to"] = registry.url
    return Fault(path=path, times=1000, **{**how, **more})


@pytest.mark.parametrize("path", READS)
@pytest.mark.parametrize("name", FAULTS)
def test_reading(cache_of, registry, told, kept, name, path):
    assert cache_of().get(kept.key), "without a fault it is found"
    registry.faults.append(fault_of(name, path, registry))
    began = time.monotonic()
    cache = cache_of()
    lies_late = path == "/blobs/" and name in ("lies", "talks HTML")
    assert cache.get(kept.key) is None or lies_late
    assert cache.get(entry_of(None, name="other").key) is None
    assert time.monotonic() - began < 10
    assert len(warnings(told)) == 1
    registry.faults.clear()
    assert cache_of().get(kept.key)


@pytest.mark.parametrize("path", ["/blobs/uploads/", "/manifests/"])
@pytest.mark.parametrize("name", sorted(set(FAULTS) - {"lies", "talks HTML", "redirects in a circle"}))
def test_writing(cache_of, registry, told, layer, image, name, path):
    methods = ("POST", "PUT", "PATCH") if path == "/blobs/uploads/" else ("PUT",)
    registry.faults += [fault_of(name, path, registry, method=method) for method in methods]
    cache = cache_of()
    for number in range(2):
        entry = dataclasses.replace(entry_of(layer, name=str(number)))
        cache.put(entry, lambda layer: io.BytesIO(image.blobs[layer.descriptor.digest]))
        assert cache.get(entry.key).entry == entry, "this build has it in any case"
    cache.close()
    if name != "drops in the middle" or registry.seen("PUT", "/manifests/") == []:
        assert len(warnings(told)) >= 1
        assert "cannot be written" in warnings(told)[0]


def test_a_cache_that_keeps_a_build_waiting_is_given_up(cache_of, registry, told, kept, monkeypatch):
    monkeypatch.setattr(layercache, "PATIENCE", 0.2)
    registry.faults.append(Fault(path="/manifests/", times=1000, delay=3))
    cache = cache_of()
    began = time.monotonic()
    assert [cache.get(key) for key in (kept.key, "1", "2", "3")] == [None] * 4
    assert time.monotonic() - began < 2.5
    (warning,) = warnings(told)
    assert "does not answer within" in warning


def test_an_answer_that_trickles_in_ends(cache_of, registry, told, kept, monkeypatch):
    monkeypatch.setattr(answers, "BODY_SECONDS", 0.2)
    registry.faults.append(Fault(path="/manifests/", times=1000, trickle=0.05))
    began = time.monotonic()
    assert cache_of().get(kept.key) is None
    assert time.monotonic() - began < 5, "all of it would take 20 s"
    (warning,) = warnings(told)
    assert "did not end its answer" in warning


def test_a_layer_that_lies_is_found_when_it_is_needed(cache_of, registry, kept, layer):
    registry.faults.append(Fault(path=str(layer.descriptor.digest), method="GET", times=1000, content=b"lie"))
    found = cache_of().get(kept.key)
    client = RegistryClient(RegistryOptions(insecure=True), Keychain(), lambda _event: None, "push")
    with client, pytest.raises(Error), client.open_blob(found.entry.layer.source, layer.descriptor) as stream:
        stream.read()
