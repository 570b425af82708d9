"""Lines that tell that a silent run is alive: CI servers end jobs that say nothing, and people do, too."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from runner.report.lines import activity
from runner.report.style import duration
from runner.runevents import ImageEvent, ImageFinished, ImageStarted, RunEvent


class Heartbeat:
    """Knows what each image is at. `clock` counts seconds; `patience` is how many of silence are fine."""

    def __init__(self, clock: Callable[[], float], patience: float = 30.0) -> None:
        self._clock = clock
        self._patience = patience
        self._heard = clock()
        self._doing: dict[str, tuple[str, float]] = {}

    def note(self, event: RunEvent) -> None:
        """Take in what an image is at now."""
        match event:
            case ImageStarted():
                self._doing[event.name] = "starting", self._clock()
            case ImageEvent() if doing := activity(event.event):
                self._doing[event.name] = doing, self._clock()
            case ImageFinished():
                self._doing.pop(event.outcome.name, None)
            case _:
                pass

    def heard(self) -> None:
        """A line was just written."""
        self._heard = self._clock()

    def beats(self) -> Iterator[tuple[str, str]]:
        """(image, what to say of it) for each image in progress, if the silence is too long by now."""
        now = self._clock()
        if now - self._heard >= self._patience:
            for name, (doing, since) in self._doing.items():
                yield name, f"in progress for {duration(now - since)}: {doing}"
