"""The steps of one stage beside the layer cache: asked before a step is carried out, told after.

A key says what a step reads, not what RUN made of it: the same RUN can give other bytes tomorrow. So each entry
remembers what it was made `upon`, a digest over the results of the RUNs below it, and serves only where they are
the same. Layers of different runs are never mixed; what lies behind a RUN that repeats its result still counts.
contentkeys.py says when a step has two keys.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future

from executor.build.layers.laterlayers import done
from executor.build.layers.upon import Upon
from executor.build.plan.buildplan import on_one_line
from executor.build.stages.contentkeys import ContentChain, Contents, copies_from
from executor.build.stages.stepkeys import FileStep
from executor.cache.entry import Entry
from executor.cache.key import CacheKey, after
from executor.cache.layercache import Found, LayerCache, OpenBlob
from executor.dataclass import dataclass, replace
from executor.dockerfile.instructions import Add, Copy, Run
from executor.events import CacheLookedUp, Sink
from executor.image.layer import Layer
from executor.image.platform import Platform
from executor.spec import CacheOptions

_WHOLE = "the whole stage (--single-snapshot)"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedStep:
    """A step that changes files and its key, None when it could not be known."""

    step: FileStep
    key: CacheKey | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StageKeys:
    """What is known of a stage before it is built.

    `steps` are in order; `start` is the key of its base, in hex; `final` is the key of its files at the end, None
    when that is not known; `whole` the one of its only layer with --single-snapshot. `goes_on`: other stages begin
    there.
    """

    steps: tuple[KeyedStep, ...]
    start: str
    final: CacheKey | None
    whole: CacheKey | None = None
    goes_on: bool = False
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

    def __init__(self, keys: StageKeys, access: CacheAccess, *, base: CachedSteps | None = None) -> None:
        """`base` are the steps of the stage that this one builds on, None when it builds on an image."""
        self._keys = keys
        self._access = access
        self._at = -1
        self._whole: Entry | None = None
        self._whole_known = False
        self.upon: Upon = base.upon if base else Upon()
        self.content: ContentChain = base.content.fork() if base else ContentChain(keys.start, Upon())

    def look_up(self, step: FileStep, contents: Contents) -> Entry | None:
        """The result of `step`, the next of the stage; None when it has to be carried out.

        `contents` tells what a COPY --from copies; it is asked when the stage that it reads is not what it was.
        """
        if self._keys.whole:
            whole = self.look_up_stage()
            return replace(whole, layer=None) if whole else None
        self._at += 1
        upon = self._access.upon_of(step)
        self.upon = self.upon.then(upon)
        key, cached = self._key, self._access.caches(step)
        if key is None:
            self.content.advance(None, upon)
            return None
        found = self._find(key, self.upon) if cached else None
        if copies_from(step, key):
            self.content.advance_copy(
                key, found.entry if found else None, contents if self._has_use_for_contents() else _unknown
            )
            self._prefetch_contents()
        else:
            self.content.advance(key, upon)
        if cached and found is None:
            found = self._find_content(step, key)
        if cached:
            self._tell(step, key, found)
        if found:
            self._take_result_of(step, done(found.entry.layer))
        return found.entry if found else None

    @property
    def is_whole(self) -> bool:
        """Whether the stage has one entry for all its steps (--single-snapshot)."""
        return self._keys.whole is not None

    def skip(self, step: FileStep) -> None:
        """Go on after a miss without carrying `step` out, which leaves open what a RUN would give."""
        if isinstance(step, Run):
            self.upon = self.upon.then("not known")

    def keep(self, step: FileStep, layer: Future[Layer | None], made_at: int) -> Callable[[], None]:
        """Go on from `step`, which was carried out; what this returns caches the `layer`, once that is made.

        `made_at` is the time that the image records for it, in seconds since 1970.
        """
        key, other = self._key, self.content.key
        upon, content_upon = self.upon, self.content.upon
        self._take_result_of(step, layer)

        def put() -> None:
            if key and self._access.caches(step):
                content = other if copies_from(step, key) else None
                entry = self._entry(key, layer.result(), made_at, step, upon)
                self._put(replace(entry, content=content.hex if content else ""))
                if other and other.hex != key.hex:
                    self._put(self._entry(other, layer.result(), made_at, step, content_upon))

        return put

    @property
    def _key(self) -> CacheKey | None:
        """The first key of the step at hand."""
        return self._keys.steps[self._at].key if self._at < len(self._keys.steps) else None

    def _find_content(self, step: FileStep, key: CacheKey) -> Found | None:
        """The result of the step at hand by its second key; it then has the first one too."""
        other = self.content.key
        found = self._find(other, self.content.upon) if other and other.hex != key.hex else None
        if found:
            entry = self._entry(key, found.entry.layer, found.entry.created, step, self.upon)
            self._put(replace(entry, content=other.hex if other and copies_from(step, key) else ""))
        return found

    def _has_use_for_contents(self) -> bool:
        """Whether this step or one behind it is looked up, so that a second key may find something."""
        rest = self._keys.steps[self._at :]
        return self._keys.goes_on or any(self._access.caches(planned.step) for planned in rest)

    def _prefetch_contents(self) -> None:
        """Begin to look up the second keys up to the next COPY --from."""
        parent = self.content.parent if self.content.key else ""
        for planned in self._keys.steps[self._at + 1 :] if parent else ():
            if planned.key is None or copies_from(planned.step, planned.key):
                return
            key = after(parent, planned.key)
            parent = key.hex
            if self._access.caches(planned.step):
                self._access.cache.prefetch(key.hex)

    def look_up_stage(self) -> Entry | None:
        """With --single-snapshot: the stage's only layer; None when the stage has to be carried out."""
        if not self._whole_known and self._keys.whole and self._caches_whole():
            for planned in self._keys.steps:
                self.upon = self.upon.then(self._access.upon_of(planned.step))
            found = self._find(self._keys.whole, self.upon)
            self._tell(None, self._keys.whole, found)
            if found:
                self._whole = found.entry
                self._take_result(done(found.entry.layer))
        self._whole_known = True
        return self._whole

    def keep_stage(self, layer: Layer | None, made_at: int) -> None:
        """Cache the stage's only layer, made at `made_at` (see `keep`)."""
        if self._keys.whole and self._caches_whole():
            self._put(self._entry(self._keys.whole, layer, made_at, None, self.upon))
        self._take_result(done(layer))

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

    def _find(self, key: CacheKey, upon: Upon) -> Found | None:
        found = self._access.cache.get(key.hex)
        return found if found and found.entry.upon == upon.text else None

    def _tell(self, step: FileStep | None, key: CacheKey, found: Found | None) -> None:
        text, place = _text(step), found.place if found else ""
        self._access.sink(CacheLookedUp(instruction=text, key=key.hex, hit=found is not None, place=place))

    def _entry(self, key: CacheKey, layer: Layer | None, made_at: int, step: FileStep | None, upon: Upon) -> Entry:
        return Entry(
            key=key.hex,
            document=key.document,
            layer=layer,
            upon=upon.text,
            created=made_at,
            platform=self._keys.platform,
            created_by=_text(step),
        )

    def _put(self, entry: Entry) -> None:
        self._access.cache.put(entry, self._access.open_blob)

    def _take_result_of(self, step: FileStep, layer: Future[Layer | None]) -> None:
        """Go on from what `step` made. Only of a RUN the key does not say what that is."""
        if isinstance(step, Run):
            self._take_result(layer)

    def _take_result(self, layer: Future[Layer | None]) -> None:
        def result() -> str:
            made = layer.result()
            return str(made.diff_id) if made else "unchanged"

        self.upon = self.upon.then(result()) if layer.done() else self.upon.then_later(result)
        self.content.take_result(result)


def _text(step: FileStep | None) -> str:
    return on_one_line(step.source) if step else _WHOLE


def _unknown() -> None:
    return None
