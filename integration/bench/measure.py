"""Time and peak resident memory of a command, its children and the daemon that works for it included."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from integration.support.leftovers import descendants
from integration.support.programs import ProgramError

_POLL = 0.02
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What to run and time. `daemon` is the process that works for it (0: none).

    Of a daemon's memory counts what it has at work beyond what it had before (its start is not measured either).
    """

    argv: Sequence[str | Path]
    env: Mapping[str, str]
    daemon: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One run: wall and CPU seconds, the largest sum of resident bytes, and what was printed."""

    wall: float
    cpu: float
    peak: int
    output: str


def measure(command: Command) -> Measured:
    """Run the command to its end. Raises ProgramError with its output when it fails."""
    idle = _resident_of(command.daemon) if command.daemon else 0
    busy, before = _cpu_of(command.daemon), os.times()
    begin = time.perf_counter()
    process = subprocess.Popen(
        command.argv,
        env={**os.environ, **command.env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    peaks = [0]
    ended = threading.Event()
    watcher = threading.Thread(target=_watch, args=((process.pid, command.daemon), peaks, ended.is_set))
    watcher.start()
    printed, _ = process.communicate()
    wall = time.perf_counter() - begin
    after = os.times()
    ended.set()
    watcher.join()
    output = printed.decode(errors="replace")
    if process.returncode != 0:
        raise ProgramError(f"{command.argv}\nended with {process.returncode}\n{output}")
    cpu = after.children_user - before.children_user + after.children_system - before.children_system
    return Measured(wall=wall, cpu=cpu + _cpu_of(command.daemon) - busy, peak=max(peaks) - idle, output=output)


def _watch(roots: Iterable[int], peaks: list[int], ended: Callable[[], bool]) -> None:
    while not ended():
        peaks.append(sum(_resident_of(pid) for pid in roots if pid))
        time.sleep(_POLL)


def _resident_of(root: int) -> int:
    return _resident(root) + sum(_resident(child) for child in descendants(root))


def _resident(pid: int) -> int:
    """Resident bytes that are the process's own: forked workers share the rest with their parent."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    (pss,) = [line.split()[1] for line in rollup.splitlines() if line.startswith("Pss:")] or ["0"]
    return int(pss) * 1024


def _cpu_of(daemon: int) -> float:
    """CPU seconds of a daemon and of its children that have ended."""
    if not daemon:
        return 0.0
    fields = Path(f"/proc/{daemon}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICKS
