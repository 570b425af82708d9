"""Where runs keep their files: each on a file system made for it, or all on the disk as it is.

ext4 looks at each inode that was deleted in the last minutes before it gives out a new one: on a disk in use the
same build takes up to twice as long. A file system made for the run has no past.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from integration.bench import filesystem
from integration.support.programs import ProgramError, run

FRESH = "fresh"
HERE = "here"
_LARGE = 1 << 30


class Disk(Protocol):
    """Gives each run two empty folders."""

    @property
    def described(self) -> str:
        """On what they lie."""

    def for_builder(self, *, large: bool) -> AbstractContextManager[Path]:
        """A folder for all that a builder keeps; `large`: it will be few files and many bytes."""

    def for_registry(self) -> AbstractContextManager[Path]:
        """A folder for a registry's files."""


@dataclass(frozen=True, slots=True)
class FreshDisk:
    """File systems made for each folder, in two files below `folder` that are written once and used again.

    The registry has one of its own: it syncs what it is sent, and the builder's files shall not wait for that.
    """

    folder: Path
    described: str

    @contextmanager
    def for_builder(self, *, large: bool) -> Iterator[Path]:
        """See `Disk`."""
        with filesystem.mounted(self.folder / "builder.ext4", self.folder / "builder"):
            yield _run_folder(self.folder / "builder")

    @contextmanager
    def for_registry(self) -> Iterator[Path]:
        """See `Disk`."""
        with filesystem.mounted(self.folder / "registry.ext4", self.folder / "registry"):
            yield _run_folder(self.folder / "registry")


@dataclass(frozen=True, slots=True)
class DiskInUse:
    """Folders below `folder`. They stay to the end unless they are large: mass deletes make the next run slow."""

    folder: Path
    described: str

    @contextmanager
    def for_builder(self, *, large: bool) -> Iterator[Path]:
        """See `Disk`."""
        folder = _run_folder(self.folder)
        yield folder
        if large:
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def for_registry(self) -> Iterator[Path]:
        """See `Disk`."""
        folder = _run_folder(self.folder)
        yield folder
        if sum(file.stat().st_size for file in folder.rglob("data")) > _LARGE:
            shutil.rmtree(folder)


def disk(kind: str, folder: Path, *, size: int) -> Disk:
    """The disk of that kind below `folder`; `size`: bytes of a builder's file system, a registry's has half.

    Where file systems cannot be made it is the disk as it is, and says why.
    """
    below = _kind_of(folder)
    if kind == HERE:
        return DiskInUse(folder, f"as it is, for all runs the same ({below})")
    try:
        return FreshDisk(folder, f"{_prepared(folder, size)}; below it {below}")
    except (OSError, ProgramError) as error:
        for image in folder.glob("*.ext4"):
            filesystem.detach(image)
            image.unlink()
        reason = " ".join(str(error).split())
        return DiskInUse(folder, f"as it is ({below}), for no other could be made: {reason}")


def _prepared(folder: Path, size: int) -> str:
    """What the two files are, now that they are there. A file system is made in each to see whether that works."""
    options = ""
    for name, bytes_ in (("builder", size), ("registry", size // 2)):
        image = folder / f"{name}.ext4"
        filesystem.allocate(image, bytes_)
        with filesystem.mounted(image, folder / name):
            options = _kind_of(folder / name)
        filesystem.write_out(image)
    direct = "with" if filesystem.does_direct_io(folder / "builder.ext4") else "without"
    return (
        f"a new {options} of {size / 1e9:.1f} GB for each run, half of that for its registry,"
        f" by a loop device {direct} direct I/O"
    )


def _kind_of(folder: Path) -> str:
    """The file system that a folder is on, and its options."""
    return " ".join(run(["findmnt", "--noheadings", "--output=FSTYPE,OPTIONS", "--target", folder]).split())


def _run_folder(below: Path) -> Path:
    return Path(tempfile.mkdtemp(prefix="run-", dir=below))
