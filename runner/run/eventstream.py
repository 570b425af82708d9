"""The events of a run as JSON lines, and back: what was written gives the same events, and so the same reports.

`schemas/events.schema.json` describes the lines, docs/events.md tells how to use them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from executor import events
from executor.dataclass import asdict
from executor.errors import UsageError
from executor.eventlines import Moment, event_document, head, image_span, write_line
from runner.outcome import Outcome, RunReport
from runner.runevents import (
    ImageEvent,
    ImageFinished,
    ImageKept,
    ImageOutput,
    ImageStarted,
    RunEvent,
    RunFinished,
    RunStarted,
)

_KINDS: Mapping[str, type[Any]] = {kind.__name__: kind for kind in RunEvent.__args__ if kind is not ImageEvent}
_ENVELOPE = ("version", "time", "at", "type", "image", "span", "parent")


class RunDocuments:
    """Makes documents of a run's events, in their order; `at` counts from the RunStarted."""

    def __init__(self) -> None:
        self._began: Moment | None = None

    def document(self, event: RunEvent) -> dict[str, Any]:
        """The event as JSON values."""
        if isinstance(event, RunStarted) or self._began is None:
            self._began = Moment(event.at, event.time if isinstance(event, RunStarted) else datetime.now(UTC))
        moment = Moment.since(self._began, event.at)
        if isinstance(event, ImageEvent):
            return event_document(event.event, moment, event.name)
        return {**head(type(event).__name__, moment), **_fields(event)}


def _fields(event: RunEvent) -> dict[str, Any]:
    fields = asdict(event)
    for name in ("at", "time"):
        fields.pop(name, None)
    match event:
        case ImageStarted() | ImageOutput() | ImageKept():
            return {**_image(fields.pop("name")), **fields}
        case ImageFinished():
            return {**_image(event.outcome.name), **fields}
        case RunFinished():
            return {"span": "run", "report": {**fields["report"], "exit_code": event.report.exit_code}}
        case _:
            return {"span": "run", **fields}


def _image(name: str) -> dict[str, str]:
    return {"image": name, "span": image_span(name), "parent": "run"}


class EventsFile:
    """A RunSink that writes every event as a line to a file descriptor; when that takes no more, it is silent."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._documents = RunDocuments()

    def __call__(self, event: RunEvent) -> None:
        """Write one event."""
        self._descriptor = write_line(self._descriptor, self._documents.document(event))


def read_events(lines: Iterable[bytes]) -> Iterator[RunEvent]:
    """The events of a stream that an EventsFile wrote. Raises UsageError at a line that is none.

    Files are named after images: what is told of is one of the run, and its name leads to no other folder. A last
    line that is cut short, as a killed run leaves it, ends the stream.
    """
    images: set[str] = set()
    for number, line in enumerate(lines, start=1):
        try:
            event = from_document(json.loads(line))
            _check_images(event, images)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            if not line.endswith(b"\n"):
                return
            raise UsageError(f"line {number} of the events is not an event of this version") from error
        yield event


def _check_images(event: RunEvent, known: set[str]) -> None:
    """Raise ValueError when `event` tells of an image that is not `known`, which a RunStarted adds to."""
    if isinstance(event, RunStarted):
        known.update(name for name in event.images if "/" not in name and "\0" not in name)
    if not known.issuperset(_named_in(event)):
        raise ValueError("an image that is none of the run's")


def _named_in(event: RunEvent) -> Iterator[str]:
    """The images that an event tells of."""
    match event:
        case RunStarted():
            yield from event.images
        case ImageEvent() | ImageStarted() | ImageOutput() | ImageKept():
            yield event.name
        case ImageFinished():
            yield event.outcome.name
        case RunFinished():
            yield from (outcome.name for outcome in event.report.outcomes)
        case _:
            pass


def from_document(document: Mapping[str, Any]) -> RunEvent:
    """The inverse of `RunDocuments.document`. Raises KeyError, TypeError or ValueError for anything else."""
    if document["version"] != events.EVENTS_VERSION:
        raise ValueError(f"version {document['version']}")
    kind, at = document["type"], float(document["at"])
    fields = {name: value for name, value in document.items() if name not in _ENVELOPE}
    if kind not in _KINDS:
        return ImageEvent(name=document["image"], event=events.from_json({"type": kind, **fields}), at=at)
    match kind:
        case "RunStarted":
            fields |= {"images": tuple(fields["images"]), "time": datetime.fromisoformat(document["time"])}
        case "ImageStarted" | "ImageOutput" | "ImageKept":
            fields["name"] = document["image"]
        case "ImageFinished":
            fields["outcome"] = _outcome(fields["outcome"])
        case "RunFinished":
            fields["report"] = _report(fields["report"])
        case _:
            pass
    event: RunEvent = _KINDS[kind](**fields, at=at)
    return event


def _outcome(fields: Mapping[str, Any]) -> Outcome:
    return Outcome(**{**fields, "pushed": tuple(fields["pushed"])})


def _report(fields: Mapping[str, Any]) -> RunReport:
    outcomes = tuple(map(_outcome, fields["outcomes"]))
    return RunReport(outcomes=outcomes, seconds=fields["seconds"], signal=fields["signal"])
