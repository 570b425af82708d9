"""What a table was measured with: the machine, this checkout, programs."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Sequence
from pathlib import Path

from integration.support.builders import BIN, ROOT
from integration.support.programs import ProgramError, run


def machine() -> str:
    """Kernel, processors, memory, and how busy it is."""
    kernel = platform.uname()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    cores = len(os.sched_getaffinity(0))
    return (
        f"{kernel.system} {kernel.release} {kernel.machine}, {cores} cores{_model()}, {memory / 1e9:.0f} GB;"
        f" load {os.getloadavg()[0]:.1f}"
    )


def checkout() -> str:
    """The commit of this checkout, and its interpreter."""
    commit = said("git", "-C", ROOT, "describe", "--always", "--dirty")
    return f"{commit}, {said(BIN / 'python', '--version')}"


def program(path: Path, *words: str) -> str:
    """What a program says of its version, and its digest: who builds it often leaves the version out."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return f"{said(path, *words)} (sha256 {digest[:12]})"


def said(*argv: str | Path) -> str:
    """The line that a command prints; that there is none when it cannot be run."""
    try:
        lines: Sequence[str] = run(argv).split("\n")
    except (OSError, ProgramError):
        lines = ("of unknown version",)
    return " ".join(lines[0].split())


def _model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return f" of {line.partition(':')[2].strip()}"
    return ""
