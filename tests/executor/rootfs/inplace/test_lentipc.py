"""What commands leave of System V's shared memory, semaphores and queues, in a folder like /proc/sysvipc."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from executor.errors import UnfitError
from executor.rootfs.inplace.lentipc import LentIpc
from executor.rootfs.kernel import syscalls

_HEADS = {
    "msg": "key msqid perms cbytes qnum lspid lrpid uid gid cuid cgid stime rtime ctime",
    "sem": "key semid perms nsems uid gid cuid cgid otime ctime",
    "shm": "key shmid perms size cpid lpid nattch uid gid cuid cgid atime dtime ctime rss swap",
}


def _make(folder: Path, kind: str, number: int, process: int) -> None:
    """Add one of this user's, as the kernel lists it; user and group of now are others than who made it.

    `process` used it; of semaphores the listing does not tell, and here it is their key.
    """
    row = {"key": "0", "uid": "7", "gid": "7", "cuid": str(os.getuid())}
    row[_HEADS[kind].split()[1]] = str(number)
    row[{"shm": "cpid", "msg": "lspid", "sem": "key"}[kind]] = str(process)
    with (folder / kind).open("a") as file:
        file.write(" ".join(row.get(name, "600") for name in _HEADS[kind].split()) + "\n")


@pytest.fixture
def gone() -> int:
    """The id of a process that has ended."""
    if not (child := os.fork()):
        os._exit(0)
    os.waitpid(child, 0)
    return child


@pytest.fixture
def folder(tmp_path: Path, gone: int, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One of each kind."""

    def last_user(number: int) -> int:
        rows = [line.split() for line in (tmp_path / "sem").read_text().splitlines()[1:]]
        return next(int(row[0]) for row in rows if row[1] == str(number))

    monkeypatch.setattr(syscalls, "last_user_of_semaphores", last_user)
    for number, (kind, head) in enumerate(_HEADS.items()):
        (tmp_path / kind).write_text(f"  {head}\n")
        _make(tmp_path, kind, number, gone)
    return tmp_path


def _listing(folder: Path) -> dict[str, list[str]]:
    return {kind: [line.split()[1] for line in (folder / kind).read_text().splitlines()[1:]] for kind in _HEADS}


@pytest.fixture
def removing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Removal from the folder; it happens in another process."""

    def remove(kind: str, number: int) -> None:
        lines = (folder / kind).read_text().splitlines()
        kept = [line for line in lines if line.split()[1] != str(number)]
        (folder / kind).write_text("".join(f"{line}\n" for line in kept))

    monkeypatch.setattr(syscalls, "remove_ipc", remove)


@pytest.mark.usefixtures("removing")
def test_what_is_new_is_removed(folder: Path, gone: int) -> None:
    before = _listing(folder)
    with LentIpc(str(folder)).lent():
        for kind in _HEADS:
            _make(folder, kind, 9, gone)
    assert _listing(folder) == before


@pytest.mark.usefixtures("removing")
@pytest.mark.parametrize("is_of_this_container", [False, True])
def test_what_is_new_stays_where_it_may_be_of_others(folder: Path, is_of_this_container: bool) -> None:
    """Of a process of another container of the pod, which has no number here; or of one here that goes on."""
    with LentIpc(str(folder)).lent():
        for kind in _HEADS:
            _make(folder, kind, 9, os.getpid() if is_of_this_container else 0)
    assert all("9" in numbers for numbers in _listing(folder).values())


def test_what_cannot_be_removed_is_named(folder: Path, gone: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_kind: str, _number: int) -> None:
        raise PermissionError

    monkeypatch.setattr(syscalls, "remove_ipc", refuse)
    ipc = LentIpc(str(folder))
    ipc.lend()
    _make(folder, "shm", 9, gone)
    with pytest.raises(UnfitError, match=f"shm 9 of user {os.getuid()}"):
        ipc.take_back()


@pytest.mark.usefixtures("removing")
def test_nothing_is_removed_that_was_not_lent(folder: Path) -> None:
    before = _listing(folder)
    LentIpc(str(folder)).take_back()
    assert _listing(folder) == before


def test_a_kernel_without_them(tmp_path: Path) -> None:
    with LentIpc(str(tmp_path)).lent():
        pass
