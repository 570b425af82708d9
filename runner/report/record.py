"""A run as data, grown event by event: every report file is made from it.

Mutable on purpose: there is one `RunRecord` a run, only `note` changes it, and what reads it copies nothing.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeAlias

from executor import events
from runner.outcome import Outcome, RunReport, Status
from runner.report.lines import log_lines
from runner.runevents import (
    ImageEvent,
    ImageFinished,
    ImageOutput,
    ImageStarted,
    RunEvent,
    RunFinished,
    RunStarted,
    TimePassed,
)

State: TypeAlias = Literal["waiting", "running"] | Status
TAIL_LINES = 50
_LONGEST_TAIL_LINE = 2000  # characters; a line of a progress bar can be megabytes


def utc_now() -> datetime:
    """The time of day, for the records of real runs."""
    return datetime.now(UTC)


@dataclass(slots=True, kw_only=True)
class Step:
    """An instruction. `start` is in seconds since the run began; `seconds` is None until it is done.

    `cached`: the layer cache had its result.
    """

    position: int
    instruction: str
    start: float
    seconds: float | None = None
    layer_digest: str = ""
    layer_size: int = 0
    cached: bool = False


@dataclass(slots=True, kw_only=True)
class Stage:
    """A stage with the steps that were begun."""

    index: int
    name: str
    base: str
    steps: list[Step] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """What its finished steps took together."""
        return sum(step.seconds or 0.0 for step in self.steps)

    @property
    def cached(self) -> int:
        """How many of its steps the layer cache had."""
        return sum(step.cached for step in self.steps)


@dataclass(slots=True, kw_only=True)
class ImageRecord:
    """What is known of one image. `start` is in seconds since the run began, None while it waits.

    `result` is the executor's BuildResult as JSON; `pulls` and `pushes` are (start, event); `tail` holds the last
    lines of its log.
    """

    name: str
    start: float | None = None
    outcome: Outcome | None = None
    digest: str = ""
    size: int = 0
    layers: int = 0
    driver: str = ""
    result: dict[str, Any] = field(default_factory=dict)
    stages: list[Stage] = field(default_factory=list)
    pulls: list[tuple[float, events.PullFinished]] = field(default_factory=list)
    pushes: list[tuple[float, events.PushFinished]] = field(default_factory=list)
    retries: list[events.RetryScheduled] = field(default_factory=list)
    warnings: list[events.Warned] = field(default_factory=list)
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL_LINES))

    @property
    def state(self) -> State:
        """How far it is; at the end the status of its outcome."""
        if self.outcome:
            return self.outcome.status
        return "waiting" if self.start is None else "running"

    @property
    def pushed(self) -> tuple[str, ...]:
        """The `repository:tag@digest` names that registries hold by now, also of an image that failed later."""
        return tuple(f"{push.reference}@{push.digest}" for _, push in self.pushes)


class RunRecord:
    """All that is known of a run. `now` is the time of day, `clock` counts seconds and never jumps."""

    def __init__(self, now: Callable[[], datetime] = utc_now, clock: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._clock = clock
        self._began = clock()
        self.started = now()
        self.file = ""
        self.jobs = 1
        self.images: dict[str, ImageRecord] = {}
        self.report: RunReport | None = None

    @property
    def seconds(self) -> float:
        """Since the run began; once it is over, what it took."""
        return self.report.seconds if self.report else self._clock() - self._began

    def time_of(self, start: float) -> datetime:
        """The time of day at `start` seconds since the run began."""
        return self.started + timedelta(seconds=start)

    def note(self, event: RunEvent) -> None:
        """Take in one event."""
        match event:
            case RunStarted():
                self._began, self.started = self._clock(), self._now()
                self.file, self.jobs = event.file, event.jobs
                self.images = {name: ImageRecord(name=name) for name in event.images}
            case ImageStarted():
                self.images[event.name].start = self.seconds
            case ImageEvent():
                _note(self.images[event.name], event.event, self.seconds)
            case ImageOutput():
                _remember(self.images[event.name], event.line)
            case ImageFinished():
                self.images[event.outcome.name].outcome = event.outcome
            case RunFinished():
                self.report = event.report
            case TimePassed():
                pass


def _note(image: ImageRecord, event: events.Event, now: float) -> None:
    for line in log_lines(event):
        if not line.detail:
            _remember(image, line.text)
    _note_progress(image, event, now)
    match event:
        case events.RetryScheduled():
            image.retries.append(event)
        case events.Warned():
            image.warnings.append(event)
        case events.DriverChosen():
            image.driver = event.driver
        case events.ImageBuilt():
            image.digest, image.size, image.layers = event.digest, event.size, event.layers
        case events.BuildSucceeded():
            image.result = dict(event.result)
        case _:  # beginnings whose ends are recorded, and lines that are in the log
            pass


def _note_progress(image: ImageRecord, event: events.Event, now: float) -> None:
    match event:
        case events.PullFinished():
            image.pulls.append((max(now - event.seconds, 0.0), event))
        case events.PushFinished():
            image.pushes.append((max(now - event.seconds, 0.0), event))
        case events.StageStarted():
            image.stages.append(Stage(index=event.index, name=event.name, base=event.base))
        case events.StepStarted():
            step = Step(position=event.position, instruction=event.instruction, start=now)
            _stage(image, event.stage).steps.append(step)
        case events.StepFinished():
            for step in _stage(image, event.stage).steps:
                if step.position == event.position:
                    step.seconds = event.seconds
                    step.layer_digest, step.layer_size = event.layer_digest, event.layer_size
                    step.cached = event.cached
        case _:
            pass


def _stage(image: ImageRecord, index: int) -> Stage:
    """The stage that a step belongs to; made up when a worker does not tell of its stages."""
    for stage in image.stages:
        if stage.index == index:
            return stage
    image.stages.append(Stage(index=index, name="", base=""))
    return image.stages[-1]


def _remember(image: ImageRecord, text: str) -> None:
    image.tail.extend(line[:_LONGEST_TAIL_LINE] for line in text.splitlines() or [""])
