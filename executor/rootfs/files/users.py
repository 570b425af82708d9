"""Users and groups of an image: its /etc/passwd and /etc/group, parsed here and never through this machine's NSS.

Rules are BuildKit's: for USER and RUN those of moby/sys/user's GetExecUser (executor/oci/user.go), for `--chown`
those of solver/llbsolver/ops/user_linux.go, where an unknown name is 0 and a bare uid is its own gid.
"""

from __future__ import annotations

from collections.abc import Iterator

from executor.dataclass import dataclass
from executor.errors import StepError
from executor.rootfs.base import Identity
from executor.rootfs.files.safepath import read_file

_LIMIT = 10 << 20
_MAX_ID = 2**32 - 1
_DIGITS = 20
_SHOWN = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Who a command runs as: the ids, and the home directory that passwd gives (`/` without an entry, as runc)."""

    identity: Identity
    home: str = "/"


@dataclass(frozen=True, slots=True)
class _Account:
    name: str
    uid: int
    gid: int
    home: str


@dataclass(frozen=True, slots=True)
class _Group:
    name: str
    gid: int
    members: tuple[str, ...]


def resolve_user(root: str, user: str) -> User:
    """The user that `USER user` means in the image at `root`: `name`, `uid`, `name:group`, `uid:gid`, `:group`.

    No user is 0. Without a group, supplementary groups come from /etc/group. Raises StepError for names that are
    not there.
    """
    name, _, group = user.partition(":")
    name = name or "0"
    if user and (numbers := _both_numeric(name, group)):
        account = next((a for a in _accounts(root) if a.uid == numbers[0]), None)
        return User(identity=Identity(uid=numbers[0], gid=numbers[1]), home=account.home if account else "/")
    account = _find_account(root, name)
    identity = Identity(uid=account.uid, gid=account.gid)
    if group:
        identity = Identity(uid=account.uid, gid=_find_group(root, group))
    elif account.name:
        members = tuple(g.gid for g in _groups(root) if account.name in g.members)
        identity = Identity(uid=account.uid, gid=account.gid, groups=members)
    return User(identity=identity, home=account.home or "/")


def _both_numeric(name: str, group: str) -> tuple[int, int] | None:
    """`uid:gid` needs no look-up; `root` counts as 0 there."""
    uid, gid = (0 if part == "root" else _number(part) for part in (name, group))
    return None if uid is None or gid is None else (uid, gid)


def resolve_owner(root: str, owner: str) -> tuple[int, int]:
    """uid and gid that `--chown=owner` means in the image at `root`.

    `name` has the ids of its passwd entry, a bare `uid` is its own gid; names that are not there become 0.
    """
    name, colon, group = owner.partition(":")
    uid = 0 if name == "root" else _number(name)
    if uid is None:
        account = next((a for a in _accounts(root) if a.name == name), None)
        uid, gid = (account.uid, account.gid) if account else (0, 0)
    else:
        gid = uid
    if colon:
        number = 0 if group == "root" else _number(group)
        if number is None:
            number = next((g.gid for g in _groups(root) if g.name == group), gid)
        gid = number
    return uid, gid


def is_named(owner: str) -> bool:
    """Whether ids of `owner` have to be looked up: of `app` and `7:video`, but not of `0:0` or `root`."""
    return any(part not in ("", "root") and _number(part) is None for part in owner.split(":", 1))


def _number(text: str) -> int | None:
    """`text` as an id, or None when it is a name. Raises StepError for a number that is no id."""
    if not text.isascii() or not text.isdecimal():
        return None
    if not _is_id(text):
        raise StepError(f"{text[:_SHOWN]} is not a user or group id: the largest is {_MAX_ID}")
    return int(text)


def _is_id(text: str) -> bool:
    """Whether an image's text is an id. int() alone takes digits of other scripts, and raises for thousands."""
    return text.isascii() and text.isdecimal() and len(text) <= _DIGITS and int(text) <= _MAX_ID


def _find_account(root: str, name: str) -> _Account:
    uid = _number(name)
    for account in _accounts(root):
        if account.uid == uid if uid is not None else account.name == name:
            return account
    if uid is None:
        raise StepError(f"unable to find user {name}: no matching entries in passwd file")
    return _Account("", uid, 0, "/")


def _find_group(root: str, name: str) -> int:
    gid = _number(name)
    if gid is not None:
        return gid
    for group in _groups(root):
        if group.name == name:
            return group.gid
    raise StepError(f"unable to find group {name}: no matching entries in group file")


def _accounts(root: str) -> Iterator[_Account]:
    for fields in _lines(root, "/etc/passwd", 6):
        if _is_id(fields[2]) and _is_id(fields[3]):
            yield _Account(fields[0], int(fields[2]), int(fields[3]), fields[5])


def _groups(root: str) -> Iterator[_Group]:
    for fields in _lines(root, "/etc/group", 4):
        if _is_id(fields[2]):
            yield _Group(fields[0], int(fields[2]), tuple(filter(None, fields[3].split(","))))


def _lines(root: str, path: str, fields: int) -> Iterator[list[str]]:
    data = read_file(root, path, limit=_LIMIT) or b""
    for line in data.decode("utf-8", "surrogateescape").split("\n"):
        parts = line.strip().split(":")
        if parts[0] and not parts[0].startswith("#"):
            yield parts + [""] * (fields - len(parts))
