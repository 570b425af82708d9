"""Registries that are down, refuse, or send something else than they should."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.faults.conftest import Attempt
from integration.support import registries
from integration.support.bases import busybox_archive
from integration.support.programs import free_port, run
from integration.support.registries import RegistryServer, TlsFiles
from tests.support.fake_registry import FakeRegistry, Fault

_QUICK = ("--image-download-retry=0", "--no-push")


@pytest.fixture
def fake() -> Iterator[FakeRegistry]:
    """A registry that fails on demand and holds `base`."""
    with FakeRegistry() as registry:
        target = f"docker://{registry.host}/base:latest"
        run(
            ["skopeo", "copy", "--quiet", "--dest-tls-verify=false", f"docker-archive:{busybox_archive()}", target]
        )
        registry.requests.clear()
        yield registry


def _layer(registry: FakeRegistry) -> str:
    """The digest of the base image's only layer."""
    _, content = registry.manifests["base"]["latest"]
    (layer,) = json.loads(content)["layers"]
    return str(layer["digest"])


def _log_in(attempt: Attempt, host: str, user: str, password: str) -> None:
    folder = attempt.folder / "docker"
    folder.mkdir(exist_ok=True)
    auth = base64.b64encode(f"{user}:{password}".encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))
    attempt.env["DOCKER_CONFIG"] = str(folder)


def test_a_registry_that_is_down_is_temporary(attempt: Attempt) -> None:
    host = f"127.0.0.1:{free_port()}"
    outcome = attempt(f"FROM {host}/base\nRUN true\n", *_QUICK)
    assert outcome.status == 75, outcome.log
    assert host in outcome.log
    assert "Traceback" not in outcome.log


def test_a_missing_image_is_named(attempt: Attempt, registry: RegistryServer) -> None:
    outcome = attempt(f"FROM {registry.host}/absent:tag\nRUN true\n", *_QUICK)
    assert outcome.status == 1
    assert f"{registry.host}/absent:tag" in outcome.log
    name = f"{registry.host}/absent:tag"
    assert f"  1 | FROM {name}\n         |      {'^' * len(name)}\n" in outcome.log


def test_no_credentials(attempt: Attempt, locked_registry: RegistryServer) -> None:
    attempt.env["DOCKER_CONFIG"] = str(attempt.folder)
    outcome = attempt(f"FROM {locked_registry.host}/base\nRUN true\n", *_QUICK)
    assert outcome.status == 1
    assert locked_registry.host in outcome.log
    assert "hint" in outcome.log


def test_wrong_credentials_are_not_shown(attempt: Attempt, locked_registry: RegistryServer) -> None:
    _log_in(attempt, locked_registry.host, registries.USER, "not the password")
    outcome = attempt(f"FROM {locked_registry.host}/base\nRUN true\n", *_QUICK)
    assert outcome.status == 1
    assert registries.USER in outcome.log
    assert "not the password" not in outcome.log


def test_right_credentials(attempt: Attempt, locked_registry: RegistryServer) -> None:
    _log_in(attempt, locked_registry.host, registries.USER, registries.PASSWORD)
    name = f"{locked_registry.host}/mine/{attempt.driver}:1"
    (attempt.context / "a").write_text("a")
    outcome = attempt("FROM scratch\nCOPY a /\n", f"--destination={name}")
    assert outcome.status == 0, outcome.log
    outcome = attempt(f"FROM {name}\nCOPY a /b\n", "--no-push")
    assert outcome.status == 0, outcome.log


def test_a_certificate_of_an_unknown_authority(
    attempt: Attempt, tls_registry: RegistryServer, tls: TlsFiles
) -> None:
    (attempt.context / "a").write_text("a")
    push = ["--insecure=false", f"--destination={tls_registry.host}/secure/{attempt.driver}"]
    outcome = attempt("FROM scratch\nCOPY a /\n", *push)
    assert outcome.status not in (0, 70)
    assert "certificate" in outcome.log
    assert attempt("FROM scratch\nCOPY a /\n", *push, "--skip-tls-verify").status == 0
    outcome = attempt("FROM scratch\nCOPY a /\n", *push, f"--registry-certificate={tls_registry.host}={tls.ca}")
    assert outcome.status == 0, outcome.log


@pytest.mark.parametrize("status", [403, 404])
def test_a_refused_manifest(attempt: Attempt, fake: FakeRegistry, status: int) -> None:
    fake.faults.append(Fault(path="/manifests/", status=status, times=10))
    outcome = attempt(f"FROM {fake.host}/base\nRUN true\n", *_QUICK)
    assert outcome.status == 1, outcome.log
    assert str(status) in outcome.log
    assert fake.host in outcome.log


@pytest.mark.parametrize(
    "fault", [{"content": b"something else"}, {"truncate_to": 1000}], ids=["content", "length"]
)
def test_a_blob_that_is_not_what_its_digest_says(
    attempt: Attempt, fake: FakeRegistry, fault: dict[str, object]
) -> None:
    digest = _layer(fake)
    fake.faults.append(Fault(path=f"/blobs/{digest}", method="GET", times=10, **fault))  # type: ignore[arg-type]
    outcome = attempt(f"FROM {fake.host}/base\nRUN true\n", *_QUICK)
    assert outcome.status in (1, 75), outcome.log
    assert digest.removeprefix("sha256:")[:12] in outcome.log
    hexadecimal = digest.removeprefix("sha256:")
    assert not (attempt.home / "blobs" / "sha256" / hexadecimal).exists(), "a wrong blob is never kept"


def test_a_broken_download_is_tried_again(attempt: Attempt, fake: FakeRegistry) -> None:
    fake.faults.append(Fault(path=f"/blobs/{_layer(fake)}", method="GET", drop_after=5000))
    fake.faults.append(Fault(path="/manifests/", method="GET", status=503, headers={"Retry-After": "0"}))
    outcome = attempt(f"FROM {fake.host}/base\nRUN true\n", "--no-push", "--image-download-retry=3")
    assert outcome.status == 0, outcome.log


def test_a_push_that_fails_is_told_from_a_build_that_fails(
    attempt: Attempt, fake: FakeRegistry, tmp_path: Path
) -> None:
    fake.faults.append(Fault(path="/manifests/", method="PUT", status=403, times=10))
    flags = [f"--destination={fake.host}/mine", f"--digest-file={tmp_path / 'digest'}"]
    outcome = attempt(f"FROM {fake.host}/base\nRUN echo > /x\n", *flags)
    assert outcome.status == 3, outcome.log
    assert f"{fake.host}/mine" in outcome.log
    assert not (tmp_path / "digest").exists(), "the digest file tells of a push"


def test_a_push_that_may_be_tried_again_is_told_by_the_status(attempt: Attempt, fake: FakeRegistry) -> None:
    fake.faults.append(Fault(path="/manifests/", method="PUT", status=500, times=10))
    outcome = attempt("FROM scratch\nENV a=1\n", f"--destination={fake.host}/mine", "--push-retry=1")
    assert outcome.status == 75, outcome.log


def test_a_push_is_tried_again_as_often_as_asked(attempt: Attempt, fake: FakeRegistry) -> None:
    fake.faults.append(Fault(path="/manifests/", method="PUT", status=503, headers={"Retry-After": "0"}))
    outcome = attempt("FROM scratch\nENV a=1\n", f"--destination={fake.host}/mine", "--push-retry=2")
    assert outcome.status == 0, outcome.log
    assert "latest" in fake.manifests["mine"]


def test_a_push_that_is_not_allowed_is_told_before_the_build(
    attempt: Attempt, locked_registry: RegistryServer, base_host: str
) -> None:
    attempt.env["DOCKER_CONFIG"] = str(attempt.folder)
    outcome = attempt(f"FROM {base_host}/busybox\nRUN false\n", f"--destination={locked_registry.host}/mine")
    assert outcome.status not in (0, 70), outcome.log
    assert locked_registry.host in outcome.log
    assert "RUN false" not in outcome.log
