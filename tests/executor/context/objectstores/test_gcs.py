"""Objects of Google Cloud Storage: URLs, and the places that tokens come from."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from executor.context.http import download_from
from executor.context.objectstores import gcs
from executor.context.objectstores.gcs import GoogleObject
from executor.context.objectstores.googlecredentials import find_token
from executor.context.objectstores.rs256 import rs256
from executor.errors import ContextError, Error, NotSupportedError
from executor.events import discard
from tests.support.fake_cloud import Answer, Cloud

TOKEN = Answer(json.dumps({"access_token": "t0ken", "expires_in": 3600, "token_type": "Bearer"}))
METADATA = "GET /computeMetadata/v1/instance/service-accounts/default/token"
OBJECT = "GET /storage/v1/b/box/o/a%2Fc%20d"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`pkcs8.pem`, `pkcs1.pem` and `public.pem` of one RSA key, made by openssl."""
    folder = tmp_path_factory.mktemp("keys")
    for words in (
        "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out pkcs8.pem",
        "rsa -in pkcs8.pem -traditional -out pkcs1.pem",
        "pkey -in pkcs8.pem -pubout -out public.pem",
        "genpkey -algorithm ED25519 -out other.pem",
    ):
        subprocess.run(["openssl", *words.split()], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.mark.parametrize("form", ["pkcs8", "pkcs1"])
def test_openssl_verifies_the_signature(form: str, keys: Path, tmp_path: Path) -> None:
    (tmp_path / "message").write_bytes(b"what is signed")
    pem = (keys / f"{form}.pem").read_text()
    (tmp_path / "signature").write_bytes(rs256(pem, b"what is signed", "the file"))
    words = ["-sha256", "-verify", str(keys / "public.pem"), "-signature", "signature", "message"]
    done = subprocess.run(["openssl", "dgst", *words], cwd=tmp_path, check=False, capture_output=True, text=True)
    assert done.stdout == "Verified OK\n"


def test_what_is_no_rsa_key(keys: Path) -> None:
    pem = (keys / "pkcs8.pem").read_text()
    lines = pem.splitlines()
    cut = "\n".join([*lines[:5], lines[-1]])
    for text in ("", "x", pem.replace("\n", ""), cut, (keys / "other.pem").read_text(), pem.replace("MII", "!II")):
        with pytest.raises(ContextError, match="the file has no RSA key"):
            rs256(text, b"", "the file")


def key_file(folder: Path, keys: Path, cloud: Cloud, **more: object) -> dict[str, str]:
    path = folder / "key.json"
    path.write_text(
        json.dumps(
            {
                "type": "service_account",
                "client_email": "ci@project.example",
                "private_key": (keys / "pkcs8.pem").read_text(),
                "private_key_id": "k1",
                "token_uri": f"{cloud.url}/token",
                **more,
            }
        )
    )
    return {"GOOGLE_APPLICATION_CREDENTIALS": str(path), "HOME": "/none"}


def test_a_service_accounts_key(cloud: Cloud, keys: Path, tmp_path: Path) -> None:
    cloud.answers["POST /token"] = TOKEN
    assert find_token(key_file(tmp_path, keys, cloud)).text == "t0ken"
    head, claims, _ = parse_qs(cloud.notes[0].body)["assertion"][0].split(".")
    assert json.loads(base64.urlsafe_b64decode(head + "==")) == {"alg": "RS256", "typ": "JWT", "kid": "k1"}
    said = json.loads(base64.urlsafe_b64decode(claims + "=="))
    assert (said["iss"], said["aud"]) == ("ci@project.example", f"{cloud.url}/token")
    assert said["exp"] - said["iat"] == 3600


def test_a_users_login(cloud: Cloud, keys: Path, tmp_path: Path) -> None:
    cloud.answers["POST /token"] = TOKEN
    login = {"type": "authorized_user", "client_id": "c", "client_secret": "s3cret", "refresh_token": "r"}
    path = tmp_path / ".config/gcloud/application_default_credentials.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({**login, "token_uri": f"{cloud.url}/token"}))
    assert find_token({"HOME": str(tmp_path)}).text == "t0ken"
    assert parse_qs(cloud.notes[0].body)["grant_type"] == ["refresh_token"]


def fetched(cloud: Cloud, folder: Path, monkeypatch: pytest.MonkeyPatch, environment: Mapping[str, str]) -> bytes:
    monkeypatch.setattr(gcs, "_HOST", cloud.url)
    return Path(download_from(GoogleObject("gs://box/a/c d", environment), str(folder), discard).path).read_bytes()


def test_an_object_with_the_metadata_servers_token(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.answers |= {METADATA: TOKEN, OBJECT: Answer(b"content")}
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    variables = {"HOME": "/none", "GCE_METADATA_HOST": cloud.url.removeprefix("http://")}
    assert find_token(variables).text == "t0ken", "without the proxy"
    monkeypatch.delenv("http_proxy")
    assert fetched(cloud, tmp_path, monkeypatch, variables) == b"content"
    assert cloud.notes[0].headers["Metadata-Flavor"] == "Google"
    assert cloud.notes[-1].headers["Authorization"] == "Bearer t0ken"
    assert cloud.asked[-1] == f"{OBJECT}?alt=media"


def test_an_emulator_is_asked_without_credentials(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.answers[OBJECT] = Answer(b"content")
    host = cloud.url.removeprefix("http://")
    assert fetched(cloud, tmp_path, monkeypatch, {"STORAGE_EMULATOR_HOST": host}) == b"content"
    assert cloud.notes[0].headers["Authorization"] is None


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (404, "no such object or bucket"),
        (403, "answered 403 Forbidden, asked as the service account of this machine"),
    ],
)
def test_what_the_store_refuses(
    status: int, message: str, cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.answers |= {METADATA: TOKEN, OBJECT: Answer("t0ken", status)}
    with pytest.raises(ContextError, match=f"gs://box/a/c d: .*{message}") as caught:
        fetched(
            cloud, tmp_path, monkeypatch, {"HOME": "/none", "GCE_METADATA_HOST": cloud.url.removeprefix("http://")}
        )
    assert "t0ken" not in caught.value.describe()


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"type": "gdch_service_account"}, NotSupportedError, "of the kind 'gdch_service_account'"),
        ({"client_email": ""}, ContextError, "has no client_email"),
        ({"private_key": 3}, ContextError, "has no RSA key"),
        ({"token_uri": "file:///etc"}, ContextError, "token_uri is not a URL"),
        ({}, ContextError, "asked as ci@project.example, answered 404"),
    ],
)
def test_what_is_wrong_with_a_credentials_file(
    change: dict[str, object], kind: type[Error], message: str, cloud: Cloud, keys: Path, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=message) as caught:
        find_token(key_file(tmp_path, keys, cloud, **change))
    assert "PRIVATE KEY" not in caught.value.describe()


@pytest.mark.parametrize("content", [None, b"", b"\xff", b"[]", b"[" * 100_000])
def test_a_credentials_file_that_is_none(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ContextError, match=r"key\.json"):
        find_token({"GOOGLE_APPLICATION_CREDENTIALS": str(path)})


def federation(folder: Path, cloud: Cloud, **change: object) -> dict[str, str]:
    """A credentials file as Google's console makes it for GitLab or GitHub, its token in a file."""
    (folder / "token").write_text("subject\n")
    document = {
        "type": "external_account",
        "audience": "//iam.example/pool",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": f"{cloud.url}/sts",
        "credential_source": {"file": str(folder / "token")},
        **change,
    }
    path = folder / "federation.json"
    path.write_text(json.dumps(document))
    return {"GOOGLE_APPLICATION_CREDENTIALS": str(path), "HOME": "/none"}


@pytest.mark.parametrize("kind", ["file", "json file", "url"])
def test_a_token_of_another_issuer(cloud: Cloud, tmp_path: Path, kind: str) -> None:
    (tmp_path / "json").write_text('{"id_token": "subject"}')
    form = {"type": "json", "subject_token_field_name": "id_token"}
    sources = {
        "file": {"file": str(tmp_path / "token")},
        "json file": {"file": str(tmp_path / "json"), "format": form},
        "url": {"url": f"{cloud.url}/oidc?x=1", "headers": {"Authorization": "bearer ci"}, "format": form},
    }
    cloud.answers |= {"POST /sts": TOKEN, "GET /oidc": Answer('{"id_token": "subject"}')}
    found = find_token(federation(tmp_path, cloud, credential_source=sources[kind]))
    assert (found.text, found.origin) == ("t0ken", "the federated identity")
    sent = {name: value for name, (value,) in parse_qs(cloud.notes[-1].body).items()}
    assert sent == {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "audience": "//iam.example/pool",
        "scope": "https://www.googleapis.com/auth/devstorage.read_only",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "subject_token": "subject",
    }
    if kind == "url":
        assert cloud.notes[0].headers["Authorization"] == "bearer ci"


def test_a_token_of_another_issuer_for_that_of_a_service_account(cloud: Cloud, tmp_path: Path) -> None:
    path = "/v1/projects/-/serviceAccounts/ci@p.example:generateAccessToken"
    cloud.answers |= {"POST /sts": TOKEN, f"POST {path}": Answer('{"accessToken": "other"}')}
    found = find_token(federation(tmp_path, cloud, service_account_impersonation_url=f"{cloud.url}{path}"))
    assert (found.text, found.origin) == ("other", "ci@p.example")
    assert parse_qs(cloud.notes[0].body)["scope"] == ["https://www.googleapis.com/auth/cloud-platform"]
    assert cloud.notes[1].headers["Authorization"] == "Bearer t0ken"
    scope = "https://www.googleapis.com/auth/devstorage.read_only"
    assert json.loads(cloud.notes[1].body) == {"scope": [scope], "lifetime": "3600s"}


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"audience": ""}, ContextError, "has no audience"),
        ({"token_url": "file:///x"}, ContextError, "token_url of the credentials file .* is not a URL"),
        ({"service_account_impersonation_url": 3}, ContextError, "impersonation_url of .* is not a URL"),
        ({"credential_source": {"file": "/does/not/exist"}}, ContextError, "cannot read /does/not/exist"),
        ({"credential_source": {"file": "/dev/null"}}, ContextError, "/dev/null has no token"),
        ({"credential_source": {"executable": {"command": "x"}}}, NotSupportedError, "neither a file nor a URL"),
        (
            {"credential_source": {"environment_id": "aws1", "url": "http://x"}},
            NotSupportedError,
            "neither a file",
        ),
        ({"credential_source": None}, NotSupportedError, "neither a file nor a URL"),
        ({}, ContextError, "security token service answered 404"),
    ],
)
def test_what_is_wrong_with_a_federation(
    change: dict[str, object], kind: type[Error], message: str, cloud: Cloud, tmp_path: Path
) -> None:
    if "service_account_impersonation_url" in change:
        cloud.answers["POST /sts"] = TOKEN
    with pytest.raises(kind, match=message) as caught:
        find_token(federation(tmp_path, cloud, **change))
    assert "subject" not in caught.value.describe()
    assert caught.value.hint or kind is ContextError
