"""Logging in at a real registry that wants a password, with and without TLS; then a build that pushes."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from integration.support.builders import BIN
from integration.support.registries import PASSWORD, USER, RegistryServer, TlsFiles, serve_registry

Called = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def call(tmp_path: Path) -> Called:
    """Calls a command of ours with an empty folder for config.json, some words, and standard input."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "DOCKER_CONFIG": str(tmp_path / "docker"),
        "KRUNNER_HOME": str(tmp_path / "home"),
    }

    def call(program: str, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        argv = [str(BIN / program), *words]
        return subprocess.run(
            argv, env=environment, input=given, capture_output=True, text=True, timeout=120, check=False
        )

    return call


@pytest.mark.parametrize("program", ["executor", "krunner"])
def test_a_build_pushes_with_what_a_login_wrote(
    call: Called, locked_registry: RegistryServer, tmp_path: Path, program: str
) -> None:
    host = locked_registry.host
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    build = (f"--context={tmp_path}", f"--destination={host}/logged-in/{program}:1")
    refused = call("executor", *build)
    assert refused.returncode == 1
    assert f"`executor login {host}`" in refused.stderr

    done = call(program, "login", host, "--username", USER, "--password-stdin", given=f"{PASSWORD}\n")
    assert done.returncode == 0, done.stderr
    assert list(json.loads((tmp_path / "docker/config.json").read_text())["auths"]) == [host]
    pushed = call("executor", *build)
    assert pushed.returncode == 0, pushed.stderr

    assert call(program, "logout", host).returncode == 0
    assert call("executor", *build).returncode == 1


def test_a_wrong_password(call: Called, locked_registry: RegistryServer, tmp_path: Path) -> None:
    words = ("login", locked_registry.host, "-u", USER, "--password-stdin")
    done = call("executor", *words, given="looking-glass")
    assert done.returncode == 1
    assert "answered 401" in done.stderr
    assert "looking-glass" not in done.stderr + done.stdout
    assert not (tmp_path / "docker").exists()


def test_tls(call: Called, tls: TlsFiles, tmp_path: Path) -> None:
    with serve_registry(tmp_path / "registry", password=True, tls=tls) as server:
        words = ("login", server.host, "-u", USER, "--password-stdin")
        refused = call("executor", *words, given=PASSWORD)
        assert "does not verify" in refused.stderr
        trusting = f"--registry-certificate={server.host}={tls.ca}"
        assert call("executor", *words, trusting, given=PASSWORD).returncode == 0
        assert call("executor", *words, "--skip-tls-verify", given=PASSWORD).returncode == 0


def test_a_registry_that_is_not_there(call: Called, tmp_path: Path) -> None:
    done = call("executor", "login", "127.0.0.1:1", "-u", USER, "--password-stdin", given=PASSWORD)
    assert done.returncode == 75
    assert "127.0.0.1:1: no answer" in done.stderr
    assert PASSWORD not in done.stderr + done.stdout
