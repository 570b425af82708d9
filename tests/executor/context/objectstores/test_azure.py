"""Blobs of Azure: whose URLs they are, signatures, and what is refused."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest

from executor.context.http import download_from
from executor.context.objectstores.address import is_object_url
from executor.context.objectstores.azure import AzureBlob, shared_key
from executor.errors import ContextError
from executor.events import discard
from tests.support.fake_cloud import Answer, Cloud

KEY = base64.b64encode(b"s3cret-key").decode()
BLOB = "http://account.blob.core.windows.net/box/a%20b/c.tar.gz"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://account.blob.core.windows.net/c/x", True),
        ("https://account.Blob.core.windows.net:443/c/x", True),
        ("https://user:p@account.blob.core.chinacloudapi.cn/c/x", True),
        ("https://blob.core.windows.net.example/c/x", False),
        ("https://host.example/account.blob.core.windows.net/x", False),
        ("https://", False),
        ("s3://b/x", True),
        ("gs://b/x", True),
        ("file:///x", False),
        ("/s3", False),
    ],
)
def test_which_urls_are_of_a_store(url: str, expected: bool) -> None:
    assert is_object_url(url) is expected


def test_a_signature_that_azurite_takes() -> None:
    # found by Azurite 3.37 to be right for its well-known account; no other key gives it
    key = base64.b64decode(
        "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
    )
    headers = {"x-ms-date": "Tue, 01 Dec 2026 02:43:22 GMT", "x-ms-version": "2021-12-02"}
    made = shared_key("devstoreaccount1", key, "/devstoreaccount1/cont/a%20b/c.tar.gz", headers)
    assert made == "SharedKey devstoreaccount1:Uf53hyNxX0xp30km/zxnFrqf85d6AJdFMbHhKDOAq20="


@pytest.fixture
def through(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """The cloud as the proxy by which hosts of Azure are reached."""
    monkeypatch.setenv("http_proxy", cloud.url)
    monkeypatch.setenv("no_proxy", "")
    return cloud


def fetched(url: str, folder: Path, **environment: str) -> bytes:
    return Path(download_from(AzureBlob(url, environment), str(folder), discard).path).read_bytes()


def test_with_a_key_the_request_is_signed(through: Cloud, tmp_path: Path) -> None:
    through.answers[f"GET {BLOB}"] = Answer(b"content")
    for url in (BLOB, BLOB.replace("%20", " ")):
        assert fetched(url, tmp_path, AZURE_STORAGE_ACCESS_KEY=f"{KEY}\n") == b"content"
        sent = through.notes[-1].headers
        signed = {name: sent[name] for name in ("x-ms-date", "x-ms-version")}
        assert sent["Authorization"] == shared_key("account", b"s3cret-key", "/box/a%20b/c.tar.gz", signed)


@pytest.mark.parametrize(("query", "key"), [("?sv=1&sig=s3cret", KEY), ("", "")])
def test_without_one_or_with_a_query_it_is_not(query: str, key: str, through: Cloud, tmp_path: Path) -> None:
    through.answers[f"GET {BLOB}"] = Answer(b"content")
    assert fetched(f"{BLOB}{query}", tmp_path, AZURE_STORAGE_ACCESS_KEY=key) == b"content"
    assert through.notes[0].headers["Authorization"] is None


@pytest.mark.parametrize(
    ("query", "key", "status", "code", "message"),
    [
        ("", KEY, 404, "BlobNotFound", "there is no such blob"),
        ("", KEY, 404, "ContainerNotFound", "there is no such container"),
        ("", KEY, 403, "AuthenticationFailed", "403 AuthenticationFailed.*has to be a key of the account account"),
        ("?sig=s3cret", "", 403, "AuthenticationFailed", "AuthenticationFailed.*signature that is valid"),
        ("", "", 409, "PublicAccessNotPermitted", "409 PublicAccessNotPermitted.*set AZURE_STORAGE_ACCESS_KEY"),
    ],
)
def test_what_the_store_refuses(
    query: str, key: str, status: int, code: str, message: str, through: Cloud, tmp_path: Path
) -> None:
    through.answers[f"GET {BLOB}"] = Answer("s3cret", status, {"x-ms-error-code": code})
    with pytest.raises(ContextError) as caught:
        fetched(f"{BLOB}{query}", tmp_path, AZURE_STORAGE_ACCESS_KEY=key)
    assert re.search(message, caught.value.describe(), re.DOTALL)
    assert "s3cret" not in caught.value.describe()
    assert KEY not in caught.value.describe()


def test_a_key_that_is_none() -> None:
    with pytest.raises(ContextError, match="AZURE_STORAGE_ACCESS_KEY is not the base64 text"):
        AzureBlob(BLOB, {"AZURE_STORAGE_ACCESS_KEY": "s3cret!"})
