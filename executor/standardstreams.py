"""The standard streams, which may be closed, on a full disk, or a pipe without a reader or that does not block."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Protocol


class LineStream(Protocol):
    """What lines are written to: a text file, or something like it."""

    def write(self, text: str, /) -> int:
        """Take text; whole lines."""

    def flush(self) -> None:
        """Pass on what was written."""

    def fileno(self) -> int:
        """The descriptor behind it."""


def make_usable() -> None:
    """Let standard streams take any text, and wait for slow readers; those that were closed lead nowhere.

    A pipe that whoever called left non-blocking would lose what its reader is not quick enough for. The numbers of
    closed streams must not become those of other files: a command's output goes to them.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115  # for as long as the process lives
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a TextIO without it is not used
        with suppress(OSError, ValueError):  # it has no descriptor
            os.set_blocking(stream.fileno(), True)


def write_line(stream: LineStream, line: str) -> None:
    """Write and flush, so that a CI server shows it now. Once the stream takes no more, the rest goes nowhere."""
    try:
        stream.write(line + "\n")
        stream.flush()
    except OSError:  # nobody reads any more, or the disk is full: the build is worth more than its log
        null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        os.dup2(null, stream.fileno())  # also for what the stream still holds
        os.close(null)
