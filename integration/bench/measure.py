"""Time and peak resident memory of a command, its children and the daemon that works for it included."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from integration.support.programs import ProgramError

_POLL = 0.02
_GRACE = 10
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What to run and time. `daemon` is the process that works for it (0: none); of its memory counts what it has
    at work beyond what it had before (its start is not measured either). `container` is the file that will hold
    the id of the container it works in: then that container's memory counts, and its daemon's does not; of CPU
    both do. `status` is the exit status that it must have.
    """

    argv: Sequence[str | Path]
    env: Mapping[str, str]
    daemon: int = 0
    container: Path | None = None
    status: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One run: wall and CPU seconds, the largest sum of resident bytes, and what was printed."""

    wall: float
    cpu: float
    peak: int
    output: str


def measure(command: Command) -> Measured:
    """Run the command to its end. Raises ProgramError with its output when it ends otherwise than it should.

    When this is interrupted, so is the command, which is a process group of its own.
    """
    idle = _resident_of(command.daemon) if command.daemon and not command.container else 0
    busy, before = _cpu_of(command.daemon), os.times()
    begin = time.perf_counter()
    process = subprocess.Popen(
        command.argv,
        env={**os.environ, **command.env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        process_group=0,
    )
    try:
        with _watching(command, process.pid) as seen:
            printed, _ = process.communicate()
            wall = time.perf_counter() - begin
            after = os.times()
    finally:
        _end(process)
    output = printed.decode(errors="replace")
    if process.returncode != command.status:
        raise ProgramError(f"{command.argv}\nended with {process.returncode}\n{output}")
    cpu = after.children_user - before.children_user + after.children_system - before.children_system
    cpu += _cpu_of(command.daemon) - busy + seen.cpu
    return Measured(wall=wall, cpu=cpu, peak=seen.peak - idle, output=output)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and its group, if it has not ended."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=_GRACE)


@dataclass(slots=True)
class _Seen:
    """The most that was seen at a time: resident bytes, and CPU seconds of a container."""

    peak: int = 0
    cpu: float = 0.0


@contextlib.contextmanager
def _watching(command: Command, pid: int) -> Iterator[_Seen]:
    """Look at the processes from time to time while the body runs."""
    seen, ended = _Seen(), threading.Event()
    # a daemon: when a signal comes between these lines nothing waits for it
    watcher = threading.Thread(target=_watch, args=(command, pid, seen, ended.is_set), daemon=True)
    watcher.start()
    try:
        yield seen
    finally:
        ended.set()
        watcher.join()


def _watch(command: Command, pid: int, seen: _Seen, ended: Callable[[], bool]) -> None:
    while not ended():
        shims = _shims(command.container) if command.container else []
        roots = shims if command.container else [pid, command.daemon]
        seen.peak = max(seen.peak, sum(_resident_of(root) for root in roots if root))
        seen.cpu = max(seen.cpu, sum(_cpu_of(one) for shim in shims for one in _with_descendants(shim)))
        time.sleep(_POLL)


def _shims(container: Path) -> list[int]:
    """The process that containerd puts above those of a container; none before it is there."""
    name = container.read_bytes() if container.exists() else b""
    return [pid for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))) if name and _is_shim(pid, name)]


def _is_shim(pid: int, name: bytes) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"containerd-shim" in words[0] and name in words


def _resident_of(root: int) -> int:
    return sum(map(_resident, _with_descendants(root)))


def _with_descendants(root: int) -> list[int]:
    """The process and its living children, and theirs, by what the kernel lists of each: to look at all processes
    of the machine takes some ms of a core, which those that are measured need.
    """
    found = [root]
    for pid in found:  # which grows meanwhile
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{pid}/task"):
                found += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
    return found


def _resident(pid: int) -> int:
    """Resident bytes that are the process's own: forked workers share the rest with their parent."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    (pss,) = [line.split()[1] for line in rollup.splitlines() if line.startswith("Pss:")] or ["0"]
    return int(pss) * 1024


def _cpu_of(pid: int) -> float:
    """CPU seconds of a process and of its children that have ended; 0 when there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / _TICKS
