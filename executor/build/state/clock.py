"""The times that an image records: when its layers were made, or one moment when the build must be reproducible.

A layer from the cache has the time when it was made, and an instruction without a layer that of a layer beside it.
So an image whose steps all come from the cache is the same to the byte as when they were carried out, and has the
same digest. BuildKit does so as well.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Sequence

from executor.dataclass import dataclass, replace
from executor.image.config import History


@dataclass(frozen=True, slots=True)
class Clock:
    """`epoch` is seconds since 1970, None when the times are what they are."""

    epoch: int | None = None

    def text(self, moment: int | None) -> str:
        """A moment (seconds since 1970) as RFC 3339 in UTC, as the image configuration wants it.

        '' for None, which `dated` gives a time; always the epoch where there is one.
        """
        seconds = moment if self.epoch is None else self.epoch
        if seconds is None:
            return ""
        return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def created(self, history: Sequence[History]) -> str:
        """When the image with this `history` was made: with its last layer, now if it has none that tells."""
        last = history[-1].created if history else ""
        return last if last and self.epoch is None else self.text(now())


def now() -> int:
    """The present time in seconds since 1970."""
    return int(time.time())


def dated(history: Sequence[History]) -> tuple[History, ...]:
    """`history` with times for all of its entries.

    Those before the first new layer get its time, those after it the time of the layer below them. New are the
    layers behind the first entry without a time; if there are none, the last time that there is counts.
    """
    times = [entry.created for entry in history]
    first_new = next((place for place, moment in enumerate(times) if not moment), len(times))
    below = next(filter(None, times[first_new:]), None) or next(filter(None, reversed(times)), "")
    filled = list(times[:first_new])
    for moment in times[first_new:]:
        below = moment or below
        filled.append(below)
    return tuple(replace(entry, created=moment) for entry, moment in zip(history, filled, strict=True))
