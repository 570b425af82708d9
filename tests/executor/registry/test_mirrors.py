"""Pulls ask mirrors in order, then the registry itself: what is told, what is asked, and with whose password."""

import base64
import json

import pytest

from executor.errors import NotFoundError, RegistryError
from executor.events import Warned, discard
from executor.image.platform import Platform
from executor.image.reference import Reference
from executor.registry.credentials import Keychain
from executor.registry.mirrors import Mirrors
from executor.registry.pull import resolve
from executor.spec import RegistryOptions
from tests.support.fake_registry import FakeRegistry, Fault
from tests.support.images import small_image

IMAGE = small_image()
PLATFORM = Platform.parse("linux/amd64")
ORIGINAL = "registry.invalid"


@pytest.fixture
def other():
    with FakeRegistry() as registry:
        yield registry


def mirrored(*mirrors, host=ORIGINAL, only=True):
    return RegistryOptions(mirrors={host: mirrors}, mirrors_only=only)


def pull(client, name):
    """The image's manifest and the content of its layers, as builds get them."""
    reference = Reference.parse(name)
    found = resolve(client, reference, PLATFORM)
    for layer in IMAGE.manifest.layers:
        with client.open_blob(reference.name, layer) as stream:
            assert stream.read() == IMAGE.blobs[layer.digest]
    assert found.descriptor.digest == IMAGE.descriptor.digest
    return found


def warnings(events):
    return [event.message for event in events if isinstance(event, Warned)]


@pytest.mark.parametrize(
    ("host", "mirror", "name", "places"),
    [
        ("docker.io", "m:5000", "alpine", ("m:5000/library/alpine", "docker.io/library/alpine")),
        ("index.docker.io", "m/hub/", "a/b", ("m/hub/a/b", "docker.io/a/b")),
        ("Quay.io", "m", "quay.io/a", ("m/a", "quay.io/a")),
        ("quay.io", "m", "alpine", ("docker.io/library/alpine",)),
    ],
)
def test_places(host, mirror, name, places):
    reference = Reference.parse(name)
    assert Mirrors(mirrored(mirror, host=host, only=False), discard).places(reference.name) == places
    left = places[:-1] or places
    assert Mirrors(mirrored(mirror, host=host), discard).places(reference.name) == left


def test_two_names_of_docker_hub_have_their_mirrors_together():
    options = RegistryOptions(mirrors={"docker.io": ("a",), "index.docker.io": ("b",)})
    assert Mirrors(options, discard).places("docker.io/x/y") == ("a/x/y", "b/x/y", "docker.io/x/y")


def test_the_original_is_not_asked_when_a_mirror_serves(registry, other, client, events):
    IMAGE.put(registry, "hub/app", "1")
    found = pull(
        client(options=mirrored(f"{registry.host}/hub", host=other.host, only=False)), f"{other.host}/app:1"
    )
    assert str(found.reference).startswith(f"{other.host}/app:1@")
    assert other.requests == []
    assert warnings(events) == []


@pytest.mark.parametrize(
    "fault", [None, Fault(path="/manifests/", status=503, times=1), Fault(path="/", drop_after=0)]
)
def test_the_next_place_is_asked_when_a_mirror_fails_or_lacks_the_image(registry, other, client, events, fault):
    """Told of once; what comes after goes to the place that served, not to the mirror again."""
    registry.faults += [fault] if fault else []
    IMAGE.put(other, "app", "1")
    pull(client(options=mirrored(registry.host, host=other.host, only=False)), f"{other.host}/app:1")
    (told,) = warnings(events)
    assert told.startswith(f"{other.host}/app is not had from {registry.host}/app: ")
    assert len(registry.seen("GET")) <= 1


def test_a_mirror_may_lack_a_layer_or_break_off(registry, other, client):
    IMAGE.put(registry, "app", "1")
    IMAGE.put(other, "app", "1")
    first, second = (layer.digest for layer in IMAGE.manifest.layers)
    del registry.blobs["app"][first]
    registry.faults.append(Fault(method="GET", path=f"/blobs/{second}", drop_after=10, times=9))
    pull(client(options=mirrored(registry.host, other.host)), f"{ORIGINAL}/app:1")


def test_looking_up(registry, other, client, events):
    IMAGE.put(other, "app", "1")
    looking = client(options=mirrored(registry.host, other.host))
    assert looking.head_manifest(Reference.parse(f"{ORIGINAL}/app:1")) == IMAGE.descriptor
    assert looking.head_manifest(Reference.parse(f"{ORIGINAL}/none:1")) is None
    assert len(warnings(events)) == 2


def test_mirrors_only(registry, other, client):
    IMAGE.put(other, "app", "1")
    alone = client(options=mirrored(registry.host, host=other.host))
    with pytest.raises(NotFoundError, match=f"cannot pull {registry.host}/app:1") as caught:
        alone.get_manifest(Reference.parse(f"{other.host}/app:1"))
    assert "no mirror" in caught.value.hint
    assert other.requests == []
    with pytest.raises(NotFoundError) as caught:
        alone.get_manifest(Reference.parse(f"{registry.host}/app:1"))
    assert "no mirror" not in caught.value.hint


def test_all_places_together_are_tried_again(registry, other, client):
    IMAGE.put(other, "app", "1")
    registry.faults.append(Fault(path="/manifests/", status=503, times=9))
    other.faults.append(Fault(path="/manifests/", status=503, times=1))
    pull(client(options=mirrored(registry.host, other.host)), f"{ORIGINAL}/app:1")


def test_each_place_gets_its_own_password_and_no_other(registry, other, client):
    other.auth, other.users = "basic", {"bob": "for-the-mirror"}
    IMAGE.put(other, "app", "1")
    logins = {ORIGINAL: "bob:for-the-original", other.host: "bob:for-the-mirror"}
    auths = {host: {"auth": base64.b64encode(login.encode()).decode()} for host, login in logins.items()}
    keychain = Keychain.from_environment({"DOCKER_AUTH_CONFIG": json.dumps({"auths": auths})})
    pull(client(options=mirrored(registry.host, other.host), keychain=keychain), f"{ORIGINAL}/app:1")
    assert all("authorization" not in seen.headers for seen in registry.requests)
    given = {seen.headers.get("authorization", "") for seen in other.requests} - {""}
    assert given == {f"Basic {auths[other.host]['auth']}"}


def test_pushes_go_to_the_registry_itself(registry, other, client):
    pushing = client("push", options=mirrored(registry.host, host=other.host))
    manifest = IMAGE.manifest
    pushing.put_manifest(Reference.parse(f"{other.host}/app:1"), manifest.media_type, manifest.to_bytes())
    assert pushing.head_manifest(Reference.parse(f"{other.host}/app:1")) == IMAGE.descriptor
    assert registry.requests == []


def test_a_failing_registry_is_reported_as_without_mirrors(registry, other, client):
    other.faults.append(Fault(path="/manifests/", status=503, times=99))
    with pytest.raises(RegistryError, match=f"cannot pull {other.host}/app:1: .* 503"):
        client(options=mirrored(registry.host, host=other.host, only=False)).get_manifest(
            Reference.parse(f"{other.host}/app:1")
        )
