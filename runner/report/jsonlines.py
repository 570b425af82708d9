"""The run as JSON lines: `{"version": 1, "time": "…Z", "type": "ImageEvent", …}`; the report goes to results."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from typing import Any, TextIO

from executor import events
from runner.report.stream import write_line
from runner.runevents import ImageEvent, RunEvent, RunFinished, TimePassed


class JsonLines:
    """A RunSink for programs. Each line has the fields of the event; `time` is UTC."""

    def __init__(self, log: TextIO, results: TextIO) -> None:
        self._log = log
        self._results = results

    def __call__(self, event: RunEvent) -> None:
        """Write one event. That time passed is no news: each line has its time."""
        if isinstance(event, TimePassed):
            return
        stream = self._results if isinstance(event, RunFinished) else self._log
        write_line(stream, json.dumps(_document(event)))

    def warn(self, message: str) -> None:
        """Write something about the run as a whole: a line of the type RunWarned."""
        write_line(self._log, json.dumps({**_head("RunWarned"), "message": message}))


def _head(kind: str) -> dict[str, Any]:
    time = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"version": events.EVENTS_VERSION, "time": time, "type": kind}


def _document(event: RunEvent) -> dict[str, Any]:
    head = _head(type(event).__name__)
    if isinstance(event, ImageEvent):
        return {**head, "name": event.name, "event": events.to_json(event.event)}
    return {**head, **dataclasses.asdict(event)}
