"""The steps of one stage beside the layer cache: asked before a step is carried out, told after.

A key says what a step reads, not what RUN made of it: the same RUN can give other bytes tomorrow. So each entry
remembers what it was made `upon`, a digest over the results of the RUNs below it, and serves only where they are
the same. Layers of different runs are never mixed; what lies behind a RUN that repeats its result still counts.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from executor.build.plan import first_line
from executor.build.stepkeys import FileStep
from executor.cache.entry import Entry
from executor.cache.key import CacheKey
from executor.cache.layercache import LayerCache, OpenBlob
from executor.dockerfile.instructions import Add, Copy, Run
from executor.events import CacheLookedUp, Sink
from executor.image.layer import Layer
from executor.image.platform import Platform
from executor.spec import CacheOptions

_WHOLE = "the whole stage (--single-snapshot)"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPlan:
    """A step that changes files and its key, None when it could not be known."""

    step: FileStep
    key: CacheKey | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StagePlanKeys:
    """What is known of a stage before it is built.

    `steps` are in order; `final` is the key of its files at the end, None when that is not known; `whole` the one
    of its only layer with --single-snapshot.
    """

    steps: tuple[StepPlan, ...]
    final: CacheKey | None
    whole: CacheKey | None = None
    platform: Platform


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheAccess:
    """The cache, which instructions are cached, and what else a stage needs for it.

    `open_blob` opens a layer's compressed bytes. `upon_of` gives the `upon` of the stage that a step copies from,
    '' when it copies from none.
    """

    cache: LayerCache
    options: CacheOptions
    open_blob: OpenBlob
    upon_of: Callable[[FileStep], str]
    sink: Sink

    def caches(self, step: FileStep) -> bool:
        """Whether steps of this kind are cached."""
        match step:
            case Run():
                return self.options.run_layers
            case Copy() | Add():
                return self.options.copy_layers
            case _:
                return True


class CachedSteps:
    """The steps of a stage, in order: for each a `look_up` and, when it was carried out, a `keep`."""

    def __init__(self, keys: StagePlanKeys, access: CacheAccess, *, upon: str) -> None:
        """`upon` is that of the stage's base."""
        self._keys = keys
        self._access = access
        self._steps = iter(keys.steps)
        self._current: StepPlan | None = None
        self._whole: Entry | None = None
        self._whole_known = False
        self.upon = upon

    def look_up(self, step: FileStep) -> Entry | None:
        """The result of `step`, the next of the stage; None when it has to be carried out."""
        if self._keys.whole:
            whole = self.look_up_stage()
            return replace(whole, layer=None) if whole else None
        self._current = next(self._steps, None)
        self.upon = mixed(self.upon, self._access.upon_of(step))
        if self._current is None or self._current.key is None or not self._access.caches(step):
            return None
        entry = self._get(self._current.key, first_line(step.source))
        if entry:
            self._went(step, entry.layer)
        return entry

    def keep(self, step: FileStep, layer: Layer | None) -> None:
        """Cache what carrying out `step` made."""
        key = self._current.key if self._current else None
        if key and self._access.caches(step):
            self._put(key, layer, first_line(step.source))
        self._went(step, layer)

    def look_up_stage(self) -> Entry | None:
        """With --single-snapshot: the stage's only layer; None when the stage has to be carried out."""
        if not self._whole_known and self._keys.whole and self._caches_whole():
            for planned in self._keys.steps:
                self.upon = mixed(self.upon, self._access.upon_of(planned.step))
            self._whole = self._get(self._keys.whole, _WHOLE)
            if self._whole:
                self._went_whole(self._whole.layer)
        self._whole_known = True
        return self._whole

    def keep_stage(self, layer: Layer | None) -> None:
        """Cache the stage's only layer."""
        if self._keys.whole and self._caches_whole():
            self._put(self._keys.whole, layer, _WHOLE)
        self._went_whole(layer)

    def expects_root(self) -> bool:
        """Whether a step will have to be carried out, as far as can be told before; waits for the answers."""
        if self._keys.whole:
            return not self._caches_whole() or self._access.cache.get(self._keys.whole.hex) is None
        return self._keys.final is None or any(
            planned.key is None
            or not self._access.caches(planned.step)
            or self._access.cache.get(planned.key.hex) is None
            for planned in self._keys.steps
        )

    def prefetch(self) -> None:
        """Begin to look up every key."""
        wanted = [planned.key for planned in self._keys.steps if self._access.caches(planned.step)]
        if self._keys.whole:
            wanted = [self._keys.whole] if self._caches_whole() else []
        for key in wanted:
            if key:
                self._access.cache.prefetch(key.hex)

    def _caches_whole(self) -> bool:
        return all(self._access.caches(planned.step) for planned in self._keys.steps)

    def _get(self, key: CacheKey, text: str) -> Entry | None:
        found = self._access.cache.get(key.hex)
        hit = found is not None and found.entry.upon == self.upon
        place = found.place if found and hit else ""
        self._access.sink(CacheLookedUp(instruction=text, key=key.hex, hit=hit, place=place))
        return found.entry if found and hit else None

    def _put(self, key: CacheKey, layer: Layer | None, text: str) -> None:
        entry = Entry(
            key=key.hex,
            document=key.document,
            layer=layer,
            upon=self.upon,
            created=int(time.time()),
            platform=self._keys.platform,
            created_by=text,
        )
        self._access.cache.put(entry, self._access.open_blob)

    def _went(self, step: FileStep, layer: Layer | None) -> None:
        if isinstance(step, Run):
            self._went_whole(layer)

    def _went_whole(self, layer: Layer | None) -> None:
        self.upon = mixed(self.upon, layer.diff_id if layer else "unchanged")


def mixed(upon: str, more: str) -> str:
    """`upon` with one more result in it; the same when `more` is ''."""
    return hashlib.sha256(f"{upon} {more}".encode()).hexdigest() if more else upon
