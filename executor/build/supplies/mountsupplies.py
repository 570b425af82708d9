"""What the mounts of RUNs draw on: secrets, ssh agents, the store's caches, copies of the context."""

from __future__ import annotations

import os
from collections.abc import Callable

from executor.build.copying.copy import gives_nothing_away
from executor.build.copying.copysource import SourceTree
from executor.build.supplies.secrets import Secrets
from executor.build.supplies.sshagent import Agents
from executor.context.base import ContextTree
from executor.dataclass import dataclass
from executor.rootfs.files.copytree import CopyRules, copy_tree
from executor.store.cachemounts import CacheMounts

_CONTEXT_MODE = 0o755


class ContextCopies:
    """Parts of the context as a command may see them: without what is ignored, everything owned by 0:0."""

    def __init__(self, scratch: Callable[[str], str]) -> None:
        self._scratch = scratch
        self._made: dict[tuple[str, str], str] = {}

    def shared(self, context: ContextTree, source: str) -> str:
        """The host path of a copy of the path `source` that all mounts of the build share, read-only.

        Raises StepError when it is not in the context, OSError when it cannot be copied.
        """
        key = (context.path, source)
        if key not in self._made:
            self._made[key] = self._copy(SourceTree.of_context(context), source)
        return self._made[key]

    def _copy(self, tree: SourceTree, source: str) -> str:
        found = tree.at(source)
        target = os.path.join(self._scratch("context-mount"), "copy")
        if found.path == "/":  # the context itself has the mode of a new directory, whatever it has here
            os.mkdir(target)
            os.chmod(target, _CONTEXT_MODE)
        owner = None if gives_nothing_away() else (0, 0)
        copy_tree(found.host, target, CopyRules(owner=owner, choose=tree.choose(found, (), ()), attributes=False))
        return target


@dataclass(frozen=True, slots=True, kw_only=True)
class MountSupplies:
    """What all RUNs of one build share."""

    secrets: Secrets
    agents: Agents
    caches: CacheMounts
    contexts: ContextCopies
