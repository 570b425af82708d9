"""Wildcards of paths, in the two kinds that builds know; `/` parts a path.

*      any text without /                    **     any text with / too (.dockerignore, --exclude)
?      one character but /                   [a-z]  one character of the class, [^a-z] one that is not
\\c     the character c
"""

from __future__ import annotations

import re
from functools import lru_cache

from executor.errors import Error

_SPECIAL = re.compile(r"\\.|[*?\[]", re.DOTALL)


class PatternError(Error):
    """A pattern that cannot be read: an open or empty class, or a backslash at its end."""


def wildcard_match(pattern: str, name: str) -> bool:
    """Whether the whole of `name` matches. Raises PatternError. Behaviour: Go's `filepath.Match`."""
    return _compile_wildcard(pattern).fullmatch(name) is not None


def has_wildcards(pattern: str) -> bool:
    """Whether `pattern` has a `*`, `?` or `[` that is not escaped, so that it is more than one path."""
    return any(not found.group().startswith("\\") for found in _SPECIAL.finditer(pattern))


@lru_cache(maxsize=1024)
def _compile_wildcard(pattern: str) -> re.Pattern[str]:
    out, at = [], 0
    while at < len(pattern):
        part, at = translate_one(pattern, at)
        out.append(part)
    return re.compile("".join(out), re.DOTALL)


def translate_one(pattern: str, at: int) -> tuple[str, int]:
    """The regular expression of the element at `at` (`*`, `?`, a class, a character) and where the next begins."""
    char = pattern[at]
    if char == "*":
        return "[^/]*", at + 1
    if char == "?":
        return "[^/]", at + 1
    if char == "[":
        return _translate_class(pattern, at)
    literal, end = _character(pattern, at)
    return re.escape(literal), end


def _translate_class(pattern: str, start: int) -> tuple[str, int]:
    at = start + 1
    negated = pattern.startswith("^", at)
    at += negated
    members: list[str] = []
    while not (members and pattern.startswith("]", at)):
        low, at = _member(pattern, at)
        high = low
        if pattern.startswith("-", at):
            high, at = _member(pattern, at + 1)
        if low <= high:  # a reversed range matches nothing
            members.append(f"{re.escape(low)}-{re.escape(high)}")
        else:
            members.append("")
    inner = "".join(members)
    if not inner:
        return ("(?s:.)" if negated else "(?!)"), at + 1
    return f"[{'^' if negated else ''}{inner}]", at + 1


def _member(pattern: str, at: int) -> tuple[str, int]:
    if pattern[at : at + 1] in ("", "-", "]"):
        raise PatternError(f"bad pattern {pattern!r}: a character class is open, empty or has a bare '-'")
    return _character(pattern, at)


def _character(pattern: str, at: int) -> tuple[str, int]:
    """The plain character at `at`, which a backslash may precede."""
    if pattern[at] != "\\":
        return pattern[at], at + 1
    if at + 1 == len(pattern):
        raise PatternError(
            f"bad pattern {pattern!r}: nothing follows the backslash", hint="write \\\\ for a backslash"
        )
    return pattern[at + 1], at + 2
