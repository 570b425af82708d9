"""Collects the faults of a file, so that one reading reports them all, in the order of the lines."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypeAlias

from executor.errors import Diagnostic, InvalidFileError, Location

KeyPath: TypeAlias = tuple[str | int, ...]

_SIMPLE_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\Z")


def path_text(path: KeyPath) -> str:
    """A key path as users write it: `builds[1].push.retries`; a key with other characters as `args["a.b"]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _SIMPLE_KEY.match(part):
            text += f".{part}" if text else part
        else:
            text += f'["{part}"]'
    return text


def in_order(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Sorted by file, line and column; what an alias repeats at the same place is said once."""
    unique: dict[tuple[Location, str], Diagnostic] = {}
    for diagnostic in diagnostics:
        unique.setdefault((diagnostic.location, diagnostic.message), diagnostic)
    return sorted(unique.values(), key=lambda d: (d.location.file, d.location.line, d.location.column))


class Findings:
    """A growing list of faults. Mutable on purpose: checks add, `check()` ends the phase."""

    def __init__(self) -> None:
        self._diagnostics: list[Diagnostic] = []
        self._faulty: set[tuple[str, KeyPath]] = set()

    def add(self, location: Location, message: str, *, path: KeyPath = (), hint: str = "") -> None:
        """Note one fault of the value at `path`, which stands at `location`."""
        self._diagnostics.append(Diagnostic(location, message, path=path_text(path), hint=hint))
        self._faulty.add((location.file, path))

    def __len__(self) -> int:
        return len(self._diagnostics)

    @property
    def faulty(self) -> frozenset[tuple[str, KeyPath]]:
        """The values that have a fault: the file of each, and its path there."""
        return frozenset(self._faulty)

    def touch(self, path: KeyPath) -> bool:
        """Whether something at or below `path` has a fault, in any file."""
        return any(faulty[: len(path)] == path for _, faulty in self._faulty)

    def extend(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Note faults that somebody else found."""
        self._diagnostics.extend(diagnostics)

    def sorted(self) -> list[Diagnostic]:
        """All faults, in the order of the lines."""
        return in_order(self._diagnostics)

    def check(self) -> None:
        """Raise InvalidFileError with all faults noted so far, if there are any."""
        if self._diagnostics:
            raise InvalidFileError(self.sorted())
