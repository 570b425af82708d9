"""Taking over a root and giving it back, on directories that stand for `/`."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from executor.errors import UnfitError
from executor.rootfs.inplace.takeover import Takeover
from executor.snapshot.index import facts_of


class Allowed:
    def check(self) -> None: ...
    def check_root(self) -> None: ...


class Refused:
    def check(self) -> None:
        raise UnfitError("no")

    def check_root(self) -> None:
        raise UnfitError("no")


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the code under test handles it."""


Listing = dict[str, tuple[int, int, str]]


def listing(root: Path, without: str = "kaniko") -> Listing:
    """Every entry with its mode, its mtime (times of folders too) and its content or target."""
    found: Listing = {}
    for folder, folders, files in os.walk(root):
        if Path(folder) == root:
            folders[:] = [name for name in folders if name != without]
        for path in (Path(folder, name) for name in (*folders, *files)):
            status = path.lstat()
            content = os.readlink(path) if path.is_symlink() else path.read_text() if path.is_file() else ""
            found[str(path.relative_to(root))] = (status.st_mode, status.st_mtime_ns, content)
    return found


def write(root: Path, **files: str) -> None:
    for name, content in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


@pytest.fixture
def live(tmp_path: Path) -> Path:
    """A container's root: its own /bin/sh, mount points /etc/hosts and /var/run/secrets, a workspace."""
    root = tmp_path / "live"
    write(root, kaniko__python="", workspace__code="own", bin__sh="own", etc__hosts="own", etc__mtab="own")
    write(root, var__run__secrets__token="own")
    (root / "etc").chmod(0o750)
    return root


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """An image's root."""
    root = tmp_path / "live" / "kaniko" / "store" / "tree"
    write(root, usr__bin__sh="image", etc__passwd="image", etc__hosts="image", var__lib__db="image", top="image")
    (root / "bin").symlink_to("usr/bin")
    (root / "etc").chmod(0o711)
    return root


STAYS = ("/kaniko", "/workspace", "/etc/hosts", "/var/run/secrets", "/absent", "/kaniko/store", "/")


@pytest.fixture
def takeover(live: Path) -> Takeover:
    return Takeover(Allowed(), str(live / "kaniko" / "takeover"), str(live))


def test_the_tree_takes_the_place(live: Path, tree: Path, takeover: Takeover) -> None:
    hidden = takeover.begin(str(tree), STAYS)
    assert sorted(os.listdir(live)) == ["bin", "etc", "kaniko", "top", "usr", "var", "workspace"]
    assert (live / "bin" / "sh").read_text() == "image"
    assert sorted(os.listdir(live / "etc")) == ["hosts", "passwd"]
    assert (live / "etc").stat().st_mode & 0o777 == 0o711
    assert (live / "etc" / "hosts").read_text() == "own"
    assert (live / "var" / "run" / "secrets" / "token").read_text() == "own"
    assert hidden == ("/etc/hosts",)


def test_everything_is_given_back(live: Path, tree: Path, takeover: Takeover) -> None:
    before, image = listing(live), listing(tree)
    takeover.begin(str(tree), STAYS)
    takeover.end()
    assert listing(live) == before
    assert listing(tree) == image
    assert os.listdir(live / "kaniko" / "takeover") == []


def test_what_a_command_did_is_found_in_the_tree(live: Path, tree: Path, takeover: Takeover) -> None:
    before = listing(live)
    takeover.begin(str(tree), STAYS)
    (live / "top").unlink()
    write(live, etc__new="new", var__lib__db="changed", opt__made="new", var__run__pid="1")
    (live / "var").chmod(0o700)
    takeover.end()
    assert listing(live) == before
    assert not (tree / "top").exists()
    assert (tree / "etc" / "new").read_text() == "new"
    assert (tree / "etc" / "hosts").read_text() == "image"
    assert (tree / "var" / "lib" / "db").read_text() == "changed"
    assert (tree / "opt" / "made").read_text() == "new"
    assert (tree / "var" / "run" / "pid").read_text() == "1"
    assert (tree / "var").stat().st_mode & 0o777 == 0o700


def test_the_way_back_needs_no_journal_on_disk(live: Path, tree: Path, takeover: Takeover) -> None:
    before, image = listing(live), listing(tree)
    takeover.begin(str(tree), STAYS)
    (live / "kaniko" / "takeover" / "journal.json").unlink()
    takeover.end()
    assert listing(live) == before
    assert listing(tree) == image


def test_a_disk_without_room_does_not_stop_the_way_back(
    live: Path, tree: Path, takeover: Takeover, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = listing(live)
    takeover.begin(str(tree), STAYS)

    def full(_path: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("executor.rootfs.inplace.takeover.replacing", full)
    monkeypatch.setattr(takeover, "_put_back", killed)
    with pytest.raises(Killed):
        takeover.end()
    assert takeover.unfinished() is not None
    monkeypatch.undo()
    next_process = Takeover(Allowed(), str(live / "kaniko" / "takeover"), str(live))
    assert next_process.recover()
    assert listing(live) == before


def killed(_journal: object) -> None:
    raise Killed


def test_who_was_told_of_the_journal_brings_back_too(live: Path, tree: Path, takeover: Takeover) -> None:
    before = listing(live)
    told: list[bytes] = []
    takeover.tell = told.append
    takeover.begin(str(tree), STAYS)
    (live / "kaniko" / "takeover" / "journal.json").unlink()
    other = Takeover(Allowed(), str(live / "kaniko" / "takeover"), str(live))
    assert other.unfinished() is None
    other.learn(told[-1])
    assert "/kaniko" in (other.unfinished() or ())
    assert other.recover()
    assert listing(live) == before
    takeover = Takeover(Allowed(), str(live / "kaniko" / "takeover"), str(live))
    takeover.tell = told.append
    takeover.begin(str(live / "kaniko"), STAYS)
    takeover.end()
    other.learn(told[-1])
    assert other.unfinished() is None


def test_what_was_put_aside_may_be_repaired_by_others(live: Path, tree: Path, takeover: Takeover) -> None:
    before = listing(live)
    status = (live / "bin" / "sh").stat(), (live / "bin").stat()
    takeover.begin(str(tree), STAYS)
    shutil.rmtree(live / "kaniko" / "takeover")

    def repair() -> None:
        write(live, bin__sh="own", etc__mtab="own")
        for path, was in zip((live / "bin" / "sh", live / "bin"), status, strict=True):
            os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
        os.utime(live / "etc" / "mtab", ns=(before["etc/mtab"][1],) * 2)

    takeover.end(repair)
    assert listing(live) == before


def test_folders_of_the_container_do_not_get_into_the_tree(live: Path, tree: Path, takeover: Takeover) -> None:
    takeover.begin(str(tree), STAYS)
    takeover.end()
    assert not (tree / "var" / "run").exists()
    assert not (tree / "workspace").exists()


def test_a_link_where_the_container_has_a_folder(live: Path, tree: Path, takeover: Takeover) -> None:
    write(tree, run__utmp="image", run__removed="image", run__replaced="image", run__lib__a="image")
    (tree / "var" / "run").symlink_to("/run")
    before = listing(live)
    assert "/var/run" not in takeover.begin(str(tree), STAYS)
    run = live / "var" / "run"
    assert {path.name: os.readlink(path) for path in run.iterdir() if path.is_symlink()} == {
        name: f"/run/{name}" for name in ("utmp", "removed", "replaced", "lib")
    }
    assert (run / "secrets" / "token").read_text() == "own"
    for name in ("removed", "replaced", "lib"):
        (run / name).unlink()
    write(live, var__run__pid="1", var__run__replaced="new", var__run__lib__b="new")
    takeover.end()
    assert listing(live) == before
    assert os.readlink(tree / "var" / "run") == "/run"
    found = {str(path.relative_to(tree / "run")): path.read_text() for path in (tree / "run").rglob("?*[!b]")}
    assert found == {"pid": "1", "utmp": "image", "replaced": "new"}
    assert sorted(path.name for path in (tree / "run" / "lib").iterdir()) == ["a", "b"]


def test_a_link_to_nowhere_where_the_container_has_a_folder(live: Path, tree: Path, takeover: Takeover) -> None:
    (tree / "var" / "run").symlink_to("/nowhere")
    before = listing(live)
    assert "/var/run" in takeover.begin(str(tree), STAYS)
    write(live, var__run__pid="1")
    takeover.end()
    assert listing(live) == before
    assert (tree / "nowhere" / "pid").read_text() == "1"


def test_untouched_entries_are_told(live: Path, tree: Path, takeover: Takeover) -> None:
    was = facts_of(os.lstat(tree / "etc" / "passwd"))
    takeover.begin(str(tree), STAYS)
    (live / "top").write_text("touch")
    renamed = takeover.end()
    assert renamed["etc/passwd"] == (was, facts_of(os.lstat(tree / "etc" / "passwd")))
    assert "top" not in renamed


@pytest.mark.parametrize("moves", range(12))
def test_a_kill_at_any_point_is_recovered_from(
    live: Path, tree: Path, takeover: Takeover, moves: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = listing(live)
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", killing_rename(os.rename, moves))
        with pytest.raises(Killed):
            run_something(takeover, live, tree)
    next_process = Takeover(Allowed(), str(live / "kaniko" / "takeover"), str(live))
    assert next_process.unfinished() is not None
    assert next_process.recover()
    assert listing(live) == before
    assert not next_process.recover()


def run_something(takeover: Takeover, live: Path, tree: Path) -> None:
    takeover.begin(str(tree), STAYS)
    write(live, made__by__command="x")
    takeover.end()


def killing_rename(rename: Callable[[str, str], None], after: int) -> Callable[[str, str], None]:
    calls = iter(range(after))

    def killed(source: str, goal: str) -> None:
        if next(calls, None) is None:
            raise Killed
        rename(source, goal)

    return killed


def test_a_directory_that_cannot_be_renamed_moves_entry_by_entry(
    live: Path, tree: Path, takeover: Takeover, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, rename = listing(live), os.rename

    def like_overlayfs(source: str, goal: str) -> None:
        if source == str(live / "bin") and not (live / "bin").is_symlink():
            raise OSError(errno.EXDEV, "Invalid cross-device link", source)
        rename(source, goal)

    monkeypatch.setattr(os, "rename", like_overlayfs)
    takeover.begin(str(tree), STAYS)
    assert (live / "bin" / "sh").read_text() == "image"
    takeover.end()
    assert listing(live) == before


def test_without_leave_nothing_moves(live: Path, tree: Path) -> None:
    before = listing(live, without="")
    refused = Takeover(Refused(), str(live / "kaniko" / "takeover"), str(live))
    with pytest.raises(UnfitError):
        refused.begin(str(tree), STAYS)
    assert listing(live, without="") == before


def test_without_leave_nothing_moves_back(live: Path, tree: Path, takeover: Takeover) -> None:
    takeover.begin(str(tree), STAYS)
    during = listing(live, without="")
    refused = Takeover(Refused(), str(live / "kaniko" / "takeover"), str(live))
    for action in (refused.end, refused.recover):
        with pytest.raises(UnfitError):
            action()
    assert listing(live, without="kaniko") == {k: v for k, v in during.items() if not k.startswith("kaniko")}


def test_an_entry_that_cannot_move_ends_it_before_it_began(
    live: Path, tree: Path, takeover: Takeover, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, rename = listing(live), os.rename

    def stubborn(source: str, goal: str) -> None:
        if source.endswith("/mtab"):
            raise PermissionError(1, "Operation not permitted", source)
        rename(source, goal)

    monkeypatch.setattr(os, "rename", stubborn)
    with pytest.raises(UnfitError, match=r"cannot make room in /: Operation not permitted: .*/etc/mtab"):
        takeover.begin(str(tree), STAYS)
    assert listing(live) == before


def test_a_path_that_a_command_removed_from_the_container_is_named(
    live: Path, tree: Path, takeover: Takeover
) -> None:
    takeover.begin(str(tree), STAYS)
    (live / "workspace" / "code").unlink()
    (live / "workspace").rmdir()
    with pytest.raises(UnfitError, match="/workspace is gone") as caught:
        takeover.end()
    assert caught.value.exit_code == 4
    with pytest.raises(UnfitError, match="/workspace is gone"):
        takeover.recover()
