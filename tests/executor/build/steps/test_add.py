"""ADD: archives, downloads and repositories; what it shares with COPY is tested there."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import os
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import zstandard

from executor.build.copying.copy import CopyRequest
from executor.build.steps.add import AddRequest, add
from executor.context.base import ContextTree
from executor.dockerfile.ignore import IgnoreMatcher
from executor.dockerfile.instructions import Heredoc
from executor.errors import ContextError, Error, Location, StepError
from executor.events import discard
from tests.support.fake_web import Page, Web, make_repository, serve_web
from tests.support.trees import Dir, File, Hard, Link, Node, read_tree, write_tree

PLACE = Location("Dockerfile", 3)
COPY_FLAGS = ("mode", "owner", "excludes", "link", "documents", "cwd")
COMPRESSIONS: Mapping[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}


@pytest.fixture
def web() -> Iterator[Web]:
    with serve_web() as server:
        yield server


class Bench:
    """A context and a root, and ADD between them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.context = write_tree(folder / "context", {})
        self.root = write_tree(folder / "root", {})

    def add(self, text: str, ignore: tuple[str, ...] = (), **options: Any) -> dict[str, Node]:
        *sources, destination = text.split()
        shared = {name: options.pop(name) for name in COPY_FLAGS if name in options}
        copy = CopyRequest(sources=tuple(sources), destination=destination, location=PLACE, **shared)
        tree = ContextTree(str(self.context), IgnoreMatcher(ignore) if ignore else None)
        add(AddRequest(copy=copy, **options), tree, str(self.root), self.scratch, discard)
        assert not [name for name in os.listdir(self.folder) if name.startswith("scratch")]
        return read_tree(self.root)

    def scratch(self) -> str:
        return tempfile.mkdtemp(prefix="scratch", dir=self.folder)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def archive(*members: tuple[str, bytes, str]) -> bytes:
    """A tar of (name, kind, link or content), owned by whoever runs the tests."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, kind, text in members:
            info = tarfile.TarInfo(name)
            info.type, info.mtime, info.uid, info.gid = kind, 1000, os.geteuid(), os.getegid()
            info.mode = 0o700 if kind == tarfile.DIRTYPE else 0o640
            content = b""
            if kind == tarfile.REGTYPE:
                content = text.encode()
                info.size = len(content)
            else:
                info.linkname = text
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


REG, DIR, SYM, LNK = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
ARCHIVE = archive((".", DIR, ""), ("d", DIR, ""), ("d/f", REG, "x"), ("d/l", SYM, "f"), ("h", LNK, "d/f"))
UNPACKED = {
    "d": Dir(0o700),
    "d/f": File("x", 0o640),
    "d/l": Link("f"),
    "h": File("x", 0o640),
}


def below(folder: str, tree: Mapping[str, Node]) -> dict[str, Node]:
    return {folder: Dir(), **{f"{folder}/{name}": node for name, node in tree.items()}}


@pytest.mark.parametrize("compress", COMPRESSIONS.values(), ids=COMPRESSIONS.keys())
def test_archives_are_unpacked(compress: Callable[[bytes], bytes], bench: Bench) -> None:
    (bench.context / "any.name").write_bytes(compress(ARCHIVE))
    assert bench.add("any.name /x") == below("x", UNPACKED)
    assert (bench.root / "x/d/f").samefile(bench.root / "x/h")
    assert (bench.root / "x/d").stat().st_mtime == 1000


def test_unpacking_joins_directories_and_replaces_the_rest(bench: Bench) -> None:
    write_tree(bench.root, {"d": Dir(0o777), "d/kept": "k", "d/f": Link("/etc/passwd"), "h/was": "a directory"})
    (bench.context / "a.tar").write_bytes(ARCHIVE)
    assert bench.add("a.tar /") == {**UNPACKED, "d/kept": File("k")}


def test_a_pattern_unpacks_archives_and_copies_the_rest(bench: Bench) -> None:
    (bench.context / "a.tar").write_bytes(ARCHIVE)
    (bench.context / "b.txt").write_text("b")
    assert bench.add("*.t* /x/") == below("x", {**UNPACKED, "b.txt": File("b")})


def test_chmod_is_not_for_what_is_unpacked(bench: Bench) -> None:
    (bench.context / "a.tar").write_bytes(ARCHIVE)
    assert bench.add("a.tar /x", mode="777") == below("x", UNPACKED)


def test_unpack_false_copies_archives(bench: Bench) -> None:
    (bench.context / "a.tar").write_bytes(ARCHIVE)
    bench.add("a.tar /x/", unpack=False)
    assert (bench.root / "x/a.tar").read_bytes() == ARCHIVE


def test_archives_in_directories_are_copied(bench: Bench) -> None:
    (bench.context / "d").mkdir()
    (bench.context / "d/a.tar").write_bytes(ARCHIVE)
    bench.add("d /x/")
    assert (bench.root / "x/a.tar").read_bytes() == ARCHIVE


def test_a_directory_with_ignored_and_excluded_files(bench: Bench) -> None:
    write_tree(bench.context, {"d/a": "1", "d/b": "2", "d/c": "3"})
    assert bench.add("d /", ignore=("d/a",), excludes=("b",)) == {"c": File("3")}


@pytest.mark.parametrize(
    ("members", "inside"),
    [
        ([("l", SYM, "/"), ("l/x", REG, "in")], {"x": File("in", 0o640), "l": Link("/")}),
        ([("l", SYM, "../../.."), ("l/x", REG, "in")], {"x": File("in", 0o640), "l": Link("../../..")}),
        (
            [("l", SYM, "/other"), ("l/x", REG, "in")],
            {"other": Dir(), "other/x": File("in", 0o640), "l": Link("/other")},
        ),
        ([("/a", REG, "in")], {"a": File("in", 0o640)}),
    ],
)
def test_links_in_archives_lead_nowhere_outside_of_the_destination(
    members: list[tuple[str, bytes, str]], inside: dict[str, Node], bench: Bench
) -> None:
    (bench.context / "a.tar").write_bytes(archive(*members))
    assert bench.add("a.tar /x/") == below("x", inside)


@pytest.mark.parametrize(
    "members",
    [
        [("../x", REG, "out")],
        [("h", LNK, "../f")],
        [("h", LNK, "none")],
    ],
)
def test_archives_that_reach_out_are_refused(members: list[tuple[str, bytes, str]], bench: Bench) -> None:
    write_tree(bench.root, {"f": "x"})
    (bench.context / "a.tar").write_bytes(archive(*members))
    with pytest.raises(StepError, match=r"Dockerfile:3: cannot .*"):
        bench.add("a.tar /d/")
    assert set(read_tree(bench.root)) == {"f", "d"}


def test_a_damaged_archive_is_refused(bench: Bench) -> None:
    noise = os.urandom(100_000).hex()
    (bench.context / "a.tgz").write_bytes(gzip.compress(archive(("f", REG, noise)))[:-1000])
    with pytest.raises(StepError, match=r"Dockerfile:3: cannot unpack /a.tgz: "):
        bench.add("a.tgz /d/")


@pytest.mark.parametrize("content", [b"", b"text", gzip.compress(b"text", mtime=0), bytes(2048)])
def test_what_is_no_archive_is_copied(content: bytes, bench: Bench) -> None:
    (bench.context / "a.tar").write_bytes(content)
    bench.add("a.tar /")
    assert (bench.root / "a.tar").read_bytes() == content


def test_a_link_to_an_archive_is_followed(bench: Bench) -> None:
    (bench.context / "real").write_bytes(ARCHIVE)
    (bench.context / "l").symlink_to("real")
    assert bench.add("l /x") == below("x", UNPACKED)


def test_downloads(bench: Bench, web: Web) -> None:
    web.pages["/p/f.txt"] = Page(b"body", headers={"Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT"})
    assert bench.add(f"{web.url}/p/f.txt?x=y /d/") == below("d", {"f.txt": File("body", 0o600)})
    assert (bench.root / "d/f.txt").stat().st_mtime == 1445412480


def test_a_download_to_a_name_with_a_mode(bench: Bench, web: Web) -> None:
    web.pages["/f"] = Page(b"body")
    assert bench.add(f"{web.url}/f /g", mode="a=rx") == {"g": File("body", 0o555)}
    assert (bench.root / "g").stat().st_mtime == 0


def test_downloads_are_unpacked_only_when_asked(bench: Bench, web: Web) -> None:
    web.pages["/a.tgz"] = Page(gzip.compress(ARCHIVE))
    bench.add(f"{web.url}/a.tgz /d/")
    assert gzip.decompress((bench.root / "d/a.tgz").read_bytes()) == ARCHIVE
    assert bench.add(f"{web.url}/a.tgz /x/", unpack=True)["x/d/f"] == File("x", 0o640)


def test_checksums(bench: Bench, web: Web) -> None:
    web.pages["/f"] = Page(b"body")
    good = f"sha256:{hashlib.sha256(b'body').hexdigest()}"
    assert bench.add(f"{web.url}/f /", checksum=good) == {"f": File("body", 0o600)}
    with pytest.raises(ContextError, match=r"Dockerfile:3: .* has the digest sha256:.*, not sha256:00"):
        bench.add(f"{web.url}/f /", checksum=f"sha256:{'0' * 64}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("f /", "--checksum needs a source that is a URL"),
        ("http://h/a http://h/b /x/", "--checksum cannot be given for several sources"),
    ],
)
def test_where_checksums_make_no_sense(text: str, message: str, bench: Bench) -> None:
    with pytest.raises(StepError, match=message):
        bench.add(text, checksum=f"sha256:{'0' * 64}")


def test_a_download_that_is_not_there(bench: Bench, web: Web) -> None:
    with pytest.raises(ContextError, match=r"Dockerfile:3: http://127.0.0.1:\d+/none: the server answered 404"):
        bench.add(f"{web.url}/none /")
    assert read_tree(bench.root) == {}


def test_repositories(bench: Bench, web: Web) -> None:
    web.repositories = bench.folder / "repositories"
    web.repositories.mkdir()
    commit = make_repository(web.repositories / "a.git", {"f": "1", "d/g": "2"}, tag="v1")
    expected = {"f": File("1"), "d": Dir(), "d/g": File("2")}
    assert bench.add(f"{web.url}/a.git#v1 /x") == below("x", expected)
    assert bench.add(f"{web.url}/a.git#:d /y", checksum=commit, excludes=("none",))["y/g"] == File("2")
    assert "z/.git/HEAD" in bench.add(f"{web.url}/a.git /z", keep_git_dir=True)


def test_sources_of_every_kind_together(bench: Bench, web: Web) -> None:
    web.pages["/f"] = Page(b"body")
    write_tree(bench.context, {"g": "x", "d/e": Hard("g")})
    document = Heredoc("EOF", "text\n", written="<<EOF")
    assert bench.add(f"{web.url}/f g d w/", documents=(document,), cwd="/x") == {
        "x": Dir(),
        "x/w": Dir(),
        "x/w/f": File("body", 0o600),
        "x/w/g": File("x"),
        "x/w/e": File("x"),
        "x/w/EOF": File("text\n"),
    }


def test_a_missing_source(bench: Bench) -> None:
    with pytest.raises(Error, match='Dockerfile:3: "/none": not found'):
        bench.add("none /")


def test_link(bench: Bench) -> None:
    write_tree(bench.root, {"l": Link("/real"), "real/f": "y"})
    (bench.context / "a.tar").write_bytes(ARCHIVE)
    found = bench.add("a.tar /l/", link=True)
    assert found == {**below("l", UNPACKED), "real": Dir(), "real/f": File("y")}


def test_a_query_says_what_to_take_of_a_repository(bench: Bench, web: Web, tmp_path: Path) -> None:
    web.repositories = tmp_path / "repositories"
    web.repositories.mkdir()
    commit = make_repository(web.repositories / "a.git", {"d/g": "2", "f": "1"}, branch="other")
    query = f"branch=other&subdir=d&commit={commit[:10]}&keep-git-dir=0"
    assert bench.add(f"{web.url}/a.git?{query} /", checksum=commit[:10]) == {"g": File("2")}


@pytest.mark.parametrize(
    ("query", "options", "message"),
    [
        ("keep-git-dir=true", {"keep_git_dir": False}, "--keep-git-dir and keep-git-dir in the URL contradict"),
        ("commit=ab", {"checksum": "cd"}, "--checksum=cd and the commit ab in the URL contradict"),
    ],
)
def test_flags_that_contradict_the_query(query: str, options: dict[str, Any], message: str, bench: Bench) -> None:
    with pytest.raises(StepError, match=message) as caught:
        bench.add(f"https://host/a.git?{query} /", **options)
    assert caught.value.location == PLACE
