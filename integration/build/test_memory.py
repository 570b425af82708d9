"""Resident memory of the runner and of a worker while large layers pass: it must not follow their size."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from integration.support.builders import BIN
from integration.support.memory import peaks

_MOST = 100 << 20
_DOCKERFILE = """\
FROM {base}/busybox
RUN mkdir /big && dd if=/dev/urandom of=/block bs=1M count=32 && \\
    for n in $(seq 32); do cat /block; done > /big/large && truncate -s 2G /big/large && rm /block
RUN for d in $(seq 400); do mkdir -p /many/$d; for f in $(seq 500); do echo $d $f > /many/$d/$f; done; done
COPY large /large
"""
"""A layer of 2 GiB, half of which no compressor makes smaller, one of 200,000 files, and one from the context."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("rootfs", ["overlay", "chroot"])
def test_memory_does_not_follow_the_layer(rootfs: str, base_host: str, work: Path) -> None:
    """The in-place driver compares trees as the chroot driver does."""
    folder = work / f"memory-{rootfs}"
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
        "rootfs": rootfs,
    }
    (folder / "builds.yaml").write_text(json.dumps({"version": 1, "builds": [build]}))
    process = subprocess.Popen(
        [BIN / "krunner", "build", "--quiet", f"--report-dir={folder / 'report'}", folder / "builds.yaml"],
        env={**os.environ, "KRUNNER_HOME": str(folder / "home")},
    )
    found = peaks(process)
    shutil.rmtree(folder)
    assert process.returncode == 0
    assert len([peak for peak in found.values() if peak]) >= 2, "a runner and a worker"
    assert {pid: peak for pid, peak in found.items() if peak > _MOST} == {}
