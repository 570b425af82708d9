"""How much memory processes take while they run."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from integration.support.leftovers import descendants


def peaks(process: subprocess.Popen[bytes]) -> Mapping[int, int]:
    """The largest resident size in bytes of `process` and of its children that run Python, by process id."""
    found: dict[int, int] = {}
    while process.poll() is None:
        for pid in (process.pid, *descendants(process.pid)):
            found[pid] = max(found.get(pid, 0), _high_water_mark(pid))
        time.sleep(0.05)
    return found


def _high_water_mark(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        if "python" not in os.readlink(f"/proc/{pid}/exe"):
            return 0  # a command of the image
    except OSError:
        return 0
    marks = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(marks[0]) * 1024 if marks else 0
