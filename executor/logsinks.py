"""Sinks: what the `executor` command prints of the events. kaniko's format names: text, color, json.

Logs go to stderr; what RUN commands print goes to stdout, as in kaniko.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from typing import Literal, TextIO

from executor import events
from executor.dataclass import dataclass, field, replace
from executor.errors import described, visible
from executor.events import Event
from executor.standardstreams import write_line

LogFormat = Literal["text", "color", "json"]
_LEVELS = {"trace": 0, "debug": 1, "info": 2, "warn": 3, "warning": 3, "error": 4, "fatal": 5, "panic": 6}
VERBOSITIES = tuple(_LEVELS)
_COLORS = {"debug": "\033[2m", "info": "\033[36m", "warning": "\033[33m", "error": "\033[31m"}
_RESET = "\033[0m"


@dataclass(frozen=True, slots=True)
class _Message:
    level: str
    text: str
    where: str = ""


@dataclass(slots=True)
class LogSink:
    """Writes one line per event. `verbosity` is one of VERBOSITIES; lower levels are left out.

    Where a build has several stages, which may be under way at once, each line begins with its stage.
    """

    log_format: LogFormat = "text"
    verbosity: str = "info"
    timestamps: bool = False
    log: TextIO = field(default_factory=lambda: sys.stderr)
    output: TextIO = field(default_factory=lambda: sys.stdout)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stages: dict[tuple[int, str], str] = field(default_factory=dict)

    def __call__(self, event: Event) -> None:
        """Print the event, whole lines only, whatever thread it comes from."""
        with self._lock:
            if self.log_format == "json":
                self._write_json(event)
            elif isinstance(event, events.CommandOutput):
                write_line(self.output, self._stage_of(event) + event.line)
            else:
                message = describe(event)
                self._write_text(replace(message, text=self._stage_of(event) + message.text) if message else None)

    def _stage_of(self, event: Event) -> str:
        """The label of the stage that an event belongs to, '' for others and where the build has one stage."""
        match event:
            case events.StageStarted() if event.total > 1:
                name = event.name or str(event.index)
                # a stage that is built for several platforms has one name
                label = f"{name} {event.index} | " if f"{name} | " in self._stages.values() else f"{name} | "
                self._stages.setdefault((event.index, event.platform), label)
            case events.StepStarted() | events.StepFinished() | events.LayerWritten() | events.CommandOutput():
                return self._stages.get((event.stage, event.platform), "")
            case _:
                pass
        return ""

    def _write_text(self, message: _Message | None) -> None:
        if message is None or _LEVELS[message.level] < _LEVELS[self.verbosity]:
            return
        stamp = time.strftime(" %Y-%m-%dT%H:%M:%SZ", time.gmtime()) if self.timestamps else ""
        label = message.level.upper()[:4]
        if self.log_format == "color":
            label = f"{_COLORS.get(message.level, '')}{label}{_RESET}"
        where = f"{message.where}: " if message.where else ""
        write_line(self.log, f"{label}{stamp} {where}{message.text}")

    def _write_json(self, event: Event) -> None:
        document = events.to_json(event)
        if self.timestamps:
            document["time"] = time.time()
        write_line(self.log, json.dumps(document, ensure_ascii=False))


def wants_color(stream: TextIO, environ: dict[str, str] | None = None) -> bool:
    """Whether to colour: NO_COLOR, then FORCE_COLOR, then whether `stream` is a terminal that can."""
    environ = dict(os.environ) if environ is None else environ
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR") or environ.get("CLICOLOR_FORCE"):
        return True
    return stream.isatty() and environ.get("TERM") != "dumb"


def describe(event: Event) -> _Message | None:
    """The event as a person reads it, None for events that only machines need."""
    match event:
        case (
            events.BuildStarted()
            | events.CommandOutput()
            | events.BuildSucceeded()
            | events.PushStarted()
            | events.LayerWritten(meanwhile=False)
            | events.TransferAdvanced()
        ):
            return None
        case events.Warned():
            return _Message("warning", visible(event.message), visible(event.location))
        case events.Noted() | events.LayerUnpacked() | events.BlobPushed():
            return _Message("debug", visible(_detail(event)))
        case events.BuildFailed():
            return _Message("error", described(event.message, event.excerpt, event.hint, indent="     "))
        case events.RetryScheduled():
            text = f"{event.action}: {event.error}; try {event.attempt + 1} in {event.wait:.1f} s"
            return _Message("warning", text)
        case _:
            return _Message("info", visible(_progress(event)))


def _detail(event: events.Noted | events.LayerUnpacked | events.BlobPushed) -> str:
    match event:
        case events.Noted():
            return event.message
        case events.LayerUnpacked():
            verb = "Fetched and unpacked" if event.downloaded else "Unpacked"
            return f"{verb} layer {event.digest}, {megabytes(event.size)}, in {event.seconds:.1f} s"
        case events.BlobPushed():
            return f"{event.repository}: {event.how} {event.digest}, {megabytes(event.size)}"


def _progress(event: Event) -> str:
    text = type(event).__name__
    match event:
        case events.DriverChosen():
            text = f"Root filesystems by {event.driver}" + (f" ({event.reason})" if event.reason else "")
        case events.PullStarted():
            text = f"Retrieving image {event.reference}"
        case events.PullFinished():
            text = f"Retrieved {event.reference}@{event.digest} in {event.seconds:.1f} s"
        case events.StageStarted():
            name = f" {event.name}" if event.name else ""
            text = f"Building stage{name} from {event.base} [{event.position}/{event.total}]"
        case events.StepStarted():
            text = f"[{event.position}/{event.total}] {event.instruction}"
        case events.CacheLookedUp():
            # kaniko's words, which people grep for
            words = "Using caching version of cmd:" if event.hit else "No cached layer found for cmd"
            text = f"{words} {event.instruction}"
        case events.StepFinished() | events.LayerWritten():
            text = f"    {_ended(event)}"
        case events.ImageBuilt():
            text = f"Built {event.digest}, {event.layers} layers, {megabytes(event.size)}"
        case events.PushFinished():
            text = (
                f"Pushed {event.reference}@{event.digest} in {event.seconds:.1f} s "
                f"({event.sent} blobs sent, {event.mounted} mounted, {event.existing} already there)"
            )
        case _:
            pass
    return text


def _ended(event: events.StepFinished | events.LayerWritten) -> str:
    if isinstance(event, events.LayerWritten):
        return f"layer of step {event.position}: {megabytes(event.size)}, in {event.seconds:.1f} s"
    layer = f", layer of {megabytes(event.layer_size)}" if event.layer_digest else ""
    return f"{'cached' if event.cached else f'done in {event.seconds:.1f} s'}{layer}"


def megabytes(size: int) -> str:
    """A size in bytes as people read it."""
    if size < 1_000_000:
        return f"{size / 1000:.1f} kB"
    return f"{size / 1_000_000:.1f} MB"
