"""Paths inside a root: links and `..` never lead out, whichever way they are resolved."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.errors import StepError
from executor.rootfs.files.safepath import inside, make_directories, open_in_root, read_file, resolve


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    for folder in ("usr/bin", "etc", "deep/er"):
        (root / folder).mkdir(parents=True)
    (root / "etc/passwd").write_text("inside")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("outside")
    for name, target in {
        "bin": "usr/bin", "abs": "/usr/bin", "up": "../../../etc", "deep/er/up": "../../../../etc/passwd",
        "loop": "loop2", "loop2": "loop", "dangling": "/no/where", "chain": "abs", "file": "etc/passwd",
        "top": "/",
    }.items():  # fmt: skip
        (root / name).symlink_to(target)
    return root


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("", ""), ("/", ""), (".", ""), ("..", ""), ("/../../..", ""), ("/usr//bin/./x", "usr/bin/x"),
        ("bin/sh", "usr/bin/sh"), ("/abs/sh", "usr/bin/sh"), ("chain/../x", "usr/x"), ("up/passwd", "etc/passwd"),
        ("deep/er/up", "etc/passwd"), ("dangling/x", "no/where/x"), ("missing/../etc/passwd", "etc/passwd"),
        ("top/top/etc", "etc"), ("file", "etc/passwd"),
    ],
)  # fmt: skip
def test_resolve(root: Path, path: str, expected: str) -> None:
    assert resolve(str(root), path) == os.path.join(root, *filter(None, expected.split("/")))
    assert inside(str(root), resolve(str(root), path)) == "/" + expected


def test_the_last_link_can_be_left_alone(root: Path) -> None:
    assert resolve(str(root), "/chain", follow_last=False) == f"{root}/chain"
    assert resolve(str(root), "/top/chain", follow_last=False) == f"{root}/chain"
    assert resolve(str(root), "/chain/x", follow_last=False) == f"{root}/usr/bin/x"


def test_loops_are_errors(root: Path) -> None:
    with pytest.raises(StepError, match="too many levels of symbolic links"):
        resolve(str(root), "loop/x")


parts = st.sampled_from(
    ["..", ".", "", "bin", "abs", "up", "deep", "er", "top", "etc", "passwd", "dangling", "file", "x"]
)


@given(st.lists(parts, max_size=8).map("/".join))
def test_nothing_resolves_to_the_outside(path: str) -> None:
    root = test_nothing_resolves_to_the_outside.root  # type: ignore[attr-defined]
    found = resolve(root, path)
    assert found == root or found.startswith(root + "/")
    assert ".." not in found.removeprefix(root).split("/")
    descriptor = os.open(root, os.O_PATH)
    try:
        opened = open_in_root(descriptor, path, os.O_PATH)
    except OSError:
        return
    finally:
        os.close(descriptor)
    real = os.readlink(f"/proc/self/fd/{opened}")
    os.close(opened)
    assert real == found, "the kernel resolves the same"


@pytest.fixture(autouse=True)
def _shared_root(root: Path) -> None:
    test_nothing_resolves_to_the_outside.root = str(root)  # type: ignore[attr-defined]


def refuse_openat2(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> int:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("executor.rootfs.kernel.syscalls.open_beneath", refuse)


@pytest.mark.parametrize("with_openat2", [True, False])
def test_read_file(root: Path, with_openat2: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not with_openat2:
        refuse_openat2(monkeypatch)
    assert read_file(str(root), "/up/passwd", limit=10) == b"inside"
    assert read_file(str(root), "/missing/passwd", limit=10) is None
    assert read_file(str(root), "/etc/passwd/x", limit=10) is None
    with pytest.raises(StepError, match="exceeds 5 bytes"):
        read_file(str(root), "/etc/passwd", limit=5)
    with pytest.raises(StepError, match=r"cannot read /loop|too many levels"):
        read_file(str(root), "/loop", limit=5)


@pytest.mark.parametrize("kind", ["fifo", "directory"])
def test_read_file_takes_regular_files_only(root: Path, kind: str) -> None:
    (root / "etc/passwd").unlink()
    (os.mkfifo if kind == "fifo" else os.mkdir)(root / "etc/passwd")
    with pytest.raises(StepError, match="is not a regular file"):
        read_file(str(root), "/etc/passwd", limit=5)


def test_make_directories(root: Path) -> None:
    (root / "usr/bin").chmod(0o700)
    old = os.umask(0o077)
    try:
        made = make_directories(str(root), "/abs/x/y", 0o751, uid=os.geteuid(), gid=os.getegid())
    finally:
        os.umask(old)
    assert made == ("/usr/bin/x", "/usr/bin/x/y")
    assert [stat.S_IMODE((root / f"usr/bin{name}").stat().st_mode) for name in ("", "/x", "/x/y")] == [
        0o700,
        0o751,
        0o751,
    ]
    assert make_directories(str(root), "/abs/x/y") == ()
    assert make_directories(str(root), "/") == ()
    assert make_directories(str(root), "dangling", uid=os.geteuid(), gid=os.getegid()) == ("/no", "/no/where")


def test_make_directories_in_the_way(root: Path) -> None:
    with pytest.raises(StepError, match="/etc/passwd is not a directory"):
        make_directories(str(root), "/etc/passwd/x")
    with pytest.raises(StepError, match="/etc/passwd is not a directory"):
        make_directories(str(root), "/file")
