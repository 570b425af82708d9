"""What a log says of each event of a build: the same words on the console and in an image's log file."""

from __future__ import annotations

from collections.abc import Iterator

from executor import events
from executor.dataclass import dataclass
from executor.errors import described, visible
from runner.outcome import Outcome
from runner.report.console.table import status_word
from runner.report.style import counted, duration, size

_LONG = 10.0
"""What took as many seconds says so without -v, too."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of an image's log; `detail` lines are shown on the console with -v only."""

    text: str
    colour: str = ""
    detail: bool = False


def outcome_line(outcome: Outcome) -> Line:
    """What a log says of an image's end; the hint is on a line of its own."""
    word = status_word(outcome)
    if outcome.kept:
        return Line("kept: an earlier run has built and pushed it, and nothing has changed", "green")
    if outcome.status == "built":
        return Line(f"{word} in {duration(outcome.seconds)}", "green")
    colour = "yellow" if outcome.status in ("skipped", "stopped") else "red"
    return Line(described(f"{word}: {outcome.message}", outcome.excerpt, outcome.hint, indent=""), colour)


def log_lines(event: events.Event) -> Iterator[Line]:
    """What a log says of an event; nothing of those that the run's own events tell of."""
    match event:
        case events.CommandOutput():
            yield Line(f"    {event.line}")
        case events.StepStarted():
            yield Line(f"[{event.stage}: {event.position}/{event.total}] {event.instruction}", "bold")
        case events.StepFinished():
            layer = f", layer of {size(event.layer_size)}" if event.layer_digest else ""
            how = "cached" if event.cached else f"done in {duration(event.seconds)}"
            yield Line(f"{how}{layer}", "dim", detail=not event.cached and event.seconds < _LONG)
        case events.LayerWritten(meanwhile=True):
            written = f"{size(event.size)}, in {duration(event.seconds)}"
            yield Line(f"layer of step {event.stage}: {event.position}: {written}", "dim", detail=True)
        case events.StageStarted():
            name = f" ({event.name})" if event.name else ""
            yield Line(visible(f"stage {event.index}{name} from {event.base}, {event.position} of {event.total}"))
        case events.Warned():
            place = f"{event.location}: " if event.location else ""
            yield Line(f"warning: {visible(place + event.message)}", "yellow")
        case events.RetryScheduled():
            wait = duration(event.wait)
            yield Line(f"{event.action}: {event.error}; try {event.attempt + 1} in {wait}", "yellow")
        case _:
            yield from _transfer_lines(event)


def activity(event: events.Event) -> str:
    """What begins with this event, in a few words; '' if nothing does."""
    match event:
        case events.StepStarted():
            return event.instruction.split("\n", 1)[0]
        case events.PullStarted():
            return f"pulling {event.reference}"
        case events.PushStarted():
            return f"pushing {event.reference}"
        case events.RetryScheduled():
            return f"waiting to try again: {event.action}"
        case _:
            return ""


def _transfer_lines(event: events.Event) -> Iterator[Line]:
    match event:
        case events.PullFinished():
            yield Line(f"found {event.reference} ({counted(event.layers, 'layer')}, {size(event.size)})")
        case events.LayerUnpacked():
            verb = "fetched and unpacked" if event.downloaded else "unpacked"
            text = f"{verb} a layer of {size(event.size)} in {duration(event.seconds)}"
            yield Line(text, "dim", detail=event.seconds < _LONG)
        case events.ImageBuilt():
            yield Line(f"built {event.digest} ({counted(event.layers, 'layer')}, {size(event.size)})")
        case events.PushFinished():
            blobs = f"{event.sent} sent, {event.mounted} mounted, {event.existing} there"
            amount = f"{blobs}, {size(event.size)}, {duration(event.seconds)}"
            yield Line(f"pushed {event.reference} ({amount})")
        case events.PullStarted() | events.PushStarted():
            verb = "pulling" if isinstance(event, events.PullStarted) else "pushing"
            yield Line(f"{verb} {event.reference}", "dim", detail=True)
        case events.DriverChosen():
            yield Line(f"root filesystem: {event.driver}; {event.reason}", "dim", detail=True)
        case events.Noted():
            yield Line(visible(event.message), "dim", detail=True)
        case _:  # BuildStarted, BuildSucceeded, BuildFailed: the run's own events say it
            pass
