"""The packing of many siblings, shared with a second process: this one is bound to one core by the interpreter.

    this process ── fork ──> helper    goes on with the walk from where it is, and packs two turns of three
       packs every third turn,  <── pipe ──  <length> <outline> <bytes>… for each row of siblings
       looks at all that is not plain, takes the rest out of the pipe

An outline is a marshalled list like Packed, with lengths for the bytes, which are copied no more than they have to
be, and ~position for a position. Both processes count the files they come by, so that they agree on the turns. The
archive is the same as without a helper, and a helper that cannot be had, or ends early, only costs time.
"""

from __future__ import annotations

import fcntl
import gc
import marshal
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from typing import NoReturn

from executor.build import cgroup
from executor.build.layers.packing import Packed, Packer, unpacked
from executor.errors import UnfitError
from executor.image.tar import Member
from executor.rootfs.kernel import syscalls
from executor.rootfs.kernel.forking import close_all_but, fork_with_signals_blocked
from executor.snapshot.changes import Change, Siblings

_ALONE = 2000
"""Files that are packed before: a fork takes as long as some hundred."""
_TURN = 256
"""Files at least; a pipe holds several turns of small ones."""
_OF_THREE = 3
_PIPE = 1 << 20
_LENGTH = 4


def shared(changes: Iterator[Change | Siblings], packer: Packer) -> Iterator[Member]:
    """What the tar of `changes` is made of. Raises OSError for what cannot be looked at."""
    turns = _Turns()
    helper: _Helper | None = None
    try:
        for found in changes:
            if isinstance(found, Change):
                yield found.entry, found.content
                continue
            packed = helper.take() if turns.is_for_helper(found) and helper else None
            if turns.is_time_to_share() and cgroup.cores() > 1:
                helper = _start(changes, packer, turns)
            yield from unpacked(packed or packer.pack(found), found)
    finally:
        if helper:
            helper.close()


class _Turns:
    """Tells whose turn it is."""

    def __init__(self) -> None:
        self._files = 0
        self._may_share = True

    def is_for_helper(self, siblings: Siblings) -> bool:
        """Whether the next that were found are the helper's, if there is one."""
        turn = self._files // _TURN
        self._files += len(siblings.names)
        return turn % _OF_THREE != 0

    def is_time_to_share(self) -> bool:
        """True once, when there are many files."""
        now = self._may_share and self._files >= _ALONE
        self._may_share = self._may_share and not now
        return now


class _Helper:
    """The process `pid`, and the pipe that it writes to."""

    def __init__(self, pid: int, pipe: int) -> None:
        self._pid = pid
        self._pipe = os.fdopen(pipe, "rb")

    def take(self) -> Packed | None:
        """What it packed next; None when it has ended before its time."""
        try:
            outline = self._read(int.from_bytes(self._read(_LENGTH), "little"))
            numbers: list[int] = marshal.loads(outline)  # noqa: S302 - it is a copy of this process
            return [~number if number < 0 else self._read(number) for number in numbers]
        except EOFError:
            return None

    def _read(self, count: int) -> bytes:
        data = self._pipe.read(count)
        if len(data) < count:
            raise EOFError
        return data

    def close(self) -> None:
        """End it: what it still has to say is of no use."""
        self._pipe.close()
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)


def _start(changes: Iterator[Change | Siblings], packer: Packer, turns: _Turns) -> _Helper | None:
    """A helper for what `changes` has yet to give; None where no process or pipe can be had."""
    try:
        reading, writing = os.pipe()
    except OSError:
        return None
    with suppress(OSError):  # users have a limit for all their pipes; a small one works as well
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _PIPE)
    try:
        pid, mask = fork_with_signals_blocked()
    except UnfitError:
        os.close(reading)
        os.close(writing)
        return None
    if pid == 0:
        _help(changes, packer, turns, writing)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    os.close(writing)
    return _Helper(pid, reading)


def _help(changes: Iterator[Change | Siblings], packer: Packer, turns: _Turns, pipe: int) -> NoReturn:
    """Be the helper. Nothing here takes a lock, which a thread may have held that is no more."""
    status = 1
    try:
        gc.disable()  # finalizers are the parent's affair
        close_all_but(pipe)
        syscalls.die_with_parent(signal.SIGKILL)
        for found in changes:
            if isinstance(found, Siblings) and turns.is_for_helper(found):
                _write(pipe, packer.pack(found))
        status = 0
    finally:
        os._exit(status)


def _write(pipe: int, packed: Packed) -> None:
    outline = marshal.dumps([len(piece) if isinstance(piece, bytes) else ~piece for piece in packed])
    pieces = [piece for piece in packed if isinstance(piece, bytes)]
    for data in (len(outline).to_bytes(_LENGTH, "little") + outline, *pieces):
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(pipe, rest) :]
