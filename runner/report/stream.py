"""Writing lines to standard streams that may be closed, full or pipes of a CI server."""

from __future__ import annotations

import os
from typing import TextIO


def write_line(stream: TextIO, line: str) -> None:
    """Write and flush, so that a CI server shows it now. When nobody reads any more, the rest goes nowhere."""
    try:
        stream.write(line + "\n")
        stream.flush()
    except BrokenPipeError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
