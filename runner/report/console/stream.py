"""Writing lines to standard streams, which may be on a full disk or a pipe that nobody reads."""

from __future__ import annotations

import os
from typing import Protocol


class LineStream(Protocol):
    """What lines are written to: a text file, or something like it."""

    def write(self, text: str, /) -> int:
        """Take text; whole lines."""

    def flush(self) -> None:
        """Pass on what was written."""

    def fileno(self) -> int:
        """The descriptor behind it."""


def write_line(stream: LineStream, line: str) -> None:
    """Write and flush, so that a CI server shows it now. Once the stream takes no more, the rest goes nowhere."""
    try:
        stream.write(line + "\n")
        stream.flush()
    except OSError:  # nobody reads any more, or the disk is full: the build is worth more than its log
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
