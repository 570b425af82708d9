"""The log of one image as a file, every detail in it, written line by line: `tail -f` works."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from runner.report.lines import Line


class LogFile:
    """A new file at `path`, flushed after each event. Raises OSError, as files do."""

    def __init__(self, path: Path) -> None:
        self._stream = path.open("w", encoding="utf-8", errors="backslashreplace")

    def write(self, seconds: float, lines: Iterable[Line]) -> None:
        """Add lines, each with the seconds since the image was begun; what continues a line is indented."""
        for line in lines:
            first, *more = line.text.splitlines() or [""]
            self._stream.write(f"{seconds:8.1f}  {first}".rstrip() + "\n")
            self._stream.writelines(f"{'':8}  {part}".rstrip() + "\n" for part in more)
        self._stream.flush()

    def close(self) -> None:
        """Nothing can be added any more."""
        self._stream.close()
