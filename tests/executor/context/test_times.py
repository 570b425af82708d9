"""When a source was made: a commit, a download, the newest file of an archive; and what tells nothing."""

from __future__ import annotations

import io
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from executor.context.times import time_made
from executor.errors import ContextError
from executor.events import discard
from tests.support.fake_web import Page, Web, make_repository, serve_web


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setenv("HOME", str(tmp_path))
    with serve_web() as server:
        server.repositories = tmp_path / "repositories"
        server.repositories.mkdir()
        yield server


@pytest.fixture
def scratch(tmp_path: Path) -> Callable[[], str]:
    return lambda: tempfile.mkdtemp(dir=tmp_path)


def archive(**times: int) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for name, time in times.items():
            member = tarfile.TarInfo(name)
            member.mtime = time
            if name == "folder":
                member.type = tarfile.DIRTYPE
            tar.addfile(member)
    return made.getvalue()


def test_a_repository(web: Web, scratch: Callable[[], str]) -> None:
    assert web.repositories
    make_repository(web.repositories / "a.git", {"f": "1\n"}, tag="v1")
    found = time_made(f"{web.url}/a.git#v1", scratch, discard)
    assert found is not None
    assert found > 1_000_000_000


def test_downloads(web: Web, scratch: Callable[[], str]) -> None:
    dated = {"Last-Modified": "Thu, 01 Jan 1970 00:01:00 GMT"}
    web.pages["/dated"] = Page(b"text", headers=dated)
    web.pages["/undated"] = Page(b"text")
    web.pages["/archive"] = Page(archive(a=1000, b=3000, folder=9000))
    web.pages["/empty"] = Page(archive())
    for path, expected in (("dated", 60), ("undated", None), ("archive", 3000), ("empty", None)):
        assert time_made(f"{web.url}/{path}", scratch, discard) == expected, path


@pytest.mark.parametrize("path", ["absent", "absent.git"])
def test_what_cannot_be_had(web: Web, scratch: Callable[[], str], path: str) -> None:
    with pytest.raises(ContextError):
        time_made(f"{web.url}/{path}", scratch, discard)
