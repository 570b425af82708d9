"""The patterns of `${x#p}`, `${x%p}` and `${x/p/r}`: `*` any text, `?` one character, `\\` makes them plain.

There are no bracket expressions, and the escape is a backslash whatever the file's escape directive says.
"""

from __future__ import annotations

import re


def trim_prefix(value: str, pattern: str, *, longest: bool) -> str:
    """`value` without the prefix that `pattern` matches, if any. Raises ValueError on a bad pattern."""
    found = _compile(pattern, longest=longest).match(value)
    return value[found.end() :] if found else value


def trim_suffix(value: str, pattern: str, *, longest: bool) -> str:
    """`value` without the suffix that `pattern` matches, if any. Raises ValueError on a bad pattern."""
    # A search from the left cannot find the shortest suffix; a prefix of the mirrored text it can.
    return trim_prefix(value[::-1], _mirror(pattern), longest=longest)[::-1]


def replace(value: str, pattern: str, replacement: str, *, every: bool) -> str:
    """`value` with the first (or every) longest match of `pattern` replaced. Raises ValueError."""
    parts: list[str] = []
    end = 0
    for found in _compile(pattern, longest=True).finditer(value):
        if found.end() == found.start() == end and parts:
            continue  # an empty match that touches the one before it is none (Go's rule, unlike Python's)
        parts += (value[end : found.start()], replacement)
        end = found.end()
        if not every:
            break
    return "".join(parts) + value[end:]


def _compile(pattern: str, *, longest: bool) -> re.Pattern[str]:
    out: list[str] = []
    chars = iter(pattern)
    for char in chars:
        if char == "*":
            out.append(".*" if longest else ".*?")
        elif char == "?":
            out.append(".")
        elif char == "\\":
            out.append(_escaped(next(chars, "")))
        else:
            out.append(re.escape(char))
    return re.compile("".join(out))


def _escaped(char: str) -> str:
    # `}` and `/` end the parts of `${…}`, so they are written escaped without being special in the pattern.
    if char and char in "*?\\}/":
        return re.escape(char)
    raise ValueError(f"invalid escape '\\{char}'")


def _mirror(pattern: str) -> str:
    return "".join(reversed(re.findall(r"\\.|.", pattern, re.DOTALL)))
