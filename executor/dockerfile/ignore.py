"""Which paths `.dockerignore` and `--exclude` leave out. Patterns count in order; `!pattern` lets in again.

A pattern that matches a folder matches all below it. As in BuildKit's walk, a `!pattern` is tried only on a path
that is ignored by then, so one that names a folder does nothing for what is ignored below it by itself.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence

from executor.dataclass import dataclass
from executor.dockerfile.source import printable, read_source
from executor.dockerfile.whitespace import SPACES
from executor.dockerfile.wildcard import PatternError, translate_one
from executor.errors import Diagnostic, InvalidFileError, Location

_SPECIAL = re.compile(r"[*?\[\]\\]")
_EVERYTHING = frozenset({"*", "**", "**/*"})
_MAX_FOLDERS = 50_000  # whose states are remembered


def parse_ignore(text: str | bytes, file: str = ".dockerignore") -> tuple[str, ...]:
    """The patterns of an ignore file, cleaned, without comments; relative to the context's root.

    Raises InvalidFileError naming every bad pattern's line. Behaviour: moby's `ignorefile.ReadAll`.
    """
    source = read_source(text, file)
    patterns: list[str] = []
    faults: list[Diagnostic] = []
    for number, raw in enumerate(source.lines, start=1):
        pattern = "" if raw.startswith("#") else _clean_line(printable(raw))
        if not pattern:
            continue
        try:
            _read_pattern(pattern)
        except PatternError as error:
            faults.append(source.diagnostic(number, 1, len(raw.rstrip()), error.message, error.hint))
        patterns.append(pattern)
    if faults:
        raise InvalidFileError(faults)
    return tuple(patterns)


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """A pattern without `!` as an anchored regular expression over a relative path.

    `**/` is any number of folders, also none; a `**` at the end is everything below. Raises PatternError.
    """
    out, at = [], 0
    while at < len(pattern):
        if pattern.startswith("**", at):
            part, at = _translate_double_star(pattern, at)
        else:
            part, at = translate_one(pattern, at)
        out.append(part)
    return re.compile(rf"\A{''.join(out)}\Z", re.DOTALL)


class IgnoreMatcher:
    """Answers for a fixed list of patterns. Results for folders are remembered, so a walk costs one step a path.

    Raises InvalidFileError if a pattern is bad; patterns from `parse_ignore` are not.
    """

    def __init__(self, patterns: Sequence[str], file: str = ".dockerignore") -> None:
        try:
            self._hides_all = any(raw.strip(SPACES) in _EVERYTHING for raw in patterns)
            self._rules = tuple(_read_pattern(pattern) for raw in patterns if (pattern := raw.strip(SPACES)))
        except PatternError as error:
            raise InvalidFileError([Diagnostic(Location(file), error.message, hint=error.hint)]) from None
        self._states: dict[str, int] = {}

    @property
    def hides_all(self) -> bool:
        """Whether a pattern of its own hides all there is, but for what `!` patterns let in again."""
        return self._hides_all

    @property
    def has_exceptions(self) -> bool:
        """Whether there is a `!` pattern."""
        return any(rule.included for rule in self._rules)

    def ignores(self, path: str) -> bool:
        """Whether `path` (relative, parted by `/`, clean) is left out. The root itself, `.`, never is."""
        if path in (".", ""):
            return False
        return self._decide(path, self._state_of_folder(posixpath.dirname(path)))[0]

    def may_contain_included(self, directory: str) -> bool:
        """Whether a `!` pattern could let in something below an ignored `directory`; if not, it can be skipped."""
        depth = directory.split("/")
        return any(rule.included and rule.may_match_below(depth) for rule in self._rules)

    def _decide(self, path: str, inherited: int) -> tuple[bool, int]:
        """Whether `path` is ignored, and the set of rules (a bit each) that match it or a folder above it."""
        ignored, state = False, 0
        for number, rule in enumerate(self._rules):
            bit = 1 << number
            # A folder's match counts below it even if another pattern had ignored the folder already. BuildKit's
            # walk forgets it then, but refuses to open such a file and sends it empty.
            if inherited & bit or ((ignored or not rule.included) and rule.matches(path)):
                ignored = not rule.included
                state |= bit
        return ignored, state

    def _state_of_folder(self, folder: str) -> int:
        """The rules that `folder` passes down; from the top to it, as deep paths must not exhaust the stack."""
        unknown: list[str] = []
        while folder and folder not in self._states:
            unknown.append(folder)
            folder = posixpath.dirname(folder)
        state = self._states.get(folder, 0)
        if len(self._states) > _MAX_FOLDERS:
            self._states.clear()
        for below in reversed(unknown):
            state = self._decide(below, state)[1]
            self._states[below] = state
        return state


@dataclass(frozen=True, slots=True)
class _Rule:
    """One pattern: its expression, whether it lets in (`!`), and an expression for each path segment.

    A segment of None may match any number of names: `**`, a class (it can match `/`), an escaped `/`.
    """

    expression: re.Pattern[str]
    included: bool
    segments: tuple[re.Pattern[str] | None, ...]

    def matches(self, path: str) -> bool:
        return self.expression.match(path) is not None

    def may_match_below(self, directory: list[str]) -> bool:
        """False only if no path below can match."""
        for segment, name in zip(self.segments, directory, strict=False):
            if segment is None:
                return True
            if not segment.match(name):
                return False
        return len(self.segments) > len(directory)


def _clean_line(raw: str) -> str:
    pattern = raw.strip(SPACES)
    mark = "!" if pattern.startswith("!") else ""
    pattern = pattern.removeprefix(mark).strip(SPACES)
    if pattern:
        pattern = _clean(pattern)
        pattern = pattern[1:] if len(pattern) > 1 and pattern.startswith("/") else pattern
    return mark + pattern


def _clean(path: str) -> str:
    # normpath keeps exactly two leading slashes (POSIX lets them mean something); Go's Clean does not.
    return posixpath.normpath(f"/{path.lstrip('/')}" if path.startswith("/") else path)


def _read_pattern(pattern: str) -> _Rule:
    included = pattern.startswith("!")
    bare = pattern.removeprefix("!")
    if included and bare in ("", "/"):
        raise PatternError("a '!' without a pattern", hint="write !path to let a path in again")
    bare = _clean(bare)
    segments = tuple(None if _is_open(segment) else compile_pattern(segment) for segment in bare.split("/"))
    return _Rule(compile_pattern(bare), included, segments)


def _is_open(segment: str) -> bool:
    return any(mark in segment for mark in ("**", "[", "\\"))


def _translate_double_star(pattern: str, start: int) -> tuple[str, int]:
    at = start + 2
    at += pattern.startswith("/", at)
    if at == len(pattern):
        return ".*", at
    if start == 0 and not pattern.startswith("/", 2) and not _SPECIAL.search(pattern, at):
        return ".*", at  # `**name` is any path that ends in these characters, within a name too
    return "(?:.*/)?", at
