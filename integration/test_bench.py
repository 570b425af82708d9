"""`make bench` in small: what it prints, and that nothing is left of it, also when it is ended in the middle."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from integration.support.builders import ROOT
from integration.support.leftovers import mounts
from integration.support.programs import run, wait_until

_BENCH = (sys.executable, "-m", "integration.bench", "--workloads=small", "--peers=krunner", "--size=1")


def folders() -> set[Path]:
    return set(Path("/var/tmp").glob("krunner-bench-*"))


def attached(folder: Path) -> list[str]:
    files = run(["losetup", "--list", "--noheadings", "--output=BACK-FILE"]).splitlines()
    return [file for file in files if file.startswith(str(folder))]


@pytest.fixture(scope="module", autouse=True)
def _bases(base_host: str, debian_host: str) -> None:
    """Made before, for that takes its time."""


@pytest.mark.parametrize("disk", ["fresh", "here"])
def test_a_table(disk: str) -> None:
    before = folders()
    done = subprocess.run(
        [*_BENCH, f"--disk={disk}"], cwd=ROOT, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert f"\ndisk: {'a new ext4 ' if disk == 'fresh' else 'as it is, for all runs the same ('}" in done.stdout
    assert "\nrounds: 2\n" in done.stdout
    (row,) = [line for line in done.stdout.splitlines() if line.startswith("  krunner ")]
    assert row.count("..") == 3, row
    assert "  phases of krunner: resolve " in done.stdout
    assert folders() == before


def test_ended_in_the_middle() -> None:
    before = folders()
    with subprocess.Popen([*_BENCH, "--rounds=100"], cwd=ROOT, stdout=subprocess.PIPE, text=True) as bench:
        assert bench.stdout is not None
        assert any(line.startswith("rounds: ") for line in bench.stdout)
        (folder,) = folders() - before
        wait_until(lambda: f"{folder}/builder" in mounts(below=folder), "a run", seconds=60)
        assert attached(folder)
        bench.send_signal(signal.SIGTERM)
        assert bench.wait(timeout=60) == 128 + signal.SIGTERM
    assert mounts(below=folder) == []
    assert attached(folder) == []
    assert not folder.exists()
