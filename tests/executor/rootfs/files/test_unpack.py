"""Unpacking layers: whiteouts both ways, links in parents, and layers that try to leave the root."""

from __future__ import annotations

import contextlib
import io
import os
import stat
from collections.abc import Iterable
from pathlib import Path

import pytest

from executor.errors import ImageError
from executor.image.layer import EntryType
from executor.image.tar import write_layer
from executor.rootfs.files.unpack import NeedsLowerLayersError, apply_layer, unpack_overlay_layer
from tests.support.layers import Item, directory, file, item, symlink, whiteout

SQUASH = os.geteuid() != 0


def hardlink(name: str, link: str) -> Item:
    return item(name, EntryType.HARDLINK, link=link)


def opaque(name: str) -> Item:
    return file(f"{name}/.wh..wh..opq", b"")


def layer(items: Iterable[Item]) -> io.BytesIO:
    out = io.BytesIO()
    write_layer(items, out.write)
    out.seek(0)
    return out


def applied(root: Path, *layers: Iterable[Item]) -> list[str]:
    root.mkdir(exist_ok=True)
    for items in layers:
        apply_layer(layer(items), str(root), squash=SQUASH)
    return listing(root)


def isolated(root: Path, items: Iterable[Item]) -> list[str]:
    root.mkdir(exist_ok=True)
    unpack_overlay_layer(layer(items), str(root), namespace="user", squash=SQUASH)
    return listing(root)


def listing(root: Path) -> list[str]:
    found = []
    for path in root.rglob("*"):
        name = str(path.relative_to(root))
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            name += f" -> {os.readlink(path)}"
        elif stat.S_ISREG(status.st_mode):
            name += f" = {path.read_text()}"
        elif stat.S_ISCHR(status.st_mode):
            name += " whited out"
        elif "user.overlay.opaque" in os.listxattr(path):
            name += "/ opaque"
        else:
            name += "/"
        found.append(name)
    return sorted(found)


BASE = [
    directory("d"),
    file("d/a"),
    file("d/b"),
    directory("d/sub"),
    file("d/sub/c"),
    file("f"),
    symlink("l", "d"),
]


def test_entries_of_every_kind(tmp_path: Path) -> None:
    root = tmp_path / "root"
    items = [
        directory("", mode=0o711, mtime_ns=7_000_000_000),
        directory("d", mode=0o1777, mtime_ns=5_000_000_000),
        file("d/f", b"data", mode=0o4755, mtime_ns=3_000_000_000, xattrs={"user.note": b"\0\1"}),
        hardlink("d/g", "d/f"),
        symlink("d/s", "/nowhere"),
        item("d/p", EntryType.FIFO),
        file("d/big", bytes(600_000)),
    ]
    root.mkdir()
    assert apply_layer(layer(items), str(root), squash=SQUASH)
    status = (root / "d/f").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_mtime_ns, status.st_nlink) == (0o4755, 3_000_000_000, 2)
    assert os.getxattr(root / "d/f", "user.note") == b"\0\1"
    assert os.readlink(root / "d/s") == "/nowhere"
    assert stat.S_ISFIFO((root / "d/p").lstat().st_mode)
    assert (root / "d/big").read_bytes() == bytes(600_000)
    assert (stat.S_IMODE((root / "d").stat().st_mode), (root / "d").stat().st_mtime_ns) == (0o1777, 5_000_000_000)
    assert (stat.S_IMODE(root.stat().st_mode), root.stat().st_mtime_ns) == (0o711, 7_000_000_000)


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([whiteout("d/a"), whiteout("f")], ["d/", "d/b = x", "d/sub/", "d/sub/c = x", "l -> d"]),
        ([whiteout("d")], ["f = x", "l -> d"]),
        ([opaque("d"), file("d/new")], ["d/", "d/new = x", "f = x", "l -> d"]),
        ([file("d/new"), opaque("d")], ["d/", "d/new = x", "f = x", "l -> d"]),
        ([file("d/sub/new"), opaque("d")], ["d/", "d/sub/", "d/sub/new = x", "f = x", "l -> d"]),
        ([file("d/a", b"new"), whiteout("d/a"), whiteout("d/b")],
         ["d/", "d/a = new", "d/sub/", "d/sub/c = x", "f = x", "l -> d"]),
        ([whiteout("d"), directory("d"), file("d/n")], ["d/", "d/n = x", "f = x", "l -> d"]),
        ([directory("d"), file("d/n"), whiteout("d")], ["d/", "d/n = x", "f = x", "l -> d"]),
        ([file("d", b"now a file")], ["d = now a file", "f = x", "l -> d"]),
        ([directory("f"), file("f/x")],
         ["d/", "d/a = x", "d/b = x", "d/sub/", "d/sub/c = x", "f/", "f/x = x", "l -> d"]),
        ([file("l/via")], ["d/", "d/a = x", "d/b = x", "d/sub/", "d/sub/c = x", "d/via = x", "f = x", "l -> d"]),
        ([directory("l"), file("l/x")],
         ["d/", "d/a = x", "d/b = x", "d/sub/", "d/sub/c = x", "f = x", "l/", "l/x = x"]),
        ([whiteout("none"), whiteout("d/sub/none"), file(".wh..wh.plnk", b"")],
         ["d/", "d/a = x", "d/b = x", "d/sub/", "d/sub/c = x", "f = x", "l -> d"]),
        ([opaque("l"), file("l/own")], ["d/", "d/own = x", "f = x", "l -> d"]),
        ([hardlink("h", "d/a"), whiteout("d"), whiteout("l")], ["f = x", "h = x"]),
    ],
)  # fmt: skip
def test_a_layer_on_another(items: list[Item], expected: list[str], tmp_path: Path) -> None:
    assert applied(tmp_path / "root", BASE, items) == expected


def test_a_tree_deeper_than_the_stack_is_hidden(tmp_path: Path) -> None:
    deep = "/".join("d" * 1500)
    assert applied(tmp_path / "root", [directory(deep), file(f"{deep}/f"), file("g")], [whiteout("d")]) == [
        "g = x"
    ]


def test_whiteouts_do_not_hide_entries_named_through_links(tmp_path: Path) -> None:
    items = [file("l/mine"), opaque("d")]
    assert applied(tmp_path / "root", BASE, items) == ["d/", "d/mine = x", "f = x", "l -> d"]


def test_implied_parents_are_made_plainly(tmp_path: Path) -> None:
    assert applied(tmp_path / "root", [file("x/y/z")]) == ["x/", "x/y/", "x/y/z = x"]
    assert stat.S_IMODE((tmp_path / "root/x").stat().st_mode) == 0o755


def test_a_directory_entry_keeps_content_and_replaces_the_rest(tmp_path: Path) -> None:
    root = tmp_path / "root"
    first = [directory("d", mode=0o700, xattrs={"user.a": b"1"}), file("d/f")]
    assert applied(root, first, [directory("d", mode=0o2755, xattrs={"user.b": b"2"})]) == ["d/", "d/f = x"]
    assert os.listxattr(root / "d") == ["user.b"]
    assert stat.S_IMODE((root / "d").stat().st_mode) == 0o2755


# ---- overlayfs's form


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([whiteout("a"), directory("d"), whiteout("d/b")], ["a whited out", "d/", "d/b whited out"]),
        ([directory("d"), opaque("d"), file("d/x")], ["d/ opaque", "d/x = x"]),
        ([whiteout("d"), directory("d"), file("d/x")], ["d/ opaque", "d/x = x"]),
        ([directory("d"), file("d/x"), whiteout("d")], ["d/ opaque", "d/x = x"]),
        ([whiteout("f"), file("f")], ["f = x"]),
        ([file("f"), whiteout("f")], ["f = x"]),
        ([file("f"), directory("f")], ["f/ opaque"]),
        ([directory("d"), file("d/x"), hardlink("h", "d/x")], ["d/", "d/x = x", "h = x"]),
    ],
)
def test_a_layer_alone(items: list[Item], expected: list[str], tmp_path: Path) -> None:
    assert isolated(tmp_path / "root", items) == expected


@pytest.mark.parametrize(
    "items",
    [
        [file("d/x")],
        [whiteout("d/x")],
        [opaque("d")],
        [file(".wh..wh..opq", b"")],
        [hardlink("h", "f")],
        [symlink("l", "d"), directory("d"), file("l/x")],
    ],
)
def test_a_layer_that_needs_those_below_says_so(items: list[Item], tmp_path: Path) -> None:
    with pytest.raises(NeedsLowerLayersError):
        isolated(tmp_path / "root", items)


def test_overlay_attributes_are_never_taken_from_a_layer(tmp_path: Path) -> None:
    hostile = {"user.overlay.redirect": b"/x", "user.overlay.opaque": b"y", "user.fine": b"1"}
    assert isolated(tmp_path / "root", [directory("d", xattrs=hostile)]) == ["d/"]
    assert os.listxattr(tmp_path / "root/d") == ["user.fine"]


# ---- layers that try to leave the root


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    target = tmp_path / "outside"
    target.mkdir(mode=0o700)
    (target / "victim").write_text("safe")
    os.utime(target, ns=(1, 1))
    return target


def state(path: Path) -> list[object]:
    victim = path / "victim"
    return [
        listing(path),
        path.stat().st_mode,
        path.stat().st_mtime_ns,
        victim.stat().st_nlink,
        victim.stat().st_mode,
    ]


def attacks(outside: str) -> list[list[Item]]:
    up = "../" * 20 + outside.lstrip("/")
    both = []
    for target in (outside, up):
        both += [
            [symlink("l", target), file("l/new")],
            [symlink("l", target), file("l/victim", b"broken")],
            [symlink("l", target), directory("l/sub")],
            [symlink("l", target), directory("l", mode=0o777, mtime_ns=99), file("l/x")],
            [symlink("l", target), hardlink("h", "l/victim")],
            [symlink("l", f"{target}/victim"), file("l", b"broken")],
            [symlink("l", f"{target}/victim"), hardlink("h", "l"), file("h", b"broken")],
            [symlink("l", target), whiteout("l/victim")],
            [symlink("l", target), opaque("l")],
            [symlink("a", target), symlink("b", "a"), file("b/new")],
            [directory("d", mode=0o777, mtime_ns=7), directory("d/sub", mtime_ns=8), whiteout("d"),
             symlink("d", target)],
            [directory("d"), directory("d/sub"), symlink("d", target), file("d/sub/x"), file("d/victim", b"no")],
            [symlink("l", target), symlink("l/l2", "victim"), file("l/l2", b"broken")],
            [symlink("l", "/proc/self/root" + outside), file("l/new")],
            [symlink("l", "/proc/self/cwd"), file("l/new")],
        ]  # fmt: skip
    return both


def test_no_layer_reaches_outside(outside: Path, tmp_path: Path) -> None:
    before = state(outside)
    for number, items in enumerate(attacks(str(outside))):
        for unpack in (applied, isolated):
            root = tmp_path / f"{unpack.__name__}{number}"
            with contextlib.suppress(ImageError, NeedsLowerLayersError):
                unpack(root, items)
            assert state(outside) == before, f"{unpack.__name__} of attack {number}"


def test_links_that_lead_out_land_inside(outside: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    applied(root, [symlink("l", str(outside)), file("l/new", b"inside")])
    assert (root / str(outside).lstrip("/") / "new").read_text() == "inside"


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([file(".wh.", b"")], "whiteout of nothing"),
        ([file(".wh...", b"")], "whiteout of nothing"),
        ([file("d/.wh...", b"")], "whiteout of nothing"),
        ([hardlink("h", "missing")], "cannot be made"),
        ([hardlink("h", "h")], "hard link to itself"),
        ([directory("d"), hardlink("h", "d")], "links /h to the directory"),
        ([file("f"), file("f/x")], "cannot be made: Not a directory"),
        ([symlink("a", "b"), symlink("b", "a"), file("a/x")], "too many levels|cannot be made"),
        ([file("n" * 300)], "File name too long"),
        ([file("", b"")], "root that is not a directory"),
    ],
)
def test_malformed_layers(items: list[Item], message: str, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=message):
        applied(tmp_path / "root", items)


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    applied(tmp_path / "root", [file(f"d{n}/x{n}/f") for n in range(100)])
    with pytest.raises(ImageError):
        applied(tmp_path / "root", [hardlink("h", "missing")])
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("refusal", [38, 1])
def test_kernels_without_openat2(refusal: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_arguments: object) -> int:
        raise OSError(refusal, os.strerror(refusal))

    monkeypatch.setattr("executor.rootfs.kernel.syscalls.open_beneath", refuse)
    assert applied(tmp_path / "root", BASE, [file("l/via"), whiteout("d/a")]) == [
        "d/", "d/b = x", "d/sub/", "d/sub/c = x", "d/via = x", "f = x", "l -> d",
    ]  # fmt: skip
