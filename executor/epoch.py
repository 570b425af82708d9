"""SOURCE_DATE_EPOCH: a moment, in seconds since 1970 began (reproducible-builds.org)."""

from __future__ import annotations

from executor.errors import UsageError

_LATEST = 253402300799
"""The last second of the year 9999: what an image says of its time has four digits for the year (RFC 3339)."""

_MOST_DIGITS = 20


def parse_epoch(text: str) -> int:
    """The seconds. Raises UsageError for what is no number, and for what comes after the year 9999."""
    if not (text.isascii() and text.isdecimal()):
        raise UsageError(f"SOURCE_DATE_EPOCH={text!r} is not a number of seconds")
    if len(text) > _MOST_DIGITS or int(text) > _LATEST:
        raise UsageError("SOURCE_DATE_EPOCH is after the year 9999", hint="it is in seconds, not in milliseconds")
    return int(text)
