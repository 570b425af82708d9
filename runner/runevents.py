"""What happens during a run, as values. Everything a report shows is made from these; the core prints nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias

from executor.events import Event
from runner.outcome import Outcome, RunReport


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted:
    """A run begins: `images` are the names in build order, `jobs` how many may be built at once."""

    file: str
    images: tuple[str, ...]
    jobs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageStarted:
    """The build of an image begins; `position` counts from 1."""

    name: str
    position: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageEvent:
    """Something happened in an image's build."""

    name: str
    event: Event


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageOutput:
    """A line that a worker wrote to its own stdout or stderr: not the output of a RUN, but of a crash, say."""

    name: str
    line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFinished:
    """An image is built, failed, was stopped or is skipped."""

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class TimePassed:
    """Some seconds went by while images are built, whether something happened or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished:
    """The last event of a run."""

    report: RunReport


RunEvent: TypeAlias = (
    RunStarted | ImageStarted | ImageEvent | ImageOutput | ImageFinished | TimePassed | RunFinished
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
