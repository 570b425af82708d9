"""Events as JSON lines, as `--events-file` and `--log-format json` write them: schemas/events.schema.json.

A line tells the moment, the kind, the event's own fields, and which span it is about. Spans (an image, its stages,
their steps, pulls, layers unpacked, blobs sent, pushes) have ids, the same in every line about them.
"""

from __future__ import annotations

import json
import os
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from executor import events
from executor.dataclass import dataclass
from executor.errors import UsageError
from executor.events import Event


@dataclass(frozen=True, slots=True)
class Moment:
    """`at`: seconds since the run or the build began, to the microsecond. `time`: the time of day, UTC."""

    at: float
    time: datetime

    @classmethod
    def since(cls, began: Moment, at: float) -> Self:
        """The moment when the clock by which `began.at` is told says `at`."""
        seconds = round(at - began.at, 6)
        return cls(seconds, began.time + timedelta(seconds=seconds))


def head(kind: str, moment: Moment) -> dict[str, Any]:
    """What every line begins with."""
    shown = moment.time.isoformat(timespec="microseconds").replace("+00:00", "Z")
    return {"version": events.EVENTS_VERSION, "time": shown, "at": moment.at, "type": kind}


def image_span(name: str) -> str:
    """The id of an image's span."""
    return f"image:{name}"


def event_document(event: Event, moment: Moment, image: str) -> dict[str, Any]:
    """The line of an event in the build of `image` ('': it has no name)."""
    fields = events.to_json(event)
    span, parent = span_of(event, image)
    named = {"image": image, "span": span, "parent": parent}
    return {**head(fields.pop("type"), moment), **named, **fields}


def span_of(event: Event, image: str) -> tuple[str, str]:
    """The id of the span that an event is about, and its parent's: 'run' for an image."""
    top = image_span(image)
    span, parent = "", top
    match event:
        case events.StageStarted():
            span = _stage(top, event.index, event.platform)
        case events.LayerWritten() | events.CommandOutput():
            span = _stage(top, event.stage, event.platform)
        case events.StepStarted() | events.StepFinished():
            parent = _stage(top, event.stage, event.platform)
            span = f"{parent}/step:{event.position}"
        case events.PullStarted() | events.PullFinished():
            span = f"{top}/pull:{event.reference}"
        case events.PushStarted() | events.PushFinished():
            span = f"{top}/push:{event.reference}"
        case events.LayerUnpacked():
            span = f"{top}/unpack:{event.digest}"
        case events.BlobPushed():
            span = f"{top}/blob:{event.repository}@{event.digest}"
        case _:
            span, parent = top, "run"
    return span, parent


def _stage(top: str, index: int, platform: str) -> str:
    return f"{top}/stage:{index}@{platform}" if platform else f"{top}/stage:{index}"


class EventLines:
    """A sink that writes the events of one build to a file, whole lines, whatever thread they come from.

    When the file takes no more, the rest goes nowhere: the build is worth more.
    """

    def __init__(self, descriptor: int, image: str = "") -> None:
        self._descriptor = descriptor
        self._image = image
        self._lock = threading.Lock()
        self._began = Moment(time.monotonic(), datetime.now(UTC))

    def __call__(self, event: Event) -> None:
        """Write one event."""
        with self._lock:
            moment = Moment.since(self._began, time.monotonic())
            self._descriptor = write_line(self._descriptor, event_document(event, moment, self._image))


def write_line(descriptor: int, document: dict[str, Any]) -> int:
    """Write a document as a line; the descriptor for the next one, -1 when nobody takes more."""
    line = memoryview(json.dumps(document).encode("ascii") + b"\n")
    try:
        while line and descriptor >= 0:
            line = line[os.write(descriptor, line) :]
    except OSError:
        return -1
    return descriptor


def open_events(descriptor: int | None, path: str) -> int | None:
    """What `--events-fd` and `--events-file` name, open for writing; None for neither. Raises UsageError."""
    if descriptor is not None and path:
        raise UsageError("--events-fd and --events-file contradict each other", hint="use one of them")
    try:
        if path:
            return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        if descriptor is not None:
            os.write(descriptor, b"")  # fails when it is closed or not for writing
            os.set_inheritable(descriptor, False)
    except OSError as error:
        name = f"--events-file {path}" if path else f"--events-fd {descriptor}"
        raise UsageError(f"{name} cannot be written: {error.strerror}") from error
    return descriptor
