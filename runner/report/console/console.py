"""The run as plain lines: one a step, each with its image's name, so that parallel builds stay readable.

The log goes to standard error, the table at the end to standard output. No cursor movement: it garbles CI logs.
What CI servers understand of lines is `cimarkup.py`.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Literal, TypeAlias

from executor import events
from executor.dataclass import dataclass
from executor.errors import visible
from executor.standardstreams import LineStream, write_line
from runner.outcome import Outcome
from runner.report.console.cimarkup import Markup, NoMarkup, Note
from runner.report.console.heartbeat import Heartbeat
from runner.report.console.sections import Sections
from runner.report.console.table import table
from runner.report.lines import Line, log_lines, outcome_line
from runner.report.style import paint
from runner.runevents import (
    ImageEvent,
    ImageFinished,
    ImageKept,
    ImageOutput,
    ImageStarted,
    RunEvent,
    RunFinished,
    RunStarted,
    RunWarned,
    TimePassed,
)

Verbosity: TypeAlias = Literal["quiet", "normal", "verbose"]
_NAME_COLOURS = ("cyan", "magenta", "blue", "green", "yellow")


@dataclass(frozen=True, slots=True)
class Paper:
    """A stream, whether to write on it in colour, and how many columns it has (0: as many as needed)."""

    stream: LineStream
    colour: bool = False
    width: int = 0


def _line(event: ImageOutput | ImageKept) -> Line:
    if isinstance(event, ImageOutput):
        return Line(event.line)
    return Line("an earlier run has built it of the same inputs", "dim", detail=True)


class Console:
    """A RunSink for people. After `patience` seconds of silence by `clock` it says that the run is alive."""

    def __init__(
        self,
        log: Paper,
        results: Paper,
        *,
        verbosity: Verbosity = "normal",
        markup: Markup | None = None,
        clock: Callable[[], float] = time.monotonic,
        patience: float = 30.0,
    ) -> None:
        self._log = log
        self._results = results
        self._verbosity = verbosity
        self._markup = markup or NoMarkup()
        self._heartbeat = Heartbeat(clock, patience)
        self._prefixes: dict[str, str] = {}
        self._hits: defaultdict[str, dict[str, bool]] = defaultdict(dict)  # whether the cache had a key
        self._clock = clock
        self._sections: Sections | None = None

    def __call__(self, event: RunEvent) -> None:
        """Show one event."""
        self._heartbeat.note(event)
        match event:
            case RunStarted():
                self._begin(event)
            case ImageStarted():
                self._start(event)
            case ImageEvent():
                self._tell(event)
            case ImageOutput() | ImageKept():
                self._show(event.name, [_line(event)])
            case ImageFinished():
                self._finish(event.outcome)
            case TimePassed():
                for name, text in self._heartbeat.beats():
                    self._show(name, [Line(text, "dim")], now=True)
            case RunWarned():
                self._write(
                    paint(f"krunner: warning: {visible(event.message)}", "yellow", enabled=self._log.colour)
                )
            case RunFinished():
                paper = self._results
                shown = table(event.report, self._cached(), colour=paper.colour, width=paper.width)
                write_line(paper.stream, shown)

    def _begin(self, event: RunStarted) -> None:
        if self._markup.folds and self._verbosity != "quiet":
            self._sections = Sections(self._markup, self._clock, at_once=event.jobs > 1)
        width = max(map(len, event.images), default=0)
        for position, name in enumerate(event.images):
            colour = _NAME_COLOURS[position % len(_NAME_COLOURS)]
            self._prefixes[name] = paint(f"{name.ljust(width)} |", colour, enabled=self._log.colour)

    def _start(self, event: ImageStarted) -> None:
        title = f"image {event.position} of {event.total}"
        for line in self._sections.begin(event.name, f"{event.name}: {title}") if self._sections else ():
            self._write(line)
        self._show(event.name, [Line(title, "bold")], now=True)

    def _cached(self) -> dict[str, str]:
        return {name: f"{sum(hits.values())}/{len(hits)}" for name, hits in self._hits.items()}

    def _tell(self, event: ImageEvent) -> None:
        match event.event:
            case events.BuildStarted():
                self._hits.pop(event.name, None)
            case events.CacheLookedUp(key=key, hit=hit):
                self._hits[event.name][key] = hit
            case _:
                pass
        self._show(event.name, log_lines(event.event))
        if isinstance(event.event, events.Warned):
            self._note(Note.of_warning(event.name, event.event))

    def _show(
        self, name: str, lines: Iterator[Line] | list[Line], *, always: bool = False, now: bool = False
    ) -> None:
        """Lines of an image; its section may hold them back, but for what is to be said `now`."""
        for line in lines:
            if always or self._verbosity == "verbose" or (self._verbosity == "normal" and not line.detail):
                for part in line.text.splitlines() or [""]:
                    painted = paint(part, line.colour, enabled=self._log.colour and bool(line.colour))
                    text = f"{self._prefixes[name]} {painted}".rstrip()
                    if now or not (self._sections and self._sections.hold(name, text)):
                        self._write(text)

    def _finish(self, outcome: Outcome) -> None:
        folded = outcome.status == "built"
        for line in self._sections.end(outcome.name, folded=folded) if self._sections else ():
            self._write(line)
        self._show(outcome.name, [outcome_line(outcome)], always=outcome.status != "built")
        if outcome.status in ("failed", "push failed", "not pushed"):
            self._note(Note.of_outcome(outcome))

    def _note(self, note: Note) -> None:
        if note.level == "error" or self._verbosity != "quiet":
            self._write(self._markup.note(note))

    def _write(self, line: str) -> None:
        if line:
            write_line(self._log.stream, line)
            self._heartbeat.heard()
