"""Sizes of storage as people write them: `500MB`, `20GiB`, `1.5g`, bytes without a unit."""

from __future__ import annotations

import re

from executor.errors import UsageError

_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kmgt]?)(i?)b?", re.IGNORECASE)
_POWERS = ("", "k", "m", "g", "t")


def parse_size(text: str) -> int:
    """Bytes; units are powers of 1000, with an `i` of 1024. Raises UsageError."""
    match = _SIZE.fullmatch(text.strip())
    if not match or (match[3] and not match[2]):
        raise UsageError(f"{text!r} is not a size", hint="write 500MB, 20GiB, or a number of bytes")
    return int(float(match[1]) * (1024 if match[3] else 1000) ** _POWERS.index(match[2].lower()))
