"""The other keys of a stage, which do not depend on how the files that COPY --from reads came about.

A step's key stands for all that went before it, in the stages that it copies from as well. When such a stage is
built anew and its files are what they were, the keys behind it differ and the results do not. So from the first
COPY --from on, a step has a second key, in which the copied content stands in place of the stage's key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from executor.build.layers.upon import Upon
from executor.build.stages.stepkeys import FileStep
from executor.cache.entry import Entry
from executor.cache.key import CacheKey, after
from executor.dockerfile.instructions import Copy

Contents = Callable[[], Sequence[Mapping[str, Any]] | None]
"""What a COPY --from copies, None when that cannot be told."""


class ContentChain:
    """The second keys of a stage, step by step.

    `parent` is the key of the step before in hex, '' when it is not known; `key` that of the step at hand; `upon`
    what the RUNs before it made.
    """

    def __init__(self, parent: str, upon: Upon) -> None:
        self.parent = parent
        self.upon = upon
        self.key: CacheKey | None = None

    def fork(self) -> ContentChain:
        """The chain of a stage that begins where this one is."""
        return ContentChain(self.parent, self.upon)

    def advance(self, key: CacheKey | None, upon: str) -> None:
        """Go on to a step that copies from nowhere else; `key` is its first key, `upon` that of what it mounts."""
        self.key = after(self.parent, key) if key and self.parent else None
        self.parent = self.key.hex if self.key else ""
        self.upon = self.upon.then(upon)

    def advance_copy(self, key: CacheKey, found: Entry | None, contents: Contents) -> None:
        """Go on to a COPY --from whose first key is `key`; `found` is the entry of that."""
        self.key = None
        if found is not None:
            self.parent = found.content
            return
        inputs = contents() if self.parent else None
        if inputs is not None:
            self.key = after(self.parent, key, inputs=inputs)
        self.parent = self.key.hex if self.key else ""

    def take_result(self, result: Callable[[], str]) -> None:
        """The step at hand, a RUN, has this `result`."""
        self.upon = self.upon.then_later(result)


def copies_from(step: FileStep, key: CacheKey | None) -> bool:
    """True for a COPY whose key has another stage or an image in it."""
    if not (key and isinstance(step, Copy) and step.from_):
        return False
    return any("from" in source for source in key.fields()["inputs"])
