"""The parts of a CI server's log that images have to themselves, to be folded.

Where one image is built after the other its lines go by as they come, within its section. Where several are built
at once their lines are held back, and an image's section is written whole when it has ended: interleaved they
could not be folded. What each is at is said meanwhile by the heartbeat.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from executor.dataclass import dataclass, field
from runner.report.console.cimarkup import Markup

_MOST_LINES = 4000
"""Of an image's held lines the last ones; GitLab takes 4 MB of log from a job. Its log file has them all."""


@dataclass(slots=True)
class _Held:
    title: str
    since: float
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=_MOST_LINES))
    count: int = 0


class Sections:
    """Sections as lines to write. With `at_once` lines are held back; `clock` counts seconds."""

    def __init__(self, markup: Markup, clock: Callable[[], float], *, at_once: bool) -> None:
        self._markup = markup
        self._clock = clock
        self._at_once = at_once
        self._open = ""
        self._held: dict[str, _Held] = {}

    def begin(self, name: str, title: str) -> Iterator[str]:
        """What to write when an image begins."""
        if self._at_once:
            self._held[name] = _Held(title, self._clock())
        else:
            self._open = name
            yield self._markup.begin(name, title)

    def hold(self, name: str, line: str) -> bool:
        """Take a line of the image for later; False when it is to be written now."""
        held = self._held.get(name)
        if held:
            held.lines.append(line)
            held.count += 1
        return held is not None

    def end(self, name: str, *, folded: bool) -> Iterator[str]:
        """What to write when an image has ended; `folded` only counts where that is not too late to say."""
        held = self._held.pop(name, None)
        if held:
            yield self._markup.begin(name, held.title, ago=self._clock() - held.since, folded=folded)
            if held.count > len(held.lines):
                yield f"… {held.count - len(held.lines)} lines before these are in the image's log file"
            yield from held.lines
        if held or self._open == name:
            self._open = ""
            yield self._markup.end(name)
