"""Downloads: what is kept of the answer, what is tried again, what is refused."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from executor.context import http
from executor.context.http import download, file_name, without_credentials
from executor.errors import ContextError
from executor.events import Event, RetryScheduled, discard
from tests.support.fake_web import Page, Web, serve_web


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setattr(http, "_LONGEST_WAIT", 0.01)
    with serve_web() as server:
        yield server


@pytest.mark.parametrize("host", ["a..b", f"{'a' * 64}.b", "localhost:99999", "[::1"])
def test_a_host_that_cannot_be_is_not_asked_again(host: str, tmp_path: Path) -> None:
    events: list[Event] = []
    with pytest.raises(ContextError, match="cannot be downloaded: the URL is malformed"):
        download(f"http://{host}/x", str(tmp_path), events.append)
    assert events == []


def test_content_mode_and_time(web: Web, tmp_path: Path) -> None:
    web.pages["/f"] = Page(b"body", headers={"Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT"})
    found = download(f"{web.url}/f", str(tmp_path), discard)
    status = Path(found.path).stat()
    assert Path(found.path).read_bytes() == b"body"
    assert (status.st_mode & 0o7777, status.st_mtime, found.mtime) == (0o600, 1445412480, 1445412480)


@pytest.mark.parametrize("headers", [{}, {"Last-Modified": "yesterday"}])
def test_without_a_time_it_is_the_epoch(headers: dict[str, str], web: Web, tmp_path: Path) -> None:
    web.pages["/f"] = Page(b"body", headers=headers)
    assert Path(download(f"{web.url}/f", str(tmp_path), discard).path).stat().st_mtime == 0


def test_redirects_are_followed(web: Web, tmp_path: Path) -> None:
    web.pages["/a"] = Page(status=302, headers={"Location": "/b"})
    web.pages["/b"] = Page(b"body")
    assert Path(download(f"{web.url}/a", str(tmp_path), discard).path).read_bytes() == b"body"


def test_temporary_faults_are_tried_again(web: Web, tmp_path: Path) -> None:
    web.pages["/f"] = lambda count: Page(b"body") if count == 3 else Page(status=503)
    events: list[Event] = []
    download(f"{web.url}/f", str(tmp_path), events.append)
    assert [event.attempt for event in events if isinstance(event, RetryScheduled)] == [1, 2]


def test_a_body_that_is_cut_off_is_tried_again(web: Web, tmp_path: Path) -> None:
    web.pages["/f"] = lambda count: Page(b"whole body") if count == 2 else Page(b"whole", claimed=10)
    found = download(f"{web.url}/f", str(tmp_path), discard)
    assert Path(found.path).read_bytes() == b"whole body"


@pytest.mark.parametrize(("status", "tries"), [(404, 1), (403, 1), (501, 1), (500, 4), (429, 4)])
def test_what_the_server_refuses(status: int, tries: int, web: Web, tmp_path: Path) -> None:
    web.pages["/f"] = Page(status=status)
    with pytest.raises(ContextError, match=f"/f: the server answered {status}"):
        download(f"{web.url}/f", str(tmp_path), discard)
    assert len(web.requests) == tries


def test_nobody_answers(web: Web, tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with pytest.raises(ContextError, match="cannot be downloaded: Connection refused"):
            download(f"http://127.0.0.1:{port}/f", str(tmp_path), discard)


def test_checksums(web: Web, tmp_path: Path) -> None:
    web.pages["/f"] = Page(b"body")
    good = f"sha256:{hashlib.sha256(b'body').hexdigest()}"
    download(f"{web.url}/f", str(tmp_path), discard, checksum=good)
    with pytest.raises(ContextError, match=f"has the digest {good}, not sha256:0000"):
        download(f"{web.url}/f", str(tmp_path), discard, checksum=f"sha256:{'0' * 64}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("checksum", ["sha256:12", "md5:" + "0" * 32, "0" * 64, "sha256:" + "X" * 64])
def test_malformed_checksums(checksum: str, web: Web, tmp_path: Path) -> None:
    with pytest.raises(ContextError, match="malformed checksum"):
        download(f"{web.url}/f", str(tmp_path), discard, checksum=checksum)
    assert not web.requests


def test_messages_hold_no_credentials(web: Web, tmp_path: Path) -> None:
    address = web.url.removeprefix("http://")
    with pytest.raises(ContextError) as caught:
        download(f"http://me:secret@{address}/none?token=hidden", str(tmp_path), discard)
    assert "secret" not in str(caught.value)
    assert "hidden" not in str(caught.value)
    assert without_credentials("https://u:p@h/x") == "https://h/x"


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://h/a/b.txt", "b.txt"),
        ("http://h/a/b.txt?x=y/z#f", "b.txt"),
        ("http://h/a/", "a"),
        ("http://h/", "__unnamed__"),
        ("http://h", "__unnamed__"),
        ("http://h/a%20b", "a b"),
        ("http://h/a/..", "__unnamed__"),
    ],
)
def test_file_names(url: str, name: str) -> None:
    assert file_name(url) == name
