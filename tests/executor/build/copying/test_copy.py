"""COPY, case by case: a context, a root, an instruction, and the root that must come of it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from executor.build.copying.copy import CopyRequest, copy_from_context, copy_from_root
from executor.context.base import ContextTree
from executor.dockerfile.ignore import IgnoreMatcher, parse_ignore
from executor.dockerfile.instructions import Heredoc
from executor.errors import Error, Location, StepError
from tests.support.trees import Dir, Fifo, File, Hard, Link, Node, read_tree, write_tree

PLACE = Location("Dockerfile", 3)


@pytest.fixture(params=[0o022, 0o077], ids=["umask022", "umask077"], autouse=True)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    """Nothing that COPY does depends on the umask."""
    before = os.umask(request.param)
    yield
    os.umask(before)


@dataclass(frozen=True, kw_only=True)
class Case:
    context: Mapping[str, Node | str]
    copy: str
    expected: Mapping[str, Node]
    root: Mapping[str, Node | str] = field(default_factory=dict)
    ignore: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


def instruct(text: str, **options: Any) -> CopyRequest:
    *sources, destination = text.split()
    return CopyRequest(sources=tuple(sources), destination=destination, location=PLACE, **options)


def scratch() -> str:
    return tempfile.mkdtemp()


def perform(case: Case, tmp_path: Path) -> dict[str, Node]:
    context = write_tree(tmp_path / "context", case.context)
    root = write_tree(tmp_path / "root", case.root)
    rules = IgnoreMatcher(parse_ignore(case.ignore)) if case.ignore else None
    copy_from_context(instruct(case.copy, **case.options), ContextTree(str(context), rules), str(root), scratch)
    return read_tree(root)


TREE: Mapping[str, Node | str] = {
    "d": Dir(0o750),
    "d/a": File("a", 0o600),
    "d/sub": Dir(0o711),
    "d/sub/b": "b",
    "d/l": Link("sub/b"),
}

CASES = {
    "file to a new name": Case(context={"f": "x"}, copy="f /g", expected={"g": File("x")}),
    "file into a directory named with a slash": Case(
        context={"f": "x"}, copy="f /a/b/", expected={"a": Dir(), "a/b": Dir(), "a/b/f": File("x")}
    ),
    "parents that are missing are 0755": Case(
        context={"f": "x"}, copy="f /a/b/g", expected={"a": Dir(), "a/b": Dir(), "a/b/g": File("x")}
    ),
    "file into a directory that exists, whose mode stays": Case(
        context={"f": "x"}, root={"a": Dir(0o1777)}, copy="f /a", expected={"a": Dir(0o1777), "a/f": File("x")}
    ),
    "relative to the working directory": Case(
        context={"f": "x"}, copy="f g", options={"cwd": "/w"}, expected={"w": Dir(), "w/g": File("x")}
    ),
    "dot is the working directory, as a directory": Case(
        context={"f": "x"}, copy="f .", options={"cwd": "/w"}, expected={"w": Dir(), "w/f": File("x")}
    ),
    "a directory gives what is in it; the new one is 0755 whatever the source": Case(
        context=TREE,
        copy="d /x",
        expected={
            "x": Dir(),
            "x/a": File("a", 0o600),
            "x/sub": Dir(0o711),
            "x/sub/b": File("b"),
            "x/l": Link("sub/b"),
        },
    ),
    "directories below the destination take the source's mode": Case(
        context={"d/sub": Dir(0o711)},
        root={"x": Dir(0o700), "x/sub": Dir(0o777)},
        copy="d /x",
        expected={"x": Dir(0o700), "x/sub": Dir(0o711)},
    ),
    "several sources": Case(
        context={"f": "1", "d/g": "2"}, copy="f d /x/", expected={"x": Dir(), "x/f": File("1"), "x/g": File("2")}
    ),
    "setuid, setgid and sticky stay": Case(
        context={"f": File("x", 0o6755), "d/t": Dir(0o1777)},
        copy="f d /",
        expected={"f": File("x", 0o6755), "t": Dir(0o1777)},
    ),
    "a file replaces a file, whatever its mode": Case(
        context={"f": "new"}, root={"f": File("old", 0o400)}, copy="f /", expected={"f": File("new")}
    ),
    "a file replaces a link in a directory, it does not write through it": Case(
        context={"d/f": "new"},
        root={"f": Link("other"), "other": "old"},
        copy="d /",
        expected={"f": File("new"), "other": File("old")},
    ),
    "the destination's own link is followed": Case(
        context={"f": "new"},
        root={"f": Link("/other"), "other": "old"},
        copy="f /f",
        expected={"f": Link("/other"), "other": File("new")},
    ),
    "a link in the destination's path is followed inside the root": Case(
        context={"f": "x"},
        root={"l": Link("/real"), "real": Dir()},
        copy="f /l/f",
        expected={"l": Link("/real"), "real": Dir(), "real/f": File("x")},
    ),
    "a destination above the root is the root": Case(
        context={"f": "x"},
        root={"up": Link("../../..")},
        copy="f /up/g",
        expected={"up": Link("../../.."), "g": File("x")},
    ),
    "a dangling link as the destination names what is made": Case(
        context={"f": "x"},
        root={"l": Link("/a/b")},
        copy="f /l",
        expected={"l": Link("/a/b"), "a": Dir(), "a/b": File("x")},
    ),
    "a source that is a link is followed, its own name counts": Case(
        context={"l": Link("f"), "f": "x"}, copy="l /d/", expected={"d": Dir(), "d/l": File("x")}
    ),
    "a link to a directory is followed": Case(
        context={"l": Link("d"), "d/f": "x"}, copy="l /d", expected={"d": Dir(), "d/f": File("x")}
    ),
    "links of the context lead nowhere outside of it": Case(
        context={"l": Link("/etc"), "etc/passwd": "ours"}, copy="l/passwd /", expected={"passwd": File("ours")}
    ),
    "a source above the context is the context": Case(
        context={"f": "x"}, copy="../../f /", expected={"f": File("x")}
    ),
    "fifos are copied": Case(context={"d/p": Fifo(0o620)}, copy="d /", expected={"p": Fifo(0o620)}),
    "wildcards": Case(
        context={"a.txt": "a", "b.txt": "b", "c.md": "c", "d.txt/in": "d"},
        copy="*.txt /x/",
        expected={"x": Dir(), "x/a.txt": File("a"), "x/b.txt": File("b"), "x/in": File("d")},
    ),
    "wildcards in several components": Case(
        context={"a/1/f": "1", "b/2/f": "2", "b/2/g": "3", "b/f": "4"},
        copy="?/[1-2]/f* /x/",
        expected={"x": Dir(), "x/f": File("2")},
    ),
    "brackets are made plain by brackets": Case(
        context={"a[0]": "x", "a0": "y"}, copy="a[[]0] /x/", expected={"x": Dir(), "x/a[0]": File("x")}
    ),
    "a pattern without a match is nothing": Case(
        context={"f": "x"}, copy="f none* /x/", expected={"x": Dir(), "x/f": File("x")}
    ),
    "chmod octal, directories and made parents too": Case(
        context={"d/sub/f": "x"},
        copy="d /x",
        options={"mode": "0700"},
        expected={"x": Dir(0o700), "x/sub": Dir(0o700), "x/sub/f": File("x", 0o700)},
    ),
    "chmod symbolic": Case(
        context={"d/sub/f": File("x", 0o640), "d/x": File("x", 0o755)},
        copy="d /x",
        options={"mode": "u=rwX,go=rX"},
        expected={"x": Dir(), "x/sub": Dir(0o755), "x/sub/f": File("x", 0o644), "x/x": File("x", 0o755)},
    ),
    "exclude": Case(
        context={"d/a.go": "1", "d/b.txt": "2", "d/s/c.txt": "3", "d/s/d.go": "4"},
        copy="d /x",
        options={"excludes": ("*.txt", "s/*.go")},
        expected={"x": Dir(), "x/a.go": File("1"), "x/s": Dir(), "x/s/c.txt": File("3")},
    ),
    "exclude with an exception": Case(
        context={"d/s/c": "3", "d/s/d": "4", "d/t/e": "5"},
        copy="d /x",
        options={"excludes": ("s", "t", "!s/d")},
        expected={"x": Dir(), "x/s": Dir(), "x/s/d": File("4")},
    ),
    "exclude does not touch a file that is named": Case(
        context={"a.txt": "1"}, copy="a.txt /", options={"excludes": ("*.txt",)}, expected={"a.txt": File("1")}
    ),
    "parents": Case(
        context={"a": Dir(0o711), "a/b/f": "x", "a/g": "y"},
        copy="a/b/f /x/",
        options={"parents": True},
        expected={"x": Dir(), "x/a": Dir(0o711), "x/a/b": Dir(), "x/a/b/f": File("x")},
    ),
    "parents with a pivot and wildcards": Case(
        context={"a/b/c/f": "x", "a/b/d/f": "y", "a/b/g": "z"},
        copy="a/./b/*/f /",
        options={"parents": True},
        expected={"b": Dir(), "b/c": Dir(), "b/c/f": File("x"), "b/d": Dir(), "b/d/f": File("y")},
    ),
    "parents of a directory": Case(
        context={"a/b/f": "x", "a/b/s/g": "y"},
        copy="a/b /",
        options={"parents": True},
        expected={"a": Dir(), "a/b": Dir(), "a/b/f": File("x"), "a/b/s": Dir(), "a/b/s/g": File("y")},
    ),
    "link replaces links in the destination's path": Case(
        context={"f": "x"},
        root={"l": Link("/real"), "real": Dir()},
        copy="f /l/f",
        options={"link": True},
        expected={"l": Dir(), "l/f": File("x"), "real": Dir()},
    ),
    "link keeps what is beside": Case(
        context={"f": "x"},
        root={"d/g": "y"},
        copy="f /d/",
        options={"link": True},
        expected={"d": Dir(), "d/f": File("x"), "d/g": File("y")},
    ),
    "link lets a file take the place of a directory": Case(
        context={"f": "x"}, root={"d/g": "y"}, copy="f /d", options={"link": True}, expected={"d": File("x")}
    ),
    "heredocs": Case(
        context={},
        copy="/x/",
        options={"documents": (Heredoc("a", "one\n", written="<<a"), Heredoc("b", "two\n", written="<<b"))},
        expected={"x": Dir(), "x/a": File("one\n"), "x/b": File("two\n")},
    ),
    "a heredoc to a name": Case(
        context={},
        copy="/x",
        options={"documents": (Heredoc("EOF", "one\n", written="<<EOF"),), "mode": "755"},
        expected={"x": File("one\n", 0o755)},
    ),
    "ignored files are left out": Case(
        context={"a": "1", "b.log": "2", "d/c.log": "3", "d/e": "4", "n/x": "5"},
        ignore="**/*.log\nn\n",
        copy=". /",
        expected={"a": File("1"), "d": Dir(), "d/e": File("4")},
    ),
    "an ignored directory with an exception": Case(
        context={"n": Dir(0o700), "n/x": "5", "n/y/z": "6"},
        ignore="n\n!n/y\n",
        copy=". /",
        expected={"n": Dir(0o700), "n/y": Dir(), "n/y/z": File("6")},
    ),
    "an ignored directory with an exception, named": Case(
        context={"n/x": "5", "n/y/z": "6"},
        ignore="n\n!n/y\n",
        copy="n /n/",
        expected={"n": Dir(), "n/y": Dir(), "n/y/z": File("6")},
    ),
    "ignored files do not match wildcards": Case(
        context={"a.txt": "1", "b.txt": "2"}, ignore="b.txt", copy="*.txt /", expected={"a.txt": File("1")}
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_copy(case: Case, tmp_path: Path) -> None:
    assert perform(case, tmp_path) == case.expected


@dataclass(frozen=True, kw_only=True)
class Fault:
    copy: str
    message: str
    context: Mapping[str, Node | str] = field(default_factory=lambda: {"f": "x", "d/g": "y"})
    root: Mapping[str, Node | str] = field(default_factory=dict)
    ignore: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


FAULTS = {
    "missing": Fault(copy="none /", message='"/none": not found'),
    "missing below a file": Fault(copy="f/none /", message='"/f/none": not found'),
    "missing folder of a pattern": Fault(copy="none/* /", message='"/none": not found'),
    "ignored": Fault(copy="f /", ignore="f", message='"/f": not found'),
    "in an ignored directory": Fault(copy="d/g /", ignore="d", message='"/d/g": not found'),
    "a link to what is ignored": Fault(
        copy="l /", context={"l": Link("f"), "f": "x"}, ignore="f", message='"/l": not found'
    ),
    "an ignored directory with an exception that lets nothing in": Fault(
        copy="d /", ignore="d\n!d/none", message='"/d": not found'
    ),
    "a file over a directory": Fault(
        copy="d /", root={"g": Dir()}, message="cannot copy /g: a directory cannot be replaced by a file"
    ),
    "a directory over a file": Fault(
        copy="d /x",
        root={"x": "x"},
        message="cannot copy /x: a directory cannot be copied over what is no directory",
    ),
    "a directory over a link to a directory": Fault(
        copy=". /",
        context={"lib/g": "y"},
        root={"lib": Link("usr")},
        message="cannot copy /lib: a directory cannot be copied over what is no directory",
    ),
    "into a file": Fault(
        copy="f /x/", root={"x": "x"}, message="cannot make the directory /x: /x is not a directory"
    ),
    "a URL": Fault(copy="http://me:pw@h/f /", message="COPY cannot have the URL http://h/f as a source"),
    "a repository": Fault(copy="git@h:a/b.git /", message="COPY cannot have the URL git@h:a/b.git as a source"),
    "a malformed pattern": Fault(copy="[a /", message="bad pattern"),
    "a malformed mode": Fault(copy="f /", options={"mode": "u+q"}, message="invalid --chmod value 'u+q'"),
    "a mode too large": Fault(copy="f /", options={"mode": "17777"}, message="invalid --chmod value '17777'"),
    "--parents of nothing": Fault(copy="d/none /", options={"parents": True}, message='"/d/none": not found'),
    "--parents of what is excluded": Fault(
        copy="d/g /", options={"parents": True, "excludes": ("d/g",)}, message='"/d/g": not found'
    ),
    "a loop of links": Fault(copy="l /", context={"l": Link("l")}, message="too many levels of symbolic links"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_what_cannot_be_copied_is_named_with_its_place(fault: Fault, tmp_path: Path) -> None:
    case = Case(
        context=fault.context,
        copy=fault.copy,
        root=fault.root,
        ignore=fault.ignore,
        options=fault.options,
        expected={},
    )
    with pytest.raises(Error) as caught:
        perform(case, tmp_path)
    assert fault.message in str(caught.value)
    assert str(caught.value).startswith("Dockerfile:3")
    assert str(tmp_path) not in str(caught.value)


def test_an_ignored_source_says_so(tmp_path: Path) -> None:
    case = Case(context={"f": "x"}, ignore="f", copy="f /", expected={})
    with pytest.raises(StepError) as caught:
        perform(case, tmp_path)
    assert ".dockerignore" in caught.value.hint


def test_copying_from_a_stage_resolves_links_inside_it(tmp_path: Path) -> None:
    source = write_tree(tmp_path / "stage", {"bin": Link("/usr/bin"), "usr/bin/tool": File("t", 0o755)})
    root = write_tree(tmp_path / "root", {})
    copy_from_root(instruct("/bin/tool /t"), str(source), str(root), scratch)
    assert read_tree(root) == {"t": File("t", 0o755)}


def test_hard_links_of_a_directory_are_kept_and_those_of_two_sources_are_not(tmp_path: Path) -> None:
    context = write_tree(tmp_path / "context", {"d/a": "x", "d/s/b": Hard("d/a"), "c": Hard("d/a")})
    root = write_tree(tmp_path / "root", {})
    copy_from_context(instruct("d c /"), ContextTree(str(context)), str(root), scratch)
    assert (root / "a").samefile(root / "s/b")
    assert not (root / "a").samefile(root / "c")


def test_times_are_kept_to_the_nanosecond(tmp_path: Path) -> None:
    context = write_tree(tmp_path / "context", {"d/s/f": "x", "d/s/l": Link("f")})
    for number, name in enumerate(("d/s/f", "d/s/l", "d/s", "d"), start=1):
        os.utime(context / name, ns=(number, 10**18 + number), follow_symlinks=False)
    root = write_tree(tmp_path / "root", {"x": Dir()})
    copy_from_context(instruct("d /x"), ContextTree(str(context)), str(root), scratch)
    found = {name: (root / name).lstat().st_mtime_ns - 10**18 for name in ("x/s/f", "x/s/l", "x/s", "x")}
    assert found == {"x/s/f": 1, "x/s/l": 2, "x/s": 3, "x": 4}


@pytest.mark.parametrize("size", [0, 1, 64 * 1024, 64 * 1024 + 1, 3 * 1024 * 1024 + 7])
def test_content_of_every_size(size: int, tmp_path: Path) -> None:
    content = os.urandom(size)
    context = write_tree(tmp_path / "context", {})
    (context / "f").write_bytes(content)
    root = write_tree(tmp_path / "root", {})
    copy_from_context(instruct("f /"), ContextTree(str(context)), str(root), scratch)
    assert (root / "f").read_bytes() == content


def test_holes_stay_holes(tmp_path: Path) -> None:
    context = write_tree(tmp_path / "context", {})
    with open(context / "f", "wb") as file:
        file.seek(8 << 20)
        file.write(b"middle")
        file.truncate(32 << 20)
    root = write_tree(tmp_path / "root", {})
    copy_from_context(instruct("f /"), ContextTree(str(context)), str(root), scratch)
    assert (root / "f").read_bytes() == (context / "f").read_bytes()
    assert (root / "f").stat().st_blocks * 512 < 1 << 20


def test_a_tree_deeper_than_the_stack_and_wider_than_the_descriptors(tmp_path: Path) -> None:
    depth = 1200
    context = write_tree(tmp_path / "context", {"d": Dir()})
    for _ in range(depth):  # made and taken apart at the top: everything recursive gives up on such a tree
        (context / "d").rename(context / "n")
        (context / "d").mkdir()
        (context / "n").rename(context / "d" / "n")
    root = write_tree(tmp_path / "root", {})
    copy_from_context(instruct("d /d"), ContextTree(str(context)), str(root), scratch)
    assert _take_apart(root) == depth
    _take_apart(context)


def _take_apart(top: Path) -> int:
    levels = 0
    while (top / "d/n").exists():
        (top / "d/n").rename(top / "n")
        (top / "d").rmdir()
        (top / "n").rename(top / "d")
        levels += 1
    return levels
