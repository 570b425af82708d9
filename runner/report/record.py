"""A run as data, grown event by event: every report file is made from it.

Mutable on purpose: there is one `RunRecord` a run, only `note` changes it, and what reads it copies nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from runner.outcome import RunReport
from runner.report.imagerecord import ImageRecord
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


class RunRecord:
    """All that is known of a run. Times are those of its events, so that a replay makes the same record."""

    def __init__(self) -> None:
        self._began = 0.0
        self._now = 0.0
        self.started = datetime.fromtimestamp(0, UTC)
        self.file = ""
        self.jobs = 1
        self.images: dict[str, ImageRecord] = {}
        self.warnings: list[str] = []
        self.report: RunReport | None = None

    @property
    def seconds(self) -> float:
        """From the run's beginning to the last event; once it is over, what it took."""
        return self.report.seconds if self.report else self._now

    def time_of(self, start: float) -> datetime:
        """The time of day at `start` seconds since the run began."""
        return self.started + timedelta(seconds=start)

    def since_start(self, event: RunEvent) -> float:
        """When an event happened, in seconds since the run began."""
        return max(round(event.at - self._began, 6), 0.0)

    def note(self, event: RunEvent) -> None:
        """Take in one event."""
        if isinstance(event, RunStarted):
            self._began, self._now, self.started = event.at, 0.0, event.time
            self.file, self.jobs = event.file, event.jobs
            self.images = {
                name: ImageRecord(name=name, needs=tuple(event.needs.get(name, ()))) for name in event.images
            }
        now = self.since_start(event)
        self._now = max(self._now, now)
        match event:
            case ImageStarted():
                self.images[event.name].start = now
            case ImageEvent():
                self.images[event.name].note(event.event, now)
            case ImageKept():
                self.images[event.name].note_kept(event.entry)
            case ImageOutput():
                self.images[event.name].remember(event.line)
            case ImageFinished():
                image = self.images[event.outcome.name]
                image.outcome, image.end = event.outcome, now
            case RunWarned():
                self.warnings.append(event.message)
            case RunFinished():
                self.report = event.report
            case RunStarted() | TimePassed():
                pass
