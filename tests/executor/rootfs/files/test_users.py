"""USER and --chown by the image's own files, with BuildKit's rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from executor.errors import StepError
from executor.rootfs.base import Identity
from executor.rootfs.files.users import User, is_named, resolve_owner, resolve_user

PASSWD = """\
# comment
root:x:0:0:root:/root:/bin/sh
app:x:1000:1001:App:/home/app:/bin/sh

nohome:x:5:6
12:x:40:41::/num:
twice:x:70:71::/first:
twice:x:72:73::/second:
broken:x:abc:1::/:
short
"""
GROUP = """\
root:x:0:
staff:x:50:app,other
video:x:44:other,app
app:x:1001:
solo:x:60:
bad:x:y:app
"""


@pytest.fixture
def root(tmp_path: Path) -> str:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text(PASSWD)
    (tmp_path / "etc/group").write_text(GROUP)
    return str(tmp_path)


def user(uid: int, gid: int, *groups: int, home: str) -> User:
    return User(identity=Identity(uid=uid, gid=gid, groups=groups), home=home)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("", user(0, 0, home="/root")),
        ("root", user(0, 0, home="/root")),
        ("0", user(0, 0, home="/root")),
        ("app", user(1000, 1001, 50, 44, home="/home/app")),
        ("1000", user(1000, 1001, 50, 44, home="/home/app")),
        ("app:staff", user(1000, 50, home="/home/app")),
        ("app:60", user(1000, 60, home="/home/app")),
        ("app:777", user(1000, 777, home="/home/app")),
        ("1000:0", user(1000, 0, home="/home/app")),
        ("1000:1000", user(1000, 1000, home="/home/app")),
        ("4242", user(4242, 0, home="/")),
        ("4242:7", user(4242, 7, home="/")),
        ("4242:staff", user(4242, 50, home="/")),
        ("root:root", user(0, 0, home="/root")),
        (":staff", user(0, 50, home="/root")),
        (":50", user(0, 50, home="/root")),
        ("nohome", user(5, 6, home="/")),
        ("12", user(12, 0, home="/")),
        ("twice", user(70, 71, home="/first")),
    ],
)
def test_users(root: str, spec: str, expected: User) -> None:
    assert resolve_user(root, spec) == expected


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("nobody", "unable to find user nobody: no matching entries in passwd file"),
        ("broken", "unable to find user broken"),
        ("app:nogroup", "unable to find group nogroup: no matching entries in group file"),
        ("app:bad", "unable to find group bad"),
        ("4294967296", "is not a user or group id"),
        ("1:99999999999", "is not a user or group id"),
        ("-1", "unable to find user -1"),
        ("²", "unable to find user ²"),
    ],
)
def test_users_that_are_not_there(root: str, spec: str, message: str) -> None:
    with pytest.raises(StepError, match=message):
        resolve_user(root, spec)


def test_an_image_without_users(tmp_path: Path) -> None:
    assert resolve_user(str(tmp_path), "") == user(0, 0, home="/")
    assert resolve_user(str(tmp_path), "7") == user(7, 0, home="/")
    with pytest.raises(StepError, match="unable to find user root"):
        resolve_user(str(tmp_path), "root")
    assert resolve_owner(str(tmp_path), "app:staff") == (0, 0)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("app", (1000, 1001)), ("root", (0, 0)), ("7", (7, 7)), ("7:8", (7, 8)), ("app:staff", (1000, 50)),
        ("7:staff", (7, 50)), ("app:60", (1000, 60)), ("nobody", (0, 0)), ("app:nogroup", (1000, 1001)),
        ("nobody:staff", (0, 50)), ("app:root", (1000, 0)), ("root:app", (0, 1001)),
    ],
)  # fmt: skip
def test_owners(root: str, spec: str, expected: tuple[int, int]) -> None:
    assert resolve_owner(root, spec) == expected


@pytest.mark.parametrize(
    ("owner", "named"),
    [("7", False), ("7:8", False), ("root:root", False), (":9", False), ("app", True), ("7:x", True)],
)
def test_what_has_to_be_looked_up(owner: str, named: bool) -> None:
    assert is_named(owner) is named


def test_files_of_this_machine_are_never_read(root: str, tmp_path: Path) -> None:
    (tmp_path / "etc/passwd").unlink()
    (tmp_path / "etc/passwd").symlink_to("../../../../../../../../etc/shadow")
    (tmp_path / "etc/shadow").write_text("inside:x:9:9::/in:\n")
    assert resolve_user(root, "inside") == user(9, 9, home="/in")


@pytest.mark.parametrize("number", ["99999999999999999999", "4294967296", "9" * 5000, "\u0663"])
def test_lines_whose_number_is_no_id_do_not_count(root: str, number: str) -> None:
    Path(root, "etc/passwd").write_text(f"app:x:{number}:1::/:\napp:x:7:{number}::/:\napp:x:8:9::/home/app:\n")
    Path(root, "etc/group").write_text(f"app:x:{number}:\napp:x:10:\n")
    assert resolve_user(root, "app:app") == user(8, 10, home="/home/app")
    assert resolve_owner(root, "app:app") == (8, 10)


def test_a_number_of_thousands_of_digits_is_refused(root: str) -> None:
    with pytest.raises(StepError, match="is not a user or group id"):
        resolve_user(root, "9" * 5000)
