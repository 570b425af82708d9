"""Where we differ from the reference builder on purpose, each with its reason.

A row holds while it is needed: a case that no longer shows the difference fails, and the row has to go.
"""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass

import pytest

from integration.support.compare import Difference


@dataclass(frozen=True, slots=True)
class KnownDifference:
    """`case`, `subject` (a driver) and `place` are shell patterns; a place is spelled as in compare.Difference."""

    case: str
    subject: str
    place: str
    reason: str

    def covers(self, difference: Difference) -> bool:
        """Whether the difference is the one described here."""
        return fnmatch.fnmatchcase(difference.place, self.place)


KNOWN_DIFFERENCES: tuple[KnownDifference, ...] = ()


TALLY = pytest.StashKey[list[tuple[str, str, bool, tuple[KnownDifference, ...]]]]()
"""What was compared, for the summary: case, subject, whether it differs beyond what is known, what is known."""


def known_for(case: str, subject: str) -> tuple[KnownDifference, ...]:
    """The rows that concern a case built by a subject."""
    return tuple(
        known
        for known in KNOWN_DIFFERENCES
        if fnmatch.fnmatchcase(case, known.case) and fnmatch.fnmatchcase(subject, known.subject)
    )
