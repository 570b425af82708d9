"""The JSON form of an instruction's arguments: `["a", "b"]`. What is no JSON array is the shell form."""

from __future__ import annotations

import json
from typing import NoReturn

from executor.dockerfile.source import printable
from executor.dockerfile.whitespace import SPACES


class NotStringsError(ValueError):
    """A JSON array that holds something else than strings: the one case that does not fall back."""


def parse_json_form(text: str) -> tuple[str, ...] | None:
    """The strings of a JSON array, or None if `text` is not one. Raises NotStringsError.

    Unpaired surrogate escapes become U+FFFD, as in Go.
    """
    trimmed = text.lstrip(SPACES)
    if not trimmed.startswith("["):
        return None
    try:
        values = json.loads(trimmed, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    if not all(isinstance(value, str) for value in values):
        raise NotStringsError("a JSON array must hold strings only")
    return tuple(printable(value) for value in values)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
