"""Wildcards in the sources of COPY and ADD, with the meaning of Go's filepath.Match.

`*` and `?` stop at a slash, `[a-z]` and `[^a-z]` are classes, a backslash takes the special meaning from the next
character. Only from the first component with a wildcard on is a path a pattern; before it, backslashes are plain.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator

_TOKEN = re.compile(
    r"\\(?P<plain>.)|(?P<star>\*+)|(?P<any>\?)|\[(?P<class>\^?(?:\\.|[^\\\]])+)\]|(?P<char>.)", re.DOTALL
)
_CLASS = re.compile(r"(?P<low>\\.|[^\\\-])(?:-(?P<high>\\.|[^\\\-]))?", re.DOTALL)


def has_wildcards(path: str) -> bool:
    """True when `path` holds `*`, `?` or `[` without a backslash before it."""
    return re.search(r"[*?\[]", re.sub(r"\\.", "", path, flags=re.DOTALL)) is not None


def split_pattern(path: str) -> tuple[str, tuple[str, ...]]:
    """The part of a clean absolute path before the first component with wildcards, and the components from there."""
    parts = path.split("/")
    first = next((at for at, part in enumerate(parts) if has_wildcards(part)), len(parts))
    return "/".join(parts[:first]) or "/", tuple(parts[first:])


def find_matches(directory: str, patterns: tuple[str, ...], visible: Callable[[str], bool]) -> Iterator[str]:
    """The paths below `directory`, relative to it, whose components match `patterns` one by one, sorted.

    Links are matched by name and not followed. `visible` is asked about each. Raises ValueError on a bad pattern,
    OSError when the directory cannot be read.
    """
    compiled = [compile_component(pattern) for pattern in patterns]
    yield from _find(directory, "", compiled, visible)


def _find(
    directory: str, prefix: str, patterns: list[re.Pattern[str]], visible: Callable[[str], bool]
) -> Iterator[str]:
    with os.scandir(os.path.join(directory, prefix)) as entries:
        found = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries)
    for name, is_directory in found:
        path = os.path.join(prefix, name)
        if not patterns[0].fullmatch(name) or not visible(path):
            continue
        if len(patterns) == 1:
            yield path
        elif is_directory:
            yield from _find(directory, path, patterns[1:], visible)


def compile_component(pattern: str) -> re.Pattern[str]:
    """One component of a pattern as a regular expression. Raises ValueError when it is malformed."""
    out: list[str] = []
    end = 0
    for token in _TOKEN.finditer(pattern):
        out.append(_translate(token, pattern))
        end = token.end()
    if end != len(pattern):
        raise _malformed(pattern)
    return re.compile("".join(out), re.DOTALL)


def _translate(token: re.Match[str], pattern: str) -> str:
    if token["star"]:
        return ".*"
    if token["any"]:
        return "."
    if token["class"]:
        return _class(token["class"], pattern)
    if token["plain"]:
        return re.escape(token["plain"])
    if token["char"] in ("[", "\\"):
        raise _malformed(pattern)
    return re.escape(token["char"])


def _class(body: str, pattern: str) -> str:
    negated, body = body.startswith("^"), body.removeprefix("^")
    ranges: list[str] = []
    end = 0
    for part in _CLASS.finditer(body):
        low, high = part["low"][-1], (part["high"] or part["low"])[-1]
        if part.start() != end:
            break
        if low <= high:  # a range that runs backwards matches nothing
            ranges.append(f"{re.escape(low)}-{re.escape(high)}")
        end = part.end()
    if end != len(body) or not body:
        raise _malformed(pattern)
    if not ranges:
        return "." if negated else r"(?!)"
    return f"[{'^' if negated else ''}{''.join(ranges)}]"


def _malformed(pattern: str) -> ValueError:
    return ValueError(f"syntax error in pattern {pattern!r}")
