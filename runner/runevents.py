"""What happens during a run, as values. Everything a report shows is made from these; the core prints nothing.

Each has `at`, seconds by a clock that never jumps (time.monotonic(), if not said otherwise). Reports tell times by
it alone, so that a recorded run (`eventstream.py`) gives the same reports again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol, TypeAlias

from executor.dataclass import dataclass, field
from executor.events import Event
from runner.outcome import Outcome, RunReport


def _clock() -> float:
    return field(default_factory=time.monotonic, compare=False)


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted:
    """A run begins: `images` are the names in build order, `jobs` how many may be built at once. `time` is UTC.

    `needs` names for each image the ones that have to be built before it.
    """

    file: str
    images: tuple[str, ...]
    jobs: int
    needs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    time: datetime = field(default_factory=_utc_now, compare=False)
    at: float = _clock()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageStarted:
    """The build of an image begins; `position` counts from 1."""

    name: str
    position: int
    total: int
    at: float = _clock()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageEvent:
    """Something happened in an image's build."""

    name: str
    event: Event
    at: float = _clock()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageOutput:
    """A line that a worker wrote to its own stdout or stderr: not the output of a RUN, but of a crash, say."""

    name: str
    line: str
    at: float = _clock()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageKept:
    """With `--resume`: an earlier run has built the image. `entry` is what its result.json said of it."""

    name: str
    entry: Mapping[str, Any]
    at: float = _clock()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFinished:
    """An image is built, failed, was stopped or is skipped."""

    outcome: Outcome
    at: float = _clock()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunWarned:
    """Something about the run as a whole that the user should know."""

    message: str
    at: float = _clock()


@dataclass(frozen=True, slots=True, kw_only=True)
class TimePassed:
    """Some seconds went by while images are built, whether something happened or not."""

    at: float = _clock()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished:
    """The last event of a run."""

    report: RunReport
    at: float = _clock()


RunEvent: TypeAlias = (
    RunStarted
    | ImageStarted
    | ImageEvent
    | ImageOutput
    | ImageKept
    | ImageFinished
    | RunWarned
    | TimePassed
    | RunFinished
)


class RunSink(Protocol):
    """Takes the events of a run, all from one thread. Never raises."""

    def __call__(self, event: RunEvent) -> None:
        """Show or store one event."""


def each(*sinks: RunSink) -> RunSink:
    """One sink that gives every event to all of `sinks`, in their order."""

    def give(event: RunEvent) -> None:
        for sink in sinks:
            sink(event)

    return give
