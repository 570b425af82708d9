"""Bringing `/` back after a process was killed while a tree was in its place; waiting while others have `/`."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from executor.dataclass import dataclass, field
from executor.errors import UnfitError
from executor.ownroot import FOLDER, LOCK
from executor.replacing import remove_unfinished
from executor.rootfs.chroot.record import RECORD
from executor.rootfs.command.strays import strays
from executor.rootfs.inplace import guard
from executor.rootfs.inplace.bystanders import Bystanders
from executor.rootfs.inplace.footholds import Footholds
from executor.rootfs.inplace.lentdev import LentDev
from executor.rootfs.inplace.lentfiles import LentFiles
from executor.rootfs.inplace.lentipc import LentIpc
from executor.rootfs.inplace.ownfiles import OwnFiles
from executor.rootfs.inplace.takeover import Takeover
from executor.snapshot.index import Facts

_RECORDS = ("journal.json", "dev.json", "files.json", "own.json", "others.json")
"""Written by who has `/`, and gone when it has been brought back."""
_TURN_BYTES = 16
_PATIENCE = 10.0
"""Seconds for a killed process to be gone; one that waits for a disk takes that long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WayBack:
    """What brings `/` back: what was noted of it before a command, in memory where this process noted it.

    `stays` are the paths that are neither put aside nor brought in.
    """

    takeover: Takeover
    dev: LentDev
    files: LentFiles
    own: OwnFiles
    others: Bystanders
    ipc: LentIpc = field(default_factory=LentIpc)
    footholds: Footholds = field(default_factory=lambda: Footholds(()))
    stays: frozenset[str] = frozenset()
    changed: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    @property
    def descriptors(self) -> frozenset[int]:
        """What it holds open."""
        return self.footholds.descriptors | self.own.descriptors

    @classmethod
    def noted(cls) -> WayBack:
        """As a process that was killed left it written down."""
        permit = guard.permit()
        return cls(
            takeover=Takeover(permit, FOLDER),
            dev=LentDev(FOLDER),
            files=LentFiles(FOLDER),
            own=OwnFiles(FOLDER),
            others=Bystanders(FOLDER, RECORD),
        )

    def go(self) -> Mapping[str, tuple[Facts, Facts]]:
        """Take the tree out and make all of the container's own as it was; see `Takeover.end`.

        `changed` are then the container's files that were repaired, `lost` the footholds that are gone.
        """
        self.lost.extend(self.footholds.restore())
        try:
            return self.takeover.end(self.repair)
        finally:
            self.dev.take_back()
            self.files.take_back()
            self.ipc.take_back()

    def repair(self) -> None:
        """Make the container's own files as they were."""
        self.changed.extend(self.own.put_right())

    def undo(self) -> None:
        """Kill what a killed build left running, throw away its tree, and make all as it was.

        Raises UnfitError naming what is not.
        """
        self.footholds.restore()
        if stays := self.takeover.unfinished():
            _kill_strangers(stays)
            self.takeover.recover(self.repair)
        self.dev.take_back()
        self.files.take_back()
        self.ipc.take_back()
        self.repair()
        self.others.discard_changed()
        remove_unfinished(FOLDER, _RECORDS)

    def undo_alone(self, turn: bytes, journal: bytes) -> bool:
        """`undo` for the process that had its `turn`, which told of its `journal`, unless others are at it.

        True when it was this that brought `/` back.
        """
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            with suppress(BlockingIOError), _lock(fcntl.LOCK_EX | fcntl.LOCK_NB) as descriptor:
                if not _is_turn(descriptor, turn):
                    return False
                if journal:
                    self.takeover.learn(journal)
                self.undo()
                return True
            with _turns() as descriptor:
                if not _is_turn(descriptor, turn):
                    return False
            time.sleep(0.005)  # what the killed process had forked keeps its lock until that is gone too
        return False


def recover() -> bool:
    """Bring `/` back when a killed process left a tree in its place; True when that was so.

    A living process that has `/` is left alone. Raises UnfitError when `/` cannot be brought back.
    """
    if not _is_unfinished():
        return False
    with suppress(BlockingIOError), _lock(fcntl.LOCK_EX | fcntl.LOCK_NB) as descriptor:
        _take_turn(descriptor)
        return _undo()
    return False


@contextmanager
def alone() -> Iterator[bytes]:
    """Wait until no other process has `/`; what one of them left that was killed is undone first.

    Gives the name of this turn, which is another one each time.
    """
    with _lock(fcntl.LOCK_EX) as descriptor:
        turn = _take_turn(descriptor)
        _undo()
        yield turn


@contextmanager
def _lock(operation: int) -> Iterator[int]:
    """Hold the lock, which ends with its process. Raises BlockingIOError when it must not wait but has to."""
    with _turns() as descriptor:
        fcntl.flock(descriptor, operation)
        yield descriptor


@contextmanager
def _turns() -> Iterator[int]:
    """The file that is locked, which has the name of the last turn in it."""
    os.makedirs(FOLDER, mode=0o700, exist_ok=True)
    descriptor = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _is_turn(descriptor: int, turn: bytes) -> bool:
    """Whether nobody has had a turn since `turn`."""
    return os.pread(descriptor, _TURN_BYTES, 0) in (turn, b"")


def _take_turn(descriptor: int) -> bytes:
    turn = os.urandom(_TURN_BYTES)
    os.pwrite(descriptor, turn, 0)
    return turn


def _is_unfinished() -> bool:
    """Whether a record is there, or the beginning of one."""
    try:
        return any(name.startswith(_RECORDS) for name in os.listdir(FOLDER))
    except FileNotFoundError:
        return False


def _undo() -> bool:
    if not _is_unfinished():
        return False
    WayBack.noted().undo()
    return True


def _kill_strangers(stays: tuple[str, ...]) -> None:
    """Kill what a killed build's command left running, and wait until it is gone: it could write meanwhile."""
    deadline = time.monotonic() + _PATIENCE
    while strangers := list(_strangers(stays)):
        for process_id in strangers:
            with suppress(ProcessLookupError):
                os.kill(process_id, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise UnfitError(
                f"/ cannot be brought back: process {strangers[0]} of a command does not end",
                hint="start a new container",
            )
        time.sleep(0.005)


def _strangers(stays: tuple[str, ...]) -> Iterator[int]:
    """What a command started, and processes whose program is not from a path that stays.

    One that has ended has no program.
    """
    yield from strays()
    for process_id in filter(str.isdecimal, os.listdir("/proc")):
        with suppress(OSError):
            program = os.readlink(f"/proc/{process_id}/exe")
            if not any(f"{program}/".startswith(f"{path}/") for path in stays):
                yield int(process_id)
