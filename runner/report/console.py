"""The run as plain lines: one a step, each with its image's name, so that parallel builds stay readable.

The log goes to standard error, the table at the end to standard output. No cursor movement: it garbles CI logs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TextIO, TypeAlias

from runner.outcome import Outcome
from runner.report.lines import Line, log_lines, outcome_line
from runner.report.stream import write_line
from runner.report.style import paint
from runner.report.table import table
from runner.runevents import (
    ImageEvent,
    ImageFinished,
    ImageOutput,
    ImageStarted,
    RunEvent,
    RunFinished,
    RunStarted,
)

Verbosity: TypeAlias = Literal["quiet", "normal", "verbose"]
_NAME_COLOURS = ("cyan", "magenta", "blue", "green", "yellow")


@dataclass(frozen=True, slots=True)
class Paper:
    """A stream, and whether to write on it in colour."""

    stream: TextIO
    colour: bool = False


class Console:
    """A RunSink for people."""

    def __init__(self, log: Paper, results: Paper, *, verbosity: Verbosity = "normal") -> None:
        self._log = log
        self._results = results
        self._verbosity = verbosity
        self._prefixes: dict[str, str] = {}

    def __call__(self, event: RunEvent) -> None:
        """Show one event."""
        match event:
            case RunStarted():
                self._begin(event)
            case ImageStarted():
                self._show(event.name, [Line(f"image {event.position} of {event.total}", "bold")])
            case ImageEvent():
                self._show(event.name, log_lines(event.event))
            case ImageOutput():
                self._show(event.name, [Line(event.line)])
            case ImageFinished():
                self._finish(event.outcome)
            case RunFinished():
                write_line(self._results.stream, table(event.report, colour=self._results.colour))

    def _begin(self, event: RunStarted) -> None:
        width = max(len(name) for name in event.images)
        for position, name in enumerate(event.images):
            colour = _NAME_COLOURS[position % len(_NAME_COLOURS)]
            self._prefixes[name] = paint(f"{name.ljust(width)} |", colour, enabled=self._log.colour)

    def _show(self, name: str, lines: Iterator[Line] | list[Line], *, always: bool = False) -> None:
        for line in lines:
            if always or self._verbosity == "verbose" or (self._verbosity == "normal" and not line.detail):
                for part in line.text.splitlines() or [""]:
                    text = paint(part, line.colour, enabled=self._log.colour and bool(line.colour))
                    write_line(self._log.stream, f"{self._prefixes[name]} {text}".rstrip())

    def _finish(self, outcome: Outcome) -> None:
        self._show(outcome.name, [outcome_line(outcome)], always=outcome.status != "built")
