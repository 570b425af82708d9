"""Build one image: read what was asked for, open what the build draws on, let the engine work, clear up."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from executor.build.bases.bases import BaseImages
from executor.build.bases.layersource import LayerSource
from executor.build.bases.warmedbases import open_warmed
from executor.build.engine import Engine, Resources
from executor.build.output.images import result_of
from executor.build.output.outputs import Outputs
from executor.build.plan.buildargs import EPOCH, is_set, settled
from executor.build.plan.frontend import Frontend, read_frontend
from executor.build.stopping import StopFlag, stopping_on_signals
from executor.context.base import open_context
from executor.context.http import download, without_credentials
from executor.dataclass import replace
from executor.dockerfile.marking import quoting
from executor.events import BuildStarted, BuildSucceeded, Sink
from executor.registry.client import RegistryClient
from executor.registry.credentials import Keychain
from executor.rootfs.kernel.namespaces import enter_mount_namespace
from executor.spec import BuildResult, BuildSpec
from executor.store import Store, default_home

if TYPE_CHECKING:  # a build without a layer cache does without it
    from executor.build.lookahead.buildcache import BuildCache

_LOCAL_CACHES = ("dir:", "oci:")


def build(spec: BuildSpec, sink: Sink) -> BuildResult:
    """Build the image that `spec` asks for, and push and write it where it says.

    Call it while the process has one thread: it may enter a mount namespace of its own. Raises executor.errors
    classes, and OSError for what `errors.machine_faults_explained` explains; leaves no process, mount or working
    file behind.
    """
    started = time.monotonic()
    home = spec.rootfs.home or default_home()  # before a user namespace makes everybody look like root
    enter_mount_namespace(as_user=spec.rootfs.driver != "in-place")
    sink(BuildStarted(name=spec.name, dockerfile=_shown(spec.dockerfile), context=_shown(spec.context)))
    stop = StopFlag()
    with stopping_on_signals(stop), Store.open(home) as store, opened(spec, sink, store, stop) as engine:
        image, pushed = engine.run()
        result = replace(
            result_of(image, engine.spec),
            driver=engine.driver_name,
            seconds=round(time.monotonic() - started, 3),
            pushed=pushed,
            steps=tuple(engine.records),
        )
    sink(BuildSucceeded(result=result.to_json()))
    return result


@contextmanager
def opened(spec: BuildSpec, sink: Sink, store: Store, stop: StopFlag) -> Iterator[Engine]:
    """The build of `spec`, its context and Dockerfile read, before anything is done. Raises as `build` does."""
    context = open_context(
        spec.context,
        sub_path=spec.context_sub_path,
        scratch=lambda: store.scratch("context"),
        sink=sink,
        keep_git_dir=is_set(spec.build_args, "BUILDKIT_CONTEXT_KEEP_GIT_DIR"),
        commit_times=bool(spec.build_args.get(EPOCH)),
    )
    frontend = read_frontend(
        spec,
        context.path,
        lambda url: download(url, store.scratch("dockerfile"), sink).path,
        own=_own_folders(spec, store),
    )

    def time_of(name: str) -> int | None:
        from executor.build.plan.epochsource import EpochTimes  # of few builds SOURCE_DATE_EPOCH is no number

        times = EpochTimes(spec, frontend.dockerfile, context.made, lambda: store.scratch("epoch"), sink)
        return times.of(name)

    settled_spec = settled(spec, frontend.dockerfile, time_of)
    with quoting(frontend.dockerfile), _engine(settled_spec, sink, store, frontend, stop) as engine:
        yield engine


@contextmanager
def _engine(spec: BuildSpec, sink: Sink, store: Store, frontend: Frontend, stop: StopFlag) -> Iterator[Engine]:
    """The engine with all that it draws on, which is closed at the end."""
    keychain = Keychain.from_environment(automatic=spec.registry.automatic_logins)
    pull_client = RegistryClient(spec.registry, keychain, sink, "pull")
    warmed = open_warmed(spec, keychain, sink)
    bases = BaseImages(store, pull_client, spec.local_images, sink, warmed=warmed)
    layers = LayerSource(store.blobs, pull_client, stop, sink, warmed=warmed)
    push_client = RegistryClient(spec.registry, keychain, sink, "push", retry=spec.output.push_retry)
    outputs = Outputs(spec, store, layers, push_client, sink)
    with ExitStack() as stack:
        stack.callback(pull_client.close)
        stack.callback(bases.close)
        stack.callback(outputs.close)
        cache: BuildCache | None = None
        if spec.cache.enabled:
            from executor.build.lookahead.buildcache import open_cache

            cache = stack.enter_context(open_cache(spec, keychain, store, layers, sink, outputs.holder))
        engine = Engine(spec, sink, frontend, Resources(store, bases, layers, outputs, cache))
        stack.callback(engine.close)
        yield engine


def _own_folders(spec: BuildSpec, store: Store) -> Collection[str]:
    """Our own folders, which are no part of a context that they happen to lie in: the store, and local caches.

    A CI server keeps folders of the checkout only, which often is the context.
    """
    places = (*spec.cache.repositories, *spec.cache.sources)
    caches = [place.partition(":")[2] for place in places if place.startswith(_LOCAL_CACHES)]
    return tuple(filter(None, (store.home, spec.cache.folder, *caches)))


def _shown(place: str) -> str:
    """A path or URL without what only its server should hear."""
    return without_credentials(place) if "://" in place else place
