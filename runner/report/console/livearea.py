"""The lower edge of a terminal, redrawn in place, with the log scrolling above it. Written by hand in plain ANSI:
cursor up, erase below, no wrapping. rich takes 90 ms to import and 1.4 MB of our image for the same.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import TextIO

from runner.report.console.console import Console
from runner.report.console.livestatus import LiveStatus
from runner.runevents import RunEvent, RunFinished

_NO_WRAP, _WRAP = "\x1b[?7l", "\x1b[?7h"
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
Size = Callable[[], os.terminal_size]


class LiveArea:
    """A stream for lines that go above the area, and the area. `terminal_size` is asked anew each time."""

    def __init__(self, terminal: TextIO, terminal_size: Size | None = None) -> None:
        self._terminal = terminal
        self._size = terminal_size or (lambda: os.get_terminal_size(terminal.fileno()))
        self._drawn: list[str] = []

    @property
    def size(self) -> os.terminal_size:
        """Columns and lines of the terminal; a usual one when it does not say."""
        try:
            size = self._size()
        except OSError:
            size = os.terminal_size((0, 0))
        return size if size.columns > 0 else os.terminal_size((80, 24))

    def write(self, text: str) -> int:
        """Put whole lines above the area, which is drawn again below them."""
        return self._terminal.write(f"{self._erased()}{text}{self._area(self._drawn)}")

    def draw(self, lines: list[str]) -> None:
        """Show these lines as the area, if that changes anything."""
        if lines != self._drawn:
            self._terminal.write(f"{self._erased()}{self._area(lines)}")
            self._drawn = lines
            self._terminal.flush()

    def flush(self) -> None:
        """Let the terminal have it now."""
        self._terminal.flush()

    def fileno(self) -> int:
        """The terminal's."""
        return self._terminal.fileno()

    def _erased(self) -> str:
        """To the area's first line, and nothing left below. A narrower terminal has wrapped what was drawn."""
        columns = self.size.columns
        rows = sum(max(-(-len(_COLOURS.sub("", line)) // columns), 1) for line in self._drawn)
        return f"\x1b[{rows}A\r\x1b[J" if rows else ""

    @staticmethod
    def _area(lines: list[str]) -> str:
        return "".join(f"{_NO_WRAP}{line}{_WRAP}\n" for line in lines)


class LiveConsole:
    """A RunSink for a terminal: a Console whose lines go to `area`, and the status at the lower edge."""

    def __init__(self, console: Console, area: LiveArea, status: LiveStatus) -> None:
        self._console = console
        self._area = area
        self._status = status

    def __call__(self, event: RunEvent) -> None:
        """Show one event. At the end the area goes, and the table comes."""
        self._status.note(event)
        if isinstance(event, RunFinished):
            self._area.draw([])
        self._console(event)
        if not isinstance(event, RunFinished):
            size = self._area.size
            self._area.draw(self._status.lines(size.columns, size.lines))
