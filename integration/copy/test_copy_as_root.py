"""What COPY and ADD do that only root can see: owners, capabilities, devices, archives' owners."""

from __future__ import annotations

import io
import os
import socket
import stat
import struct
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from executor.build.copying.copy import CopyRequest, copy_from_context, copy_from_root
from executor.build.steps.add import AddRequest, add
from executor.context.base import ContextTree
from executor.dockerfile.instructions import Heredoc
from executor.errors import UnfitError
from executor.events import discard
from executor.rootfs.kernel import syscalls
from executor.rootfs.kernel.namespaces import enter_mount_namespace

pytestmark = pytest.mark.root

CAPABILITY = "security.capability"
NET_RAW = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)
OURS = (4711, 4712)


@pytest.fixture
def source() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        yield _fill(Path(folder))


@pytest.fixture
def root() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def _fill(top: Path) -> Path:
    (top / "d/s").mkdir(parents=True)
    (top / "d/s").chmod(0o2755)
    (top / "d/f").write_text("x")
    (top / "d/f").chmod(0o755)
    os.setxattr(top / "d/f", "user.note", b"kept")
    os.setxattr(top / "d/s", "user.note", b"kept")
    (top / "d/l").symlink_to("f")
    (top / "d/h").hardlink_to(top / "d/f")
    os.mkfifo(top / "d/p")
    os.mknod(top / "d/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(top / "d/loop", stat.S_IFBLK | 0o640, os.makedev(7, 0))
    (top / "d/null").chmod(0o666)
    for folder, folders, files in os.walk(top):
        for name in (*folders, *files):
            os.chown(os.path.join(folder, name), 1001, 1002, follow_symlinks=False)
    # A change of owner clears these, so they come last, here and in the copy.
    (top / "d/f").chmod(0o6755)
    os.setxattr(top / "d/f", CAPABILITY, NET_RAW)
    return top


def request(text: str, **options: Any) -> CopyRequest:
    *sources, destination = text.split()
    return CopyRequest(sources=tuple(sources), destination=destination, **options)


def scratch() -> str:
    return tempfile.mkdtemp(dir="/var/tmp")


def owners(root: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path.relative_to(root)): (path.lstat().st_uid, path.lstat().st_gid) for path in sorted(root.rglob("*"))
    }


NAMES = ("f", "h", "l", "loop", "null", "p", "s")


def test_the_context_is_owned_by_root_whoever_made_the_checkout(source: Path, root: Path) -> None:
    copy_from_context(request("d /a/b"), ContextTree(str(source)), str(root), scratch)
    assert owners(root) == dict.fromkeys(("a", "a/b", *(f"a/b/{n}" for n in NAMES)), (0, 0))


def test_a_stage_keeps_its_owners_but_for_directories_made_on_the_way(source: Path, root: Path) -> None:
    copy_from_root(request("d /a/b"), str(source), str(root), scratch)
    expected = {f"a/b/{name}": (1001, 1002) for name in NAMES}
    assert owners(root) == {"a": (0, 0), "a/b": (0, 0), **expected}


@pytest.mark.parametrize("link", [False, True])
def test_chown_is_for_all_of_it(source: Path, root: Path, *, link: bool) -> None:
    copy_from_root(request("d /a/b", owner=OURS, link=link), str(source), str(root), scratch)
    assert owners(root) == dict.fromkeys(("a", "a/b", *(f"a/b/{n}" for n in NAMES)), OURS)


def test_directories_that_exist(source: Path, root: Path) -> None:
    for name in ("x", "x/s"):
        (root / name).mkdir()
        os.chown(root / name, 7, 8)
    copy_from_root(request("d /x"), str(source), str(root), scratch)
    found = owners(root)
    assert (found["x"], found["x/s"]) == ((7, 8), (1001, 1002))


@pytest.mark.parametrize("owner", [None, OURS])
@pytest.mark.parametrize("link", [False, True])
def test_modes_attributes_and_capabilities_survive_a_change_of_owner(
    source: Path, root: Path, owner: tuple[int, int] | None, *, link: bool
) -> None:
    copy_from_root(request("d /x", owner=owner, link=link), str(source), str(root), scratch)
    assert stat.S_IMODE((root / "x/f").stat().st_mode) == 0o6755
    assert stat.S_IMODE((root / "x/s").stat().st_mode) == 0o2755
    assert os.getxattr(root / "x/f", CAPABILITY) == NET_RAW
    assert os.getxattr(root / "x/f", "user.note") == os.getxattr(root / "x/s", "user.note") == b"kept"
    assert (root / "x/f").samefile(root / "x/h")


def test_devices_and_fifos(source: Path, root: Path) -> None:
    copy_from_root(request("d /x"), str(source), str(root), scratch)
    nodes = {name: (root / "x" / name).lstat() for name in ("null", "loop", "p")}
    assert stat.S_ISFIFO(nodes["p"].st_mode)
    assert (nodes["null"].st_mode, nodes["null"].st_rdev) == (stat.S_IFCHR | 0o666, os.makedev(1, 3))
    assert (nodes["loop"].st_mode, nodes["loop"].st_rdev) == (stat.S_IFBLK | 0o640, os.makedev(7, 0))


def test_sockets_are_left_out(source: Path, root: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(source / "d/socket"))
        copy_from_root(request("d /x"), str(source), str(root), scratch)
    assert sorted(path.name for path in (root / "x").iterdir()) == sorted(NAMES)


def test_extended_attributes_of_a_context_are_left_out(source: Path, root: Path) -> None:
    context = ContextTree(str(source))
    copy_from_context(request("d /x"), context, str(root), scratch)
    add(AddRequest(copy=request("d /y")), context, str(root), scratch, discard)
    assert [os.listxattr(root / path) for path in ("x/f", "x/s", "y/f", "y/s")] == [[], [], [], []]
    assert stat.S_IMODE((root / "x/f").stat().st_mode) == 0o6755


def test_overlay_s_own_attributes_are_not_content(source: Path, root: Path) -> None:
    os.setxattr(source / "d/s", "trusted.overlay.opaque", b"y")
    copy_from_root(request("d /x"), str(source), str(root), scratch)
    assert os.listxattr(root / "x/s") == ["user.note"]


def test_setgid_gives_its_group_to_directories_made_and_not_to_files(source: Path, root: Path) -> None:
    (root / "x").mkdir()
    os.chown(root / "x", 0, 55)
    (root / "x").chmod(0o2775)
    copy_from_context(request("d/f /x/new/"), ContextTree(str(source)), str(root), scratch)
    assert owners(root) == {"x": (0, 55), "x/new": (0, 55), "x/new/f": (0, 0)}


def test_heredocs_belong_to_root_or_to_chown(root: Path) -> None:
    document = Heredoc("a", "x\n", written="<<a")
    tree = ContextTree(str(root))
    copy_from_context(request("/d/", documents=(document,)), tree, str(root), scratch)
    copy_from_context(request("/e/", documents=(document,), owner=OURS), tree, str(root), scratch)
    assert owners(root) == {"d": (0, 0), "d/a": (0, 0), "e": OURS, "e/a": OURS}


@pytest.mark.parametrize("owner", [None, OURS])
def test_archives_keep_their_owners_unless_chown_is_written(
    source: Path, root: Path, owner: tuple[int, int] | None
) -> None:
    with tarfile.open(source / "a.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("d/f")
        info.uid, info.gid, info.mode, info.size = 31, 32, 0o4755, 1
        info.pax_headers = {"SCHILY.xattr.user.n": "v"}
        tar.addfile(info, io.BytesIO(b"x"))
        device = tarfile.TarInfo("null")
        device.type, device.devmajor, device.devminor, device.uid, device.gid = tarfile.CHRTYPE, 1, 3, 31, 32
        tar.addfile(device)
    wanted = AddRequest(copy=request("a.tar /x", owner=owner))
    add(wanted, ContextTree(str(source)), str(root), scratch, discard)
    inside = owner or (31, 32)
    assert owners(root) == {"x": owner or (0, 0), "x/d": (0, 0), "x/d/f": inside, "x/null": inside}
    assert stat.S_IMODE((root / "x/d/f").stat().st_mode) == 0o4755
    assert os.getxattr(root / "x/d/f", "user.n") == b"v"
    assert (root / "x/null").stat().st_rdev == os.makedev(1, 3)


def test_a_full_disk_is_said_and_no_bug(source: Path) -> None:
    (source / "large").write_bytes(bytes(2 << 20) + b"end")
    child = os.fork()
    if child == 0:
        status = 70
        try:
            status = _copy_to_a_small_disk(source)
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _copy_to_a_small_disk(source: Path) -> int:
    """In a mount namespace of its own. 0 when the copy failed as it should."""
    enter_mount_namespace()
    small = tempfile.mkdtemp(dir="/var/tmp")
    syscalls.mount("tmpfs", small, "tmpfs", 0, "size=1m")
    try:
        copy_from_context(request("large /"), ContextTree(str(source)), small, scratch)
    except UnfitError as error:
        return 0 if "No space left on device" in str(error) and small not in str(error) else 2
    finally:
        syscalls.unmount(small)
        os.rmdir(small)
    return 1


def test_between_file_systems(source: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """From disk to memory: copy_file_range refuses, the content arrives all the same, holes too."""
    content = os.urandom(1 << 20)
    (source / "large").write_bytes(content)
    with open(source / "holes", "wb") as file:
        file.seek(16 << 20)
        file.write(content)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as memory:
        copy_from_context(request("large holes /"), ContextTree(str(source)), memory, scratch)
        assert Path(memory, "large").read_bytes() == content
        assert Path(memory, "holes").read_bytes() == bytes(16 << 20) + content
        assert Path(memory, "holes").stat().st_blocks * 512 < 4 << 20
