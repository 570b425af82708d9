"""The named build contexts that are files, each fetched when something first reads it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping

from executor.build.plan.frontend import ignore_matcher
from executor.context.base import ContextTree
from executor.context.named import fetch_named_context
from executor.events import Sink


class ContextTrees:
    """The files of named contexts. `scratch` makes an empty directory. Threads share it.

    `excludes` are absolute paths that are part of no context.
    """

    def __init__(
        self, values: Mapping[str, str], excludes: Collection[str], scratch: Callable[[], str], sink: Sink
    ) -> None:
        self._values = values
        self._excludes = excludes
        self._scratch = scratch
        self._sink = sink
        self._lock = threading.Lock()
        self._trees: dict[str, ContextTree] = {}

    def tree(self, name: str) -> ContextTree:
        """The files of the context `name`; a directory's own .dockerignore counts, as with BuildKit.

        Raises ContextError when it cannot be had.
        """
        with self._lock:
            if name not in self._trees:
                self._trees[name] = self._open(name)
            return self._trees[name]

    def _open(self, name: str) -> ContextTree:
        found = fetch_named_context(name, self._values[name], self._scratch, self._sink)
        return ContextTree(found.path, ignore_matcher("", found.path, self._excludes) if found.is_local else None)
