"""What a terminal shows at its lower edge while a run goes on: a line for each image in progress, and a sum.

web   RUN make -j4 all                                              12.3 s
api   pulling registry.example/debian:12  [######----] 45.1 MB of 72.9 MB  3.2 s
5 of 30 done, 1 failed, 2 in progress, 1 min 05 s
"""

from __future__ import annotations

from collections import Counter

from executor import events
from executor.dataclass import dataclass, field
from runner.report.lines import activity
from runner.report.plaintext import harmless
from runner.report.style import duration, paint, size
from runner.runevents import ImageEvent, ImageFinished, ImageStarted, RunEvent, RunStarted

_BAR = 10
_SHORTEST_ACTIVITY = 12


@dataclass(slots=True)
class _Active:
    """An image in progress: what it does since when, and the large blobs on their way (done, total)."""

    since: float
    activity: str = "starting"
    transfers: dict[str, tuple[int, int]] = field(default_factory=dict)


class LiveStatus:
    """Takes the events of a run, and knows what is going on. Times are those of the events."""

    def __init__(self, *, colour: bool = False) -> None:
        self._colour = colour
        self._began = 0.0
        self._now = 0.0
        self._total = 0
        self._active: dict[str, _Active] = {}
        self._ended: Counter[str] = Counter()

    def note(self, event: RunEvent) -> None:
        """Take in one event."""
        self._now = max(self._now, event.at)
        match event:
            case RunStarted():
                self._began, self._now, self._total = event.at, event.at, len(event.images)
            case ImageStarted():
                self._active[event.name] = _Active(event.at)
            case ImageEvent() if event.name in self._active:
                self._note_activity(self._active[event.name], event)
            case ImageFinished():
                self._active.pop(event.outcome.name, None)
                self._ended[event.outcome.status] += 1
            case _:
                pass

    def lines(self, width: int, height: int) -> list[str]:
        """At most a third of a terminal of this size; the lines are no wider than it."""
        room = max(height // 3, 2) - 1
        names = list(self._active)
        shown = names if len(names) <= room else names[: room - 1]
        column = min(max(map(len, shown), default=0), width // 3)
        lines = [self._line(name, column, width) for name in shown]
        if len(names) > len(shown):
            lines.append(f"… and {len(names) - len(shown)} more"[:width])
        return [*lines, self._sum(width)] if self._total else []

    def _note_activity(self, active: _Active, event: ImageEvent) -> None:
        doing = activity(event.event)
        if doing:
            active.activity, active.since = doing, event.at
        match event.event:
            case events.TransferAdvanced(digest=digest, done=done, total=total):
                active.transfers[digest] = done, total
            case events.LayerUnpacked(digest=digest) | events.BlobPushed(digest=digest):
                active.transfers.pop(digest, None)
            case _:
                pass

    def _line(self, name: str, column: int, width: int) -> str:
        active = self._active[name]
        end = duration(self._now - active.since)
        if active.transfers:
            done, total = (sum(numbers) for numbers in zip(*active.transfers.values(), strict=True))
            filled = done * _BAR // max(total, 1)
            end = f"[{'#' * filled}{'-' * (_BAR - filled)}] {size(done)} of {size(total)}  {end}"
        room = max(width - column - len(end) - 4, 0)
        shown = harmless(active.activity)[:room] if room >= _SHORTEST_ACTIVITY else ""
        line = f"{name[:column].ljust(column)}  {shown.ljust(room)}  {end}"[:width]
        return paint(line[:column], "cyan", enabled=self._colour) + line[column:]

    def _sum(self, width: int) -> str:
        done = sum(self._ended.values())
        states = [f"{count} {state}" for state, count in self._ended.items() if state != "built"]
        making = f"{len(self._active)} in progress"
        text = ", ".join([f"{done} of {self._total} done", *states, making, duration(self._now - self._began)])
        return paint(text[:width], "bold", enabled=self._colour)
