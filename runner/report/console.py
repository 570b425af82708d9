"""The run as plain lines: one a step, each with its image's name, so that parallel builds stay readable.

The log goes to standard error, the table at the end to standard output. No cursor movement: it garbles CI logs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TextIO, TypeAlias

from executor import events
from runner.outcome import Outcome
from runner.report.stream import write_line
from runner.report.style import duration, paint, size
from runner.report.table import status_word, table
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
class _Line:
    """A line of an image's log; `detail` lines are shown with -v only."""

    text: str
    colour: str = ""
    detail: bool = False


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
                self._show(event.name, [_Line(f"image {event.position} of {event.total}", "bold")])
            case ImageEvent():
                self._show(event.name, _lines(event.event))
            case ImageOutput():
                self._show(event.name, [_Line(event.line)])
            case ImageFinished():
                self._finish(event.outcome)
            case RunFinished():
                write_line(self._results.stream, table(event.report, colour=self._results.colour))

    def _begin(self, event: RunStarted) -> None:
        width = max(len(name) for name in event.images)
        for position, name in enumerate(event.images):
            colour = _NAME_COLOURS[position % len(_NAME_COLOURS)]
            self._prefixes[name] = paint(f"{name.ljust(width)} |", colour, enabled=self._log.colour)

    def _show(self, name: str, lines: Iterator[_Line] | list[_Line], *, always: bool = False) -> None:
        for line in lines:
            if always or self._verbosity == "verbose" or (self._verbosity == "normal" and not line.detail):
                for part in line.text.splitlines() or [""]:
                    text = paint(part, line.colour, enabled=self._log.colour and bool(line.colour))
                    write_line(self._log.stream, f"{self._prefixes[name]} {text}".rstrip())

    def _finish(self, outcome: Outcome) -> None:
        word = status_word(outcome)
        if outcome.status == "built":
            self._show(outcome.name, [_Line(f"{word} in {duration(outcome.seconds)}", "green")])
            return
        hint = f"\nhint: {outcome.hint}" if outcome.hint else ""
        colour = "yellow" if outcome.status in ("skipped", "stopped") else "red"
        self._show(outcome.name, [_Line(f"{word}: {outcome.message}{hint}", colour)], always=True)


def _lines(event: events.Event) -> Iterator[_Line]:
    match event:
        case events.CommandOutput():
            yield _Line(f"    {event.line}")
        case events.StepStarted():
            yield _Line(f"[{event.stage}: {event.position}/{event.total}] {event.instruction}", "bold")
        case events.StepFinished():
            layer = f", layer of {size(event.layer_size)}" if event.layer_digest else ""
            yield _Line(f"done in {duration(event.seconds)}{layer}", "dim", detail=True)
        case events.StageStarted():
            name = f" ({event.name})" if event.name else ""
            yield _Line(f"stage {event.index}{name} from {event.base}, {event.position} of {event.total}")
        case events.Warned():
            place = f"{event.location}: " if event.location else ""
            yield _Line(f"warning: {place}{event.message}", "yellow")
        case events.RetryScheduled():
            wait = duration(event.wait)
            yield _Line(f"{event.action}: {event.error}; try {event.attempt} in {wait}", "yellow")
        case _:
            yield from _transfer_lines(event)


def _transfer_lines(event: events.Event) -> Iterator[_Line]:
    match event:
        case events.PullFinished():
            amount = f"{event.layers} layers, {size(event.size)}, {duration(event.seconds)}"
            yield _Line(f"pulled {event.reference} ({amount})")
        case events.ImageBuilt():
            yield _Line(f"built {event.digest} ({event.layers} layers, {size(event.size)})")
        case events.PushFinished():
            blobs = f"{event.sent} sent, {event.mounted} mounted, {event.existing} there"
            amount = f"{blobs}, {size(event.size)}, {duration(event.seconds)}"
            yield _Line(f"pushed {event.reference} ({amount})")
        case events.PullStarted() | events.PushStarted():
            verb = "pulling" if isinstance(event, events.PullStarted) else "pushing"
            yield _Line(f"{verb} {event.reference}", "dim", detail=True)
        case events.DriverChosen():
            yield _Line(f"root filesystem: {event.driver}; {event.reason}", "dim", detail=True)
        case events.Noted():
            yield _Line(event.message, "dim", detail=True)
        case _:  # BuildStarted, BuildSucceeded, BuildFailed: the run's own events say it
            pass
