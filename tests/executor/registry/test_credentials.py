"""Credentials: every form of the files, whose entry wins, and that nothing secret is ever shown."""

from __future__ import annotations

import base64
import copy
import json
import os
import pickle
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from executor import hangup
from executor.errors import InvalidFileError, StoppedError
from executor.events import Event, Warned
from executor.registry.credentials import Credential, Keychain, Secret


def basic(user: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def keychain(**document: Any) -> Keychain:
    return Keychain.from_environment({"DOCKER_AUTH_CONFIG": json.dumps(document)})


def user(chain: Keychain, name: str) -> str:
    registry, _, repository = name.partition("/")
    credential = chain.lookup(registry, repository)
    return credential.username if credential else ""


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("https://index.docker.io/v1/", "docker.io/library/busybox"),
        ("index.docker.io", "docker.io/library/busybox"),
        ("docker.io", "docker.io/library/busybox"),
        ("registry-1.docker.io", "docker.io/team/app"),
        ("registry.example.com", "registry.example.com/app"),
        ("https://registry.example.com", "registry.example.com/app"),
        ("http://registry.example.com/v2/", "registry.example.com/app"),
        ("Registry.Example.com", "registry.example.com/app"),
        ("localhost:5000", "localhost:5000/app"),
        ("registry.example.com/team", "registry.example.com/team/app"),
        ("registry.example.com/team/app", "registry.example.com/team/app"),
    ],
)
def test_keys_that_match(key: str, name: str) -> None:
    assert user(keychain(auths={key: basic("bob", "x")}), name) == "bob"


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("registry.example.com", "example.com/app"),
        ("example.com", "registry.example.com/app"),
        ("localhost:5000", "localhost:5001/app"),
        ("registry.example.com/team", "registry.example.com/team2/app"),
        ("registry.example.com/team/app", "registry.example.com/team"),
        ("quay.io", "docker.io/library/busybox"),
    ],
)
def test_keys_that_do_not(key: str, name: str) -> None:
    assert user(keychain(auths={key: basic("bob", "x")}), name) == ""


def test_the_longest_path_wins() -> None:
    paths = {"h.example": "host", "h.example/a": "a", "h.example/a/b": "b"}
    chain = keychain(auths={key: basic(name, "x") for key, name in paths.items()})
    assert [user(chain, name) for name in ("h.example/a/b", "h.example/a/c", "h.example/d")] == ["b", "a", "host"]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (basic("bob", "pass:word"), Credential(username="bob", password=Secret("pass:word"))),
        ({"username": "bob", "password": "p"}, Credential(username="bob", password=Secret("p"))),
        ({"auth": "Ym9iOnA"}, Credential(username="bob", password=Secret("p"))),
        (
            {**basic("bob", ""), "identitytoken": "idt"},
            Credential(username="bob", identity_token=Secret("idt")),
        ),
        ({"registrytoken": "rt"}, Credential(registry_token=Secret("rt"))),
        ({"auth": "Ym9i\nOnA=\n"}, Credential(username="bob", password=Secret("p"))),
        ({**basic("bob", "p"), "email": None, "password": None}, Credential(username="bob", password=Secret("p"))),
        ({**basic("bob", "p"), "expires": 3600}, Credential(username="bob", password=Secret("p"))),
    ],
)
def test_forms_of_an_entry(entry: dict[str, str], expected: Credential) -> None:
    found = keychain(auths={"h.example": entry}).lookup("h.example", "app")
    assert found is not None
    assert found.origin == "$DOCKER_AUTH_CONFIG"
    assert [getattr(found, name) for name in ("username", "password", "identity_token", "registry_token")] == [
        getattr(expected, name) for name in ("username", "password", "identity_token", "registry_token")
    ]


def test_an_entry_without_a_secret_is_none() -> None:
    assert keychain(auths={"h.example": {}}).lookup("h.example", "app") is None


def test_sources_are_asked_in_order(tmp_path: Path) -> None:
    def write(path: Path, **users: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            json.dumps({"auths": {f"{host}.example": basic(name, "x") for host, name in users.items()}})
        )

    write(tmp_path / "home/.docker/config.json", a="home", b="home", c="home")
    write(tmp_path / "docker/config.json", b="docker", c="docker")
    write(tmp_path / "auth-file.json", c="file", d="file")
    write(tmp_path / "run/containers/auth.json", d="run", e="run")
    environ = {
        "HOME": str(tmp_path / "home"),
        "DOCKER_CONFIG": str(tmp_path / "docker"),
        "REGISTRY_AUTH_FILE": str(tmp_path / "auth-file.json"),
        "XDG_RUNTIME_DIR": str(tmp_path / "run"),
    }
    chain = Keychain.from_environment(environ)
    assert [user(chain, f"{host}.example/app") for host in "abcde"] == ["", "docker", "docker", "file", "run"]
    environ["DOCKER_CONFIG"] = str(tmp_path / "docker/config.json")
    assert user(Keychain.from_environment(environ), "b.example/app") == "docker"
    del environ["DOCKER_CONFIG"]
    assert user(Keychain.from_environment(environ), "a.example/app") == "home"
    environ["DOCKER_AUTH_CONFIG"] = json.dumps({"auths": {"a.example": basic("variable", "x")}})
    chain = Keychain.from_environment(environ)
    assert [user(chain, "a.example/app"), user(chain, "b.example/app")] == ["variable", "home"]


def test_missing_and_empty_files_are_nothing(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("  \n")
    environ = {"DOCKER_CONFIG": str(tmp_path), "REGISTRY_AUTH_FILE": str(tmp_path / "none"), "HOME": "/dev/null"}
    assert Keychain.from_environment(environ).lookup("h.example", "app") is None
    assert Keychain.from_environment({}).lookup("h.example", "app") is None


SECRET = "hunter2-hunter2"


@pytest.mark.parametrize(
    ("content", "places"),
    [
        (f'{{"auths": {{\n  "h.example": {{"auth": {SECRET}}}}}}}', [":2:25: is not JSON"]),
        ('{"auths": {}', [":1:13: is not JSON"]),
        (b"\xff\xfe", ["is not JSON: not UTF-8"]),
        ("[" * 100_000, ["is nested too deep"]),
        ("[]", ["must be an object"]),
        ('{"auths": []}', ["auths: must be an object"]),
        (f'{{"auths": {{"h.example": "{SECRET}"}}}}', ["auths.h.example: must be an object of strings"]),
        ('{"auths": {"h.example": {"username": 1}}}', ["auths.h.example: must be an object of strings"]),
        (f'{{"auths": {{"h.example": {{"auth": "{SECRET}"}}}}}}', ["auths.h.example.auth: must be user:password"]),
        (f'{{"auths": {{"h.example": {{"auth": "{base64.b64encode(SECRET.encode()).decode()}"}}}}}}', ["base64"]),
        ('{"auths": {"a": 1, "b": 2}, "credsStore": "../x"}', ["auths.a: ", "auths.b: ", "credsStore: "]),
        ('{"credHelpers": {"a": 1}}', ["credHelpers.a: must be the name"]),
    ],
)
def test_malformed_files_tell_the_place_and_nothing_else(
    tmp_path: Path, content: str | bytes, places: list[str]
) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InvalidFileError) as caught:
        Keychain.from_environment({"DOCKER_CONFIG": str(tmp_path)})
    message = caught.value.describe()
    assert all(place in message for place in places)
    assert str(path) in message
    assert len(caught.value.diagnostics) == len(places)
    assert "hunter2" not in message
    assert caught.value.__cause__ is None


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "config.json").mkdir()
    with pytest.raises(InvalidFileError, match="cannot be read: Is a directory"):
        Keychain.from_environment({"DOCKER_CONFIG": str(tmp_path)})


def test_secrets_do_not_print() -> None:
    credential = Credential(
        username="bob", password=Secret(SECRET), identity_token=Secret(SECRET), registry_token=Secret(SECRET)
    )
    shown = f"{credential} {credential!r} {credential.password} {credential.password!r} {[Secret(SECRET)]} %s" % (
        credential.password,
    )
    assert SECRET not in shown
    assert credential.password.reveal() == SECRET
    for write in (pickle.dumps, copy.deepcopy, json.dumps):
        with pytest.raises(TypeError) as caught:
            write(credential.password)
        assert SECRET not in str(caught.value)


def helper(folder: Path, name: str, script: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install docker-credential-NAME, which also notes what it was asked."""
    program = folder / f"docker-credential-{name}"
    log = folder / f"{name}.log"
    program.write_text(f'#!/bin/sh\nserver=$(cat)\necho "$1 $server" >> {log}\n{script}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return log


def with_helpers(events: list[Event], **document: Any) -> Keychain:
    return Keychain.from_environment({"DOCKER_AUTH_CONFIG": json.dumps(document)}, events.append)


ANSWER = 'echo "{\\"ServerURL\\": \\"$server\\", \\"Username\\": \\"bob\\", \\"Secret\\": \\"pw\\"}"'


def test_a_store_is_asked_once_for_each_registry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, events: list[Event]
) -> None:
    log = helper(tmp_path, "shelf", ANSWER, monkeypatch)
    chain = with_helpers(events, credsStore="shelf", auths={"h.example": {}})
    for repository in ("app", "other"):
        found = chain.lookup("h.example", repository)
        assert found is not None
        assert (found.username, found.password, found.origin) == ("bob", Secret("pw"), "docker-credential-shelf")
    assert user(chain, "docker.io/library/busybox") == "bob"
    assert log.read_text().splitlines() == ["get h.example", "get https://index.docker.io/v1/"]
    assert events == []


def test_a_helper_for_a_registry_comes_before_the_file_and_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, events: list[Event]
) -> None:
    helper(tmp_path, "cloud", ANSWER, monkeypatch)
    helper(tmp_path, "shelf", ANSWER.replace("bob", "shelf"), monkeypatch)
    chain = with_helpers(
        events,
        credHelpers={"https://cloud.example": "cloud"},
        credsStore="shelf",
        auths={name: basic("file", "x") for name in ("cloud.example", "file.example")},
    )
    found = [user(chain, f"{host}.example/app") for host in ("cloud", "file", "other")]
    assert found == ["bob", "file", "shelf"]


def test_a_helper_may_give_an_identity_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, events: list[Event]
) -> None:
    helper(tmp_path, "shelf", ANSWER.replace("bob", "<token>"), monkeypatch)
    found = with_helpers(events, credsStore="shelf").lookup("h.example", "app")
    assert found is not None
    assert (found.username, found.identity_token) == ("", Secret("pw"))


def test_credentials_not_found_is_no_complaint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, events: list[Event]
) -> None:
    helper(tmp_path, "shelf", 'echo "credentials not found in native keychain"; exit 1', monkeypatch)
    assert with_helpers(events, credsStore="shelf").lookup("h.example", "app") is None
    assert events == []


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("echo 'secret-text' >&2; exit 3", "failed with status 3"),
        ("echo secret-text", "gave an answer that is not of its protocol"),
        ("echo '[]'", "gave an answer that is not of its protocol"),
        ("sleep 60", "did not answer within"),
    ],
)
def test_a_helper_that_fails_is_told_once_without_its_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, events: list[Event], script: str, complaint: str
) -> None:
    monkeypatch.setattr("executor.registry.credentialhelper.HELPER_SECONDS", 0.3)
    helper(tmp_path, "shelf", f"exec {script}" if script.startswith("sleep") else script, monkeypatch)
    chain = with_helpers(events, credsStore="shelf", auths={"f.example": basic("file", "x")})
    assert [user(chain, f"{host}.example/app") for host in "hfi"] == ["", "file", ""]
    (warning,) = events
    assert isinstance(warning, Warned)
    assert complaint in warning.message
    assert "secret-text" not in warning.message


def test_a_helper_that_hangs_holds_up_no_build_that_is_stopped(
    events: list[Event], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = tmp_path / "pid"
    helper(tmp_path, "shelf", f"echo $$ > {pid}; exec sleep 30", monkeypatch)
    chain = with_helpers(events, credsStore="shelf")
    hangup.begin()
    try:
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(chain.lookup, "h.example", "app")
            while not (pid.exists() and pid.read_text()):
                time.sleep(0.01)
            hangup.hang_up(15)
            assert isinstance(asked.exception(10), StoppedError)
    finally:
        hangup.begin()
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
    assert events == []


def test_a_missing_helper_is_told(events: list[Event]) -> None:
    chain = with_helpers(events, credHelpers={"h.example": "no-such-helper"})
    assert user(chain, "h.example/app") == ""
    (warning,) = events
    assert isinstance(warning, Warned)
    assert "docker-credential-no-such-helper cannot be run: No such file" in warning.message


def test_gitlab_tells_its_jobs_who_they_are_and_files_count_before_that():
    environ = {
        "CI_REGISTRY": "gitlab.example:5050",
        "CI_REGISTRY_USER": "job",
        "CI_REGISTRY_PASSWORD": "token",
        "CI_DEPENDENCY_PROXY_SERVER": "gitlab.example:443",
        "CI_DEPENDENCY_PROXY_USER": "proxy",
        "CI_DEPENDENCY_PROXY_PASSWORD": "other",
    }
    assert Keychain.from_environment(environ, automatic=False).lookup("gitlab.example:5050", "group/app") is None
    chain = Keychain.from_environment(environ)
    found = chain.lookup("gitlab.example:5050", "group/app")
    assert found is not None
    assert (found.password.reveal(), str(found)) == ("token", "as user 'job' from $CI_REGISTRY_PASSWORD")
    assert user(chain, "gitlab.example:443/group/dependency_proxy/containers/alpine") == "proxy"
    assert chain.lookup("gitlab.example", "group/app") is None
    auths = {"auths": {"gitlab.example:5050": {"username": "file", "password": "x"}}}
    chain = Keychain.from_environment({**environ, "DOCKER_AUTH_CONFIG": json.dumps(auths)})
    assert user(chain, "gitlab.example:5050/group/app") == "file"
    del environ["CI_REGISTRY_PASSWORD"]
    assert Keychain.from_environment(environ).lookup("gitlab.example:5050", "group/app") is None
