"""Builds whose push fails or waits, and the push that makes up for it: against a registry that fails on demand."""

import json

import pytest

from executor.build.build import build
from executor.build.output.pushing import push, waiting_images
from executor.errors import AuthError, ImageError, PushError
from executor.events import StageStarted, StepStarted, Warned, discard
from executor.spec import BuildSpec, OutputSpec, PushSpec, RegistryOptions, RetryPolicy, RootfsOptions
from tests.support.fake_registry import FakeRegistry, Fault


@pytest.fixture
def registry():
    with FakeRegistry() as server:
        yield server


@pytest.fixture
def build_image(tmp_path, registry):
    """Build an image without a RUN, thus without root; `destinations` are `repository:tag`."""
    (tmp_path / "Dockerfile").write_text("FROM scratch\nLABEL a=b\n")

    def build_it(*destinations, sink=discard, dockerfile=None, **output):
        if dockerfile:
            (tmp_path / "Dockerfile").write_text(dockerfile)
        spec = BuildSpec(
            name="app",
            context=str(tmp_path),
            context_excludes=(str(tmp_path / "home"),),
            registry=RegistryOptions(insecure=True),
            rootfs=RootfsOptions(home=str(tmp_path / "home")),
            output=OutputSpec(
                destinations=tuple(f"{registry.host}/{name}" for name in destinations), keep="app-1", **output
            ),
        )
        return build(spec, sink)

    return build_it


@pytest.fixture
def home(tmp_path):
    return str(tmp_path / "home")


def waiting(home):
    return {image.keep: [name.partition("/")[2] for name in image.destinations] for image in waiting_images(home)}


def tags(registry):
    return {f"{name}:{tag}" for name, held in registry.manifests.items() for tag in held if ":" not in tag}


def forbid(path, times=99):
    return Fault(method="PUT", path=path, status=403, times=times)


def test_nothing_waits_when_all_went_well(build_image, registry, home):
    """Whatever the form of a name."""
    result = build_image("a:1", "b")
    assert len(result.pushed) == 2
    assert waiting(home) == {}
    assert tags(registry) == {"a:1", "b:latest"}


def test_what_could_not_be_pushed_waits_and_is_pushed_later(build_image, registry, home):
    registry.faults.append(forbid("/v2/b/manifests"))
    with pytest.raises(PushError, match="1 of 2 pushes failed"):
        build_image("a:1", "b:1")
    assert waiting(home) == {"app-1": ["b:1"]}
    with pytest.raises(PushError, match="not pushed to"):
        push(PushSpec(name="app", keep="app-1", home=home), discard)
    assert waiting(home) == {"app-1": ["b:1"]}
    registry.faults.clear()
    result = push(PushSpec(name="app", keep="app-1", home=home), discard)
    assert [name.rpartition("@")[0].partition("/")[2] for name in result.pushed] == ["b:1"]
    assert (waiting(home), tags(registry)) == ({}, {"a:1", "b:1"})


def test_a_push_that_will_be_refused_fails_the_build_before_its_first_step(build_image, registry):
    registry.faults.append(Fault(method="POST", path="/v2/a/blobs/uploads", status=403, times=99))
    seen = []
    with pytest.raises(AuthError):
        build_image("a:1", sink=seen.append)
    assert [event for event in seen if isinstance(event, StageStarted | StepStarted)] == []


def test_a_push_that_waits_leaves_no_manifest(build_image, registry, home, tmp_path):
    result = build_image("a:1", defer=True, digest_file=str(tmp_path / "digest"))
    assert (result.pushed, waiting(home), registry.manifests) == ((), {"app-1": ["a:1"]}, {})
    assert len(registry.blobs["a"]) == 1
    assert not (tmp_path / "digest").exists()
    push(PushSpec(name="app", keep="app-1", home=home, phase="content"), discard)
    assert registry.manifests == {}
    assert push(PushSpec(name="app", keep="app-1", home=home), discard).digest == result.digest
    assert tags(registry) == {"a:1"}
    assert (tmp_path / "digest").read_text() == result.digest


def test_content_that_cannot_be_sent_yet_does_not_fail_a_build_that_waits(build_image, registry, home):
    registry.faults.append(Fault(method="POST", path="/v2/a/blobs/uploads", status=403, times=99))
    seen = []
    build_image("a:1", sink=seen.append, defer=True, check_push=False)
    assert any(isinstance(event, Warned) and "403" in event.message for event in seen)
    with pytest.raises(PushError):
        push(PushSpec(name="app", keep="app-1", home=home, phase="content"), discard)
    registry.faults.clear()
    push(PushSpec(name="app", keep="app-1", home=home), discard)
    assert tags(registry) == {"a:1"}


def test_the_policy_of_the_build_is_kept(build_image, registry, home):
    registry.faults.append(forbid("/v2/a/manifests", times=1))
    with pytest.raises(PushError):
        build_image("a:1", push_retry=RetryPolicy(retries=2, initial_wait=0.01))
    registry.faults.append(Fault(method="PUT", path="/v2/a/manifests", status=503, times=2))
    push(PushSpec(name="app", keep="app-1", home=home), discard)
    assert tags(registry) == {"a:1"}


def test_a_newer_build_is_what_is_pushed(build_image, registry, home):
    registry.faults.append(forbid("/v2/a/manifests", times=2))
    with pytest.raises(PushError):
        build_image("a:1")
    with pytest.raises(PushError):
        build_image("a:1", dockerfile="FROM scratch\nLABEL a=c\n")
    (image,) = waiting_images(home)
    result = push(PushSpec(name="app", keep="app-1", home=home), discard)
    assert result.digest == image.digest
    assert b'"a":"c"' in next(content for content in registry.blobs["a"].values() if b'"a":"c"' in content)


def test_layers_of_a_base_that_were_never_here(build_image, registry, home):
    """The base's layer is in another repository of the registry; the store never had it."""
    build_image("base:1", dockerfile="FROM scratch\nCOPY Dockerfile /\n")
    layer = next(digest for digest, content in registry.blobs["base"].items() if content[:2] == b"\x1f\x8b")
    registry.faults.append(forbid("/v2/app/manifests", times=1))
    with pytest.raises(PushError):
        build_image("app:1", dockerfile=f"FROM {registry.host}/base:1\nLABEL a=b\n")
    registry.mounts = False
    registry.blobs["app"].clear()
    push(PushSpec(name="app", keep="app-1", home=home), discard)
    assert layer in registry.blobs["app"]


def test_a_damaged_image_is_told_of(build_image, registry, home, tmp_path):
    registry.faults.append(forbid("/v2/a/manifests"))
    with pytest.raises(PushError):
        build_image("a:1")
    (tmp_path / "home" / "unpushed" / "app-1" / "push.json").write_text("{")
    (image,) = waiting_images(home)
    assert (image.keep, image.name, image.digest) == ("app-1", "", "")
    with pytest.raises(ImageError, match="damaged"):
        push(PushSpec(name="app", keep="app-1", home=home), discard)


@pytest.mark.parametrize(
    "said",
    [
        "cannot be overwritten because the tag is immutable.",
        "cannot be overwritten because the repository is immutable.",
        "The repository has enabled tag immutability.",
        "Failed to process request due to 'app:1' configured as immutable.",
    ],
)
def test_an_immutable_tag_is_a_failure_unless_it_may_stay(build_image, registry, home, said):
    body = json.dumps({"errors": [{"code": "DENIED", "message": said}]}).encode()
    told = []
    registry.faults.append(Fault(method="PUT", path="app/manifests/1", status=400, body=body, times=2))
    with pytest.raises(PushError, match="immutab"):
        build_image("app:1")
    build_image("app:1", "other:1", keep_immutable_tags=True, sink=told.append)
    assert any("app:1 stays the image that it was" in event.message for event in told if isinstance(event, Warned))
    assert tags(registry) == {"other:1"}
    assert waiting(home) == {}


def test_another_refusal_is_a_failure_even_then(build_image, registry):
    registry.faults.append(forbid("immutable-app/manifests"))
    with pytest.raises(PushError):
        build_image("immutable-app:1", keep_immutable_tags=True)


def test_what_asked_for_the_permission_to_push_is_given_up(build_image, registry):
    build_image("a:1", "b:1")
    begun = [seen.path for seen in registry.seen("DELETE", "/uploads/")]
    assert [path.split("/")[2] for path in begun] == ["a", "b"]
    assert registry.uploads == {}
