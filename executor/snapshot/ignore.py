"""Paths of a root that never enter a snapshot (`--ignore-path`)."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable


class IgnoredPaths:
    """Tells whether an entry is ignored. Everything below an ignored directory is, if the walk stops there."""

    def __init__(self, paths: Iterable[str] = ()) -> None:
        """`paths` are absolute inside the image."""
        self._names = frozenset(posixpath.normpath("/" + path).lstrip("/") for path in paths)

    def __bool__(self) -> bool:
        """True when any path is ignored."""
        return bool(self._names)

    def __contains__(self, name: str) -> bool:
        """True when the entry name (relative, as in a layer) is one of the paths."""
        return name in self._names
