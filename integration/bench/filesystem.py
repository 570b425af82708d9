"""A file system of its own: an ext4 in a file, made anew and mounted by a loop device."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from integration.support.leftovers import mounts
from integration.support.programs import run, wait_until

_MKFS_ENVIRONMENT = {"UNIX_IO_NOZEROOUT": "1"}
"""Zeros are written and not punched: a hole would have to be filled by the disk below in the middle of a run."""
_MKFS = ("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard", "-J", "size=128")
"""All is initialised now, or a thread of the kernel would do it in the run; larger disks have such journals."""


def allocate(path: Path, size: int) -> None:
    """Make a file of `size` bytes. Raises OSError when there is no room."""
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, size)


def write_out(path: Path) -> None:
    """Write every block of a file, so that the disk below notes nothing of the first write to one later."""
    blocks = path.stat().st_size >> 20
    run(["dd", "if=/dev/zero", f"of={path}", "bs=1M", f"count={blocks}", "conv=notrunc,fsync", *_direct(path)])


_PATIENCE = 120


@contextmanager
def mounted(image: Path, point: Path) -> Iterator[None]:
    """Make an ext4 in `image` and mount it at `point`. Raises ProgramError when that cannot be done.

    It has been let go when this ends. Raises TimeoutError when somebody keeps it.
    """
    point.mkdir(exist_ok=True)
    device = _attach(image)
    try:
        run([*_MKFS, device], env={**os.environ, **_MKFS_ENVIRONMENT})
        run(["mount", device, point])
    finally:
        run(["losetup", "--detach", device])  # as soon as it is no longer mounted
    try:
        yield
    finally:
        wait_until(lambda: _unmounted(point), f"umount {point}")
        # a namespace made meanwhile has the mount as well, while it lives (not one made outside of `make bench`'s)
        wait_until(lambda: not _devices(image), f"end of all mounts of {image}", seconds=_PATIENCE)


def detach(image: Path) -> None:
    """Let go of the loop devices that a file is attached to."""
    for device in _devices(image):
        run(["losetup", "--detach", device])


def does_direct_io(path: Path) -> bool:
    """Whether a file can be read and written past the page cache."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_DIRECT))
    except OSError:
        return False
    return True


def _devices(image: Path) -> list[str]:
    return run(["losetup", "--associated", image, "--noheadings", "--output=NAME"]).split()


def _direct(path: Path) -> list[str]:
    return ["oflag=direct"] if does_direct_io(path) else []


def _attach(image: Path) -> str:
    """The loop device that now stands for the file; its sectors are as large as blocks, as direct I/O wants."""
    direct = "on" if does_direct_io(image) else "off"
    words = ["--find", "--show", "--sector-size=4096", f"--direct-io={direct}"]
    return run(["losetup", *words, image]).strip()


def _unmounted(point: Path) -> bool:
    if str(point) in mounts(below=point):
        subprocess.run(["umount", point], stderr=subprocess.DEVNULL, check=False)
    return str(point) not in mounts(below=point)
