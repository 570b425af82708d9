"""Time and peak resident memory of a command, children included."""

from __future__ import annotations

import os
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from integration.support.leftovers import descendants

_POLL = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Medians over the rounds: wall and CPU seconds; the largest sum of resident bytes of the process tree."""

    wall: float
    cpu: float
    peak: int
    rounds: int


def measure(make_command: Callable[[], Sequence[str | Path]], *, rounds: int) -> Measured:
    """Run what `make_command` prepares and returns, once a round; only the command itself is timed."""
    results = [_once(make_command()) for _ in range(rounds)]
    return Measured(
        wall=statistics.median(wall for wall, _, _ in results),
        cpu=statistics.median(cpu for _, cpu, _ in results),
        peak=int(statistics.median(peak for _, _, peak in results)),
        rounds=rounds,
    )


def _once(argv: Sequence[str | Path]) -> tuple[float, float, int]:
    before = os.times()
    begin = time.perf_counter()
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    peaks = [0]
    watcher = threading.Thread(target=_watch, args=(process.pid, peaks))
    watcher.start()
    output, _ = process.communicate()
    wall = time.perf_counter() - begin
    watcher.join()
    if process.returncode != 0:
        raise SystemExit(f"{argv[0]} ended with {process.returncode}\n{output.decode(errors='replace')}")
    after = os.times()
    cpu = after.children_user - before.children_user + after.children_system - before.children_system
    return wall, cpu, max(peaks)


def _watch(pid: int, peaks: list[int]) -> None:
    while Path(f"/proc/{pid}/statm").exists() and (resident := _resident(pid)):
        peaks.append(resident + sum(_resident(child) for child in descendants(pid)))
        time.sleep(_POLL)


def _resident(pid: int) -> int:
    """Resident bytes that are the process's own: forked workers share the rest with their parent."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    (pss,) = [line.split()[1] for line in rollup.splitlines() if line.startswith("Pss:")] or ["0"]
    return int(pss) * 1024
