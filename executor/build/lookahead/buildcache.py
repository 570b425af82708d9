"""The layer cache as one build has it: its places, the keys of the plan, and what to do when a layer is lost."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

from executor.build.bases.layersource import LayerSource
from executor.build.lookahead.keywalk import KeyWalk
from executor.build.plan.buildplan import BuildPlan
from executor.build.stages.cachedsteps import CacheAccess, CachedSteps, StageKeys
from executor.build.stages.stepkeys import FileStep
from executor.cache.key import CacheKey
from executor.cache.layercache import LayerCache
from executor.cache.places import Holder, open_place, repository_of
from executor.errors import Error, StoppedError, UsageError
from executor.events import Noted, Sink, Warned
from executor.image.formats import format_of
from executor.image.reference import Reference
from executor.registry.client import RegistryClient
from executor.registry.credentials import Keychain
from executor.spec import BuildSpec, CacheOptions, RetryPolicy
from executor.store import Store

_LOOK_UP_RETRY = RetryPolicy(retries=1, initial_wait=0.5, max_wait=0.5)
_SILENCE = 20.0  # seconds; a cache that makes a build wait longer is none


def cache_repositories(spec: BuildSpec) -> tuple[str, ...]:
    """Where layers are read and written: what was asked for, else `<repository of the first destination>/cache`.

    The folder of --cache-dir comes before either. Raises UsageError when there is no place. Behaviour: kaniko's.
    """
    folder = (f"dir:{spec.cache.folder}/layers",) if spec.cache.folder else ()
    if spec.cache.repositories or spec.cache.sources:
        return (*folder, *spec.cache.repositories)
    if spec.output.destinations:
        return (*folder, f"{Reference.parse(spec.output.destinations[0]).name}/cache")
    if not folder:
        raise UsageError("a layer cache without a place", hint="name one with --cache-repo, or a --destination")
    return folder


def _may_be_written(text: str, options: CacheOptions) -> bool:
    """Whether layers are written there: not into a read-only volume of warmed images, nor with --no-push-cache."""
    folder = options.folder if text == f"dir:{options.folder}/layers" else ""
    return options.push and (not os.path.exists(folder) or os.access(folder, os.W_OK | os.X_OK))


@contextmanager
def open_cache(
    spec: BuildSpec, keychain: Keychain, store: Store, layers: LayerSource, sink: Sink, holder: Holder
) -> Iterator[BuildCache]:
    """The cache of the build `spec`; leaving the context waits for what is being written, and trims folders.

    `holder` knows where the layers of the image are: the same registry is not sent them twice.
    """
    written = cache_repositories(spec)
    reader = RegistryClient(spec.registry, keychain, sink, "push", retry=_LOOK_UP_RETRY, silence=_SILENCE)
    writer = RegistryClient(spec.registry, keychain, sink, "push", retry=spec.output.push_retry, silence=_SILENCE)
    for text in (*written, *spec.cache.sources):
        layers.use_client(repository_of(text), reader)
    cache = LayerCache(
        [open_place(text, reader, store.blobs) for text in (*written, *spec.cache.sources)],
        [open_place(text, writer, store.blobs, holder) for text in written if _may_be_written(text, spec.cache)],
        sink,
        ttl=spec.cache.ttl,
        image_format=format_of(spec.output.image_format),
    )
    hurry = False
    try:
        yield BuildCache(cache, spec.cache, layers, sink)
    except StoppedError:
        hurry = True
        raise
    finally:
        cache.close(hurry=hurry)
        if not hurry:
            _trim(cache.written, spec.cache, sink)
        reader.close()
        writer.close()


def _trim(places: Iterable[str], options: CacheOptions, sink: Sink) -> None:
    """Keep the folders among `places` within their size. What cannot be removed is for `krunner prune` to tell."""
    folders = [place for place in places if not repository_of(place)]
    if not folders:
        return
    from executor.cache.pruning import trim_place

    for place in folders:
        with suppress(Error, OSError):
            done = trim_place(place, options)
            if done.removed:
                sink(Noted(message=f"removed {done.freed / 1_000_000:.1f} MB of old cached layers from {place}"))


class BuildCache:
    """What the stages of a build ask the cache through."""

    def __init__(self, cache: LayerCache, options: CacheOptions, layers: LayerSource, sink: Sink) -> None:
        self._cache = cache
        self._options = options
        self._layers = layers
        self._sink = sink
        self._keys: dict[int, StageKeys] = {}

    def find_keys(self, walk: KeyWalk, plan: BuildPlan) -> None:
        """Find the keys of all stages, and begin to look each up as soon as it is known."""
        for planned in plan.stages:
            walk.visit(planned)
            for number in walk.keys.keys() - self._keys.keys():
                keys = self._keys[number] = walk.keys[number]
                self._steps(keys, None, _nothing).prefetch()

    def expects_root(self, index: int) -> bool:
        """Whether the stage will have to carry something out, as far as can be told; waits for the answers."""
        keys = self._keys.get(index)
        return keys is None or self._steps(keys, None, _nothing).expects_root()

    def steps(
        self, index: int, base: CachedSteps | None, upon_of: Callable[[FileStep], str]
    ) -> CachedSteps | None:
        """The steps of a stage; see CachedSteps. None when nothing is known of it."""
        keys = self._keys.get(index)
        return self._steps(keys, base, upon_of) if keys else None

    def has(self, key: CacheKey) -> bool:
        """Whether a place has an entry of `key`, whatever it was made upon."""
        return self._cache.get(key.hex) is not None

    def gives_up_layers(self, error: Error) -> bool:
        """Forget the layers of entries that could not be had; False when it was not they that failed."""
        lost = self._cache.lose(self._layers.failed)
        for name in lost:
            self._sink(Warned(message=f"the cached layer {name} cannot be used: {error.message}"))
        return bool(lost)

    def _steps(self, keys: StageKeys, base: CachedSteps | None, upon_of: Callable[[FileStep], str]) -> CachedSteps:
        access = CacheAccess(
            cache=self._cache,
            options=self._options,
            open_blob=self._layers.open_blob,
            upon_of=upon_of,
            sink=self._sink,
        )
        return CachedSteps(keys, access, base=base)


def _nothing(_step: FileStep) -> str:
    return ""
