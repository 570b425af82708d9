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
        ({"type": "external_account"}, NotSupportedError, "of the kind 'external_account'"),
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


@pytest.mark.parametrize("content", [None, b"", b"\xff", b"[]"])
def test_a_credentials_file_that_is_none(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ContextError, match=r"key\.json"):
        find_token({"GOOGLE_APPLICATION_CREDENTIALS": str(path)})
