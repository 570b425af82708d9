"""The times an image records: now, or one fixed moment when the build must be reproducible."""

from __future__ import annotations

import datetime

from executor.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """`epoch` is seconds since 1970, None for the present time at each call."""

    epoch: int | None = None

    def created(self) -> str:
        """The moment as RFC 3339 in UTC, as the image configuration wants it."""
        if self.epoch is None:
            now = datetime.datetime.now(datetime.UTC)
            return now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return datetime.datetime.fromtimestamp(self.epoch, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
