"""Where credentials are looked for, told without asking anybody and without a secret."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from executor.registry.credentials import credential_sources

SECRET = "open-sesame"
AUTH = base64.b64encode(f"me:{SECRET}".encode()).decode()


def test_files_registries_and_helpers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper = tmp_path / "docker-credential-there"
    helper.write_text("#!/bin/sh\nexit 9\n")
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    document = {
        "auths": {"https://b.example/v2/": {"auth": AUTH}, "a.example/team": {"auth": AUTH}, "empty.example": {}},
        "credHelpers": {"c.example": "there"},
        "credsStore": "gone",
    }
    (tmp_path / "config.json").write_text(json.dumps(document))
    (found,) = credential_sources({"DOCKER_CONFIG": str(tmp_path)})
    assert found.source == str(tmp_path / "config.json")
    assert found.registries == ("a.example/team", "b.example")
    assert found.helpers == (("c.example", "docker-credential-there"), ("*", "docker-credential-gone"))
    assert found.problems == ("docker-credential-gone is not on PATH",)
    assert SECRET not in repr(found)
    assert AUTH not in repr(found)


def test_places_where_nothing_is(tmp_path: Path) -> None:
    home, podman = credential_sources({"HOME": str(tmp_path), "REGISTRY_AUTH_FILE": str(tmp_path / "a.json")})
    assert (home.source, home.found) == (str(tmp_path / ".docker/config.json"), False)
    assert (podman.source, podman.found) == (str(tmp_path / "a.json"), False)


def test_a_broken_file_is_told_not_raised() -> None:
    (found,) = credential_sources({"DOCKER_AUTH_CONFIG": f'{{"auths": "{SECRET}"'})
    assert found.found
    assert found.problems[0].startswith("is not JSON")
    assert SECRET not in repr(found)


def test_what_gitlab_gives_a_job() -> None:
    (found,) = credential_sources(
        {"CI_REGISTRY": "r.example", "CI_REGISTRY_USER": "u", "CI_REGISTRY_PASSWORD": SECRET}
    )
    assert (found.source, found.found, found.registries) == ("GitLab's variables", True, ("r.example",))
    assert SECRET not in repr(found)
