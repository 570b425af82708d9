"""What a command started is told from everything else, whatever it does to hide."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from executor.rootfs.command import strays

_NUMBER = 4_000_000  # no process has it


@pytest.fixture
def marked() -> Iterator[subprocess.Popen[bytes]]:
    """A process that is marked, and has a child in a session of its own whose limit it lowered."""
    code = (
        "import os, resource, subprocess, sys\n"
        "from executor.rootfs.command import strays\n"
        f"strays.mark({_NUMBER})\n"
        "lower = lambda: (os.setsid(), resource.setrlimit(10, (5, 5)))\n"
        "child = subprocess.Popen(['sleep', '1000'], preexec_fn=lower)\n"
        "print(child.pid, flush=True)\n"
        "child.wait()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout
    child = int(process.stdout.readline())
    try:
        process.child = child  # type: ignore[attr-defined]
        yield process
    finally:
        for process_id in (child, process.pid):
            if os.path.exists(f"/proc/{process_id}/limits"):
                os.kill(process_id, 9)
        process.wait()
        process.stdout.close()


def test_all_that_are_marked_are_found_and_nobody_else(marked: subprocess.Popen[bytes]) -> None:
    child: int = marked.child  # type: ignore[attr-defined]
    assert list(strays.strays(_NUMBER)) == [marked.pid]
    assert {marked.pid, child} <= set(strays.strays())
    assert os.getpid() not in set(strays.strays())
    assert list(strays.strays(_NUMBER + 1)) == []


def test_they_are_killed(marked: subprocess.Popen[bytes]) -> None:
    strays.kill_strays(_NUMBER)
    assert marked.wait(timeout=5) == -9
    assert list(strays.strays(_NUMBER)) == []


def test_a_lower_limit_stays() -> None:
    code = (
        "import resource\nfrom executor.rootfs.command import strays\n"
        "resource.setrlimit(10, (7, 7))\nstrays.mark(1)\nprint(resource.getrlimit(10))\n"
        "print(list(strays.strays()))\n"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.splitlines()[0] == "(7, 7)"
