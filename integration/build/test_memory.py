"""Resident memory of the runner and of a worker while large layers pass: it must not follow their size."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from integration.support.builders import BIN
from integration.support.leftovers import descendants

_MOST = 100 << 20
_DOCKERFILE = """\
FROM {base}/busybox
RUN mkdir /big && dd if=/dev/urandom of=/block bs=1M count=32 && \\
    for n in $(seq 32); do cat /block; done > /big/large && truncate -s 2G /big/large && rm /block
RUN for d in $(seq 400); do mkdir -p /many/$d; for f in $(seq 500); do echo $d $f > /many/$d/$f; done; done
COPY large /large
"""
"""A layer of 2 GiB, half of which no compressor makes smaller, one of 200,000 files, and one from the context."""


def _peaks(process: subprocess.Popen[bytes]) -> Mapping[int, int]:
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


@pytest.mark.timeout(400)
def test_memory_does_not_follow_the_layer(base_host: str, work: Path) -> None:
    folder = work / "memory"
    context = folder / "context"
    context.mkdir(parents=True)
    (context / "Dockerfile").write_text(_DOCKERFILE.replace("{base}", base_host))
    with (context / "large").open("wb") as file:
        file.truncate(300 << 20)
    build = {
        "name": "large",
        "context": str(context),
        "destinations": [f"{base_host}/memory:1"],
        "insecure": True,
        "rootfs": "overlay",
    }
    (folder / "builds.yaml").write_text(json.dumps({"version": 1, "builds": [build]}))
    process = subprocess.Popen(
        [BIN / "krunner", "build", "--quiet", f"--report-dir={folder / 'report'}", folder / "builds.yaml"],
        env={**os.environ, "KRUNNER_HOME": str(folder / "home")},
    )
    peaks = _peaks(process)
    shutil.rmtree(folder)
    assert process.returncode == 0
    assert len([peak for peak in peaks.values() if peak]) >= 2, "a runner and a worker"
    assert {pid: peak for pid, peak in peaks.items() if peak > _MOST} == {}
