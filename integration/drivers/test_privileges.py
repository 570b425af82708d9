"""The drivers with less than root: in user namespaces with and without a range of ids, and with no privilege."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from executor.errors import UnfitError
from executor.events import DriverChosen, Event
from executor.image.layer import EntryType
from executor.rootfs.base import Driver, RootFs, RunRequest
from executor.rootfs.choose import choose_driver
from executor.rootfs.kernel import syscalls
from executor.rootfs.kernel.namespaces import Privilege, enter_mount_namespace
from executor.spec import RootfsChoice, RootfsOptions
from executor.store import Store
from integration.drivers.children import run_in_child
from integration.drivers.layers import LayersInMemory, busybox, tree
from tests.support.layers import directory, file, item, whiteout

pytestmark = pytest.mark.root
_UID = 1000
_PR_SET_DUMPABLE = 4
_CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")
_BASE = [
    *busybox(),
    directory("own", uid=5, gid=6, mode=0o555),
    file("own/f", b"x", uid=33, gid=33, mode=0o400, xattrs={"security.capability": _CAPABILITY, "user.x": b"1"}),
    item("null", EntryType.CHARACTER_DEVICE, device=(1, 3)),
]


def become_nobody(*, ranges: str = "") -> None:
    """Give up root, after putting `ranges` in place of /etc/subuid and /etc/subgid for this process."""
    enter_mount_namespace()
    if ranges:
        for path in ("/etc/subuid", "/etc/subgid"):
            syscalls.mount(ranges, path, None, syscalls.MS_BIND)
    os.setgroups([])
    os.setresgid(_UID, _UID, _UID)
    os.setresuid(_UID, _UID, _UID)
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)  # as a program started by that user is


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory, work: Path) -> Iterator[Path]:
    """A folder of that user's."""
    folder = work / "drivers" / tmp_path_factory.mktemp("rootless").name
    folder.mkdir(parents=True)
    work.chmod(0o711)
    (work / "drivers").chmod(0o711)
    os.chown(folder, _UID, _UID)
    yield folder
    work.chmod(0o700)


@contextmanager
def chosen(home: Path, choice: RootfsChoice) -> Iterator[Driver]:
    """The driver that is chosen, and does not tell a lie about it."""
    events: list[Event] = []
    with Store.open(str(home)) as store:
        driver = choose_driver(store, RootfsOptions(driver=choice), events.append)
        assert isinstance(events[0], DriverChosen)
        assert events[0].driver == driver.name
        yield driver
        assert [path.name for session in (home / "work").glob("*/") for path in session.iterdir()] == ["ingest"]


def run(root: RootFs, script: str) -> list[str]:
    """Run a script and return its lines."""
    lines: list[str] = []
    request = RunRequest(argv=("sh", "-c", script), environment={"PATH": "/bin"})
    assert root.run(request, lines.append) == 0, lines
    return lines


@pytest.mark.parametrize("ranges", [False, True], ids=["one id", "a range"])
@pytest.mark.parametrize("choice", ["overlay", "chroot"])
def test_user_namespaces(ranges: bool, choice: RootfsChoice, home: Path) -> None:
    file_of_ranges = home.parent / f"{home.name}-ranges"
    file_of_ranges.write_text(f"other:1:2\n{_UID}:200000:65536\n")

    def build() -> None:
        become_nobody(ranges=str(file_of_ranges) if ranges else "")
        wanted = Privilege.USER_NAMESPACE if ranges else Privilege.SINGLE_ID
        assert enter_mount_namespace() is wanted
        layers = LayersInMemory()
        base, top = layers.of(_BASE), layers.of([whiteout("own/f"), file("own/g")])
        with chosen(home, choice) as driver:
            with driver.open_root([base], layers.open) as root:
                assert list(root.changes()) == []
                shown = "1 33       33 " if ranges else "1 0        0 "
                assert shown in " ".join(run(root, "ls -ln /own"))
                run(
                    root,
                    "rm -rf /tmp /etc/group; mkdir /tmp; echo 1 > /x; touch /own/h; "
                    "echo > /dev/null; cat /proc/1/stat",
                )
                changes = list(root.changes())
                found = {change.entry.name: change.entry for change in changes}
                assert {"etc", "etc/.wh.group", "own", "own/h", "tmp", "x"} <= set(found)
                assert (found["own"].uid, found["own"].gid) == ((5, 6) if ranges else (0, 0))
                layer = layers.of_changes(changes)
                root.commit(layer)
                assert list(root.changes()) == []
            with driver.open_root([base, layer, top], layers.open) as root:
                assert {"own/g", "own/h", "tmp", "x"} <= set(tree(root.path))
                assert not {"own/f", "etc/group"} & set(tree(root.path))

    run_in_child(build, enter=False)


def test_no_privilege_at_all(home: Path) -> None:
    """No mounts and no user namespaces: files can be made, all belong to 0:0, RUN says what it needs."""

    def build() -> None:
        become_nobody()
        original = syscalls.unshare

        def refuse(flags: int) -> None:
            if flags & (syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNS):
                raise PermissionError(1, "Operation not permitted")
            original(flags)

        syscalls.unshare = refuse
        assert enter_mount_namespace() is Privilege.NONE
        layers = LayersInMemory()
        reason = "overlay: CAP_SYS_ADMIN is missing, and user namespaces are refused"
        with pytest.raises(UnfitError, match=reason), chosen(home, "overlay"):
            pass
        with chosen(home, "auto") as driver:
            assert driver.name == "chroot"
            with driver.open_root([layers.of(_BASE)], layers.open) as root:
                assert "null" not in tree(root.path)
                Path(root.path, "new").write_text("x")
                found = {change.entry.name: change.entry for change in root.changes()}
                assert list(found) == ["new"]
                assert (found["new"].uid, found["new"].gid) == (0, 0)
                with pytest.raises(UnfitError, match="needs root or user namespaces"):
                    run(root, "true")

    run_in_child(build, enter=False)


def test_mount_2_stacks_as_many_layers(work: Path) -> None:
    """The way of kernels before 6.5: names of layers are far longer than the page that options must fit in."""

    def build() -> None:
        def missing(_kind: str) -> int:
            raise OSError(38, "Function not implemented")

        syscalls.open_file_system = missing
        layers = LayersInMemory()
        made = [layers.of([file(f"f{number}"), file("last", b"%d" % number)]) for number in range(300)]
        with Store.open(str(work / "drivers" / "by-name")) as store:
            driver = choose_driver(store, RootfsOptions(driver="overlay"), lambda _event: None)
            with driver.open_root(made, layers.open) as root:
                assert len(tree(root.path)) == 301
                assert Path(root.path, "last").read_bytes() == b"299"
                os.unlink(f"{root.path}/f0")
                assert [change.entry.name for change in root.changes()] == [".wh.f0"]

    run_in_child(build)
