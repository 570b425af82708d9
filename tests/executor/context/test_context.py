"""open_context: every kind of URL, and what goes wrong with each."""

from __future__ import annotations

import bz2
import errno
import gzip
import io
import lzma
import os
import sys
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import zstandard

from executor.context.archive import is_archive
from executor.context.base import open_context
from executor.errors import ContextError, Error, UnfitError
from executor.events import discard
from tests.support.fake_web import Page, serve_web
from tests.support.trees import Dir, File, Hard, Link, Node, read_tree, write_tree

COMPRESSIONS: Mapping[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}
TREE: Mapping[str, Node | str] = {
    "Dockerfile": "FROM scratch\n",
    "d": Dir(0o750),
    "d/f": File("content", 0o4711),
    "d/l": Link("/etc/passwd"),
    "d/h": Hard("d/f"),
}


def opened(url: str, tmp_path: Path, sub_path: str = "") -> dict[str, Node]:
    def scratch() -> str:
        return tempfile.mkdtemp(dir=tmp_path)

    return read_tree(Path(open_context(url, sub_path=sub_path, scratch=scratch, sink=discard).path))


def archive(tree: Mapping[str, Node | str], tmp_path: Path) -> bytes:
    source = write_tree(tmp_path / "source", tree)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.add(source, arcname=".")
    return buffer.getvalue()


def members(*infos: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for info in infos:
            tar.addfile(info, io.BytesIO(b"x" * info.size))
    return buffer.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, size
    return info


EXPECTED = {
    "Dockerfile": File("FROM scratch\n"),
    "d": Dir(0o750),
    "d/f": File("content", 0o4711),
    "d/h": File("content", 0o4711),
    "d/l": Link("/etc/passwd"),
}


@pytest.mark.parametrize("prefix", ["", "dir://"])
def test_a_directory_is_used_as_it_is(prefix: str, tmp_path: Path) -> None:
    source = write_tree(tmp_path / "source", TREE)
    context = open_context(f"{prefix}{source}", sub_path="", scratch=pytest.fail, sink=discard)
    assert (context.path, context.made) == (str(source), None)


@pytest.mark.parametrize("compress", COMPRESSIONS.values(), ids=COMPRESSIONS.keys())
def test_an_archive(compress: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tmp_path / "context.tar"
    path.write_bytes(compress(archive(TREE, tmp_path)))
    assert opened(f"tar://{path}", tmp_path) == EXPECTED
    assert is_archive(str(path))


def test_an_archive_keeps_times_and_hard_links(tmp_path: Path) -> None:
    source = write_tree(tmp_path / "source", {"d/f": File("x", mtime=1234), "d/h": Hard("d/f")})
    path = tmp_path / "context.tar"
    with tarfile.open(path, "w") as tar:
        tar.add(source, arcname=".")
    directory = open_context(
        f"tar://{path}", sub_path="", scratch=lambda: tempfile.mkdtemp(dir=tmp_path), sink=discard
    ).path
    assert Path(directory, "d/f").samefile(Path(directory, "d/h"))
    assert Path(directory, "d/f").stat().st_mtime == 1234
    assert Path(directory, "d").stat().st_mtime == (source / "d").stat().st_mtime


def test_an_archive_on_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(gzip.compress(archive(TREE, tmp_path))))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert opened("tar://stdin", tmp_path) == EXPECTED


def test_an_archive_from_a_server(tmp_path: Path) -> None:
    with serve_web() as web:
        web.pages["/c.tar.gz"] = Page(gzip.compress(archive(TREE, tmp_path)))
        assert opened(f"{web.url}/c.tar.gz", tmp_path) == EXPECTED


def test_a_folder_of_any_context(tmp_path: Path) -> None:
    path = tmp_path / "context.tar"
    path.write_bytes(archive(TREE, tmp_path))
    expected = {"f": File("content", 0o4711), "h": File("content", 0o4711), "l": Link("/etc/passwd")}
    assert opened(f"tar://{path}", tmp_path, "d") == expected
    assert opened(f"{tmp_path / 'source'}", tmp_path, "/d/") == expected


HOSTILE = {
    "above": members(member("../x")),
    "above, in the middle": members(member("a/../../x")),
    "through a link": members(member("l", tarfile.SYMTYPE, "/tmp"), member("l/x")),
    "through a file": members(member("f"), member("f/x")),
    "a link to what is outside": members(member("h", tarfile.LNKTYPE, "../../etc/passwd")),
    "a link through a link": members(
        member("l", tarfile.SYMTYPE, "/etc"), member("h", tarfile.LNKTYPE, "l/passwd")
    ),
    "a link to nothing": members(member("h", tarfile.LNKTYPE, "none")),
    "a device": members(member("d", tarfile.CHRTYPE)),
    "a file over a directory": members(member("d", tarfile.DIRTYPE), member("d")),
    "cut off": members(member("f", size=10000))[:2000],
    "no tar": b"hello" * 1000,
    "damaged gzip": gzip.compress(members(member("f", size=100)))[:-20],
    "damaged xz": lzma.compress(members(member("f", size=100)))[:-20],
    "damaged bzip2": bz2.compress(members(member("f", size=100)))[:-20],
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_archive_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "context.tar"
    path.write_bytes(content)
    with pytest.raises(ContextError, match=r"context .*context.tar cannot be unpacked"):
        opened(f"tar://{path}", tmp_path)
    assert not (tmp_path / "x").exists()


def test_an_absolute_name_stays_inside(tmp_path: Path) -> None:
    path = tmp_path / "context.tar"
    path.write_bytes(members(member("/a/b", size=1)))
    assert opened(f"tar://{path}", tmp_path) == {"a": Dir(), "a/b": File("x")}


@pytest.mark.parametrize(
    ("url", "kind", "message"),
    [
        ("/none", ContextError, "the context /none does not exist"),
        ("dir:///none", ContextError, "does not exist"),
        ("/etc/passwd", ContextError, "is not a directory"),
        ("tar:///none", ContextError, "cannot unpack the context /none: No such file"),
        ("ftp://host/c.tar.gz", ContextError, "unknown kind ftp://"),
    ],
)
def test_what_cannot_be_opened(url: str, kind: type[Error], message: str, tmp_path: Path) -> None:
    with pytest.raises(kind, match=message):
        opened(url, tmp_path)


@pytest.mark.parametrize(
    ("folder", "message"),
    [("none", "has no folder 'none'"), ("f", "has no folder 'f'"), ("..", "outside"), ("l", "outside")],
)
def test_a_folder_that_is_none(folder: str, message: str, tmp_path: Path) -> None:
    source = write_tree(tmp_path / "source", {"f": "x", "l": Link("/tmp")})
    with pytest.raises(ContextError, match=message):
        opened(str(source), tmp_path, folder)


@pytest.mark.parametrize(
    "content", [b"", bytes(1024), b"text", b"x" * 5000, gzip.compress(b"text", mtime=0), b"BZh", b"\x1f\x8b"]
)
def test_what_is_no_archive(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(content)
    assert not is_archive(str(path))


def test_when_a_context_was_made(tmp_path: Path) -> None:
    def scratch() -> str:
        return tempfile.mkdtemp(dir=tmp_path)

    source = write_tree(tmp_path / "source", {"old": File("x", mtime=1000), "new": File("y", mtime=2000)})
    path = tmp_path / "context.tar"
    with tarfile.open(path, "w") as tar:
        tar.add(source, arcname=".")
    content = path.read_bytes()
    with serve_web() as web:
        web.pages["/dated"] = Page(content, headers={"Last-Modified": "Thu, 01 Jan 1970 00:00:09 GMT"})
        web.pages["/undated"] = Page(content)
        for url, made in ((f"{web.url}/dated", 9), (f"{web.url}/undated", 2000), (str(source), None)):
            assert open_context(url, sub_path="", scratch=scratch, sink=discard).made == made


def test_no_room_for_a_context_is_the_machines_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "context.tar").write_bytes(archive(TREE, tmp_path))

    def full(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fchmod", full)
    with pytest.raises(UnfitError, match=r"cannot unpack the context .*: No space left") as caught:
        opened(f"tar://{tmp_path}/context.tar", tmp_path)
    assert "KRUNNER_HOME" in caught.value.hint


@pytest.mark.parametrize("url", ["http://[x/y", "https://[::1/context.tar.gz", "http://a..b/c.tar"])
def test_what_is_no_url_is_a_fault_of_the_context(url: str, tmp_path: Path) -> None:
    with pytest.raises(ContextError):
        opened(url, tmp_path)
