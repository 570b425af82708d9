"""Bringing base images into the folder: those that are named, and those that Dockerfiles name."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

from executor.build.plan.frontend import read_dockerfile
from executor.build.plan.namedcontexts import NamedContexts
from executor.build.plan.planner import PlanRequest, plan_build
from executor.cache.warmed import WarmedImages
from executor.context.http import download
from executor.errors import Error, UnfitError
from executor.events import Noted, PullFinished, PullStarted, Sink, Warned
from executor.image.descriptor import Descriptor
from executor.image.manifest import single_manifest
from executor.image.platform import Platform
from executor.image.reference import Reference
from executor.registry.client import RegistryClient
from executor.registry.credentials import Keychain
from executor.registry.pull import ResolvedImage, resolve
from executor.spec import BuildSpec
from executor.warmer.request import WarmRequest

_IMAGES_AT_ONCE = 4
_BLOBS_AT_ONCE = 4


def warm(request: WarmRequest, sink: Sink) -> None:
    """Have every image of `request` in its folder, fresh.

    Raises what the first image that failed raised: at once, or with `keep_going` when all have failed.
    """
    platforms = tuple(map(Platform.parse, request.platforms)) or (Platform.host(),)
    wanted = dict.fromkeys((Reference.parse(name), platform) for name in request.images for platform in platforms)
    for dockerfile in request.dockerfiles:
        wanted |= dict.fromkeys(_images_of(dockerfile, request, platforms, sink))
    folder = WarmedImages(request.folder, ttl=request.ttl)
    with (
        RegistryClient(
            request.registry, Keychain.from_environment(automatic=request.registry.automatic_logins), sink, "pull"
        ) as client,
        ThreadPoolExecutor(_BLOBS_AT_ONCE, "blob") as blobs,
    ):
        warmer = _Warmer(folder, client, blobs, sink, force=request.force)
        failures = _each(warmer, tuple(wanted), sink, keep_going=request.keep_going)
    if failures and (len(failures) == len(wanted) or not request.keep_going):
        raise failures[0]
    if wanted:
        folder.remove_unneeded()


def _each(
    warmer: _Warmer, wanted: tuple[tuple[Reference, Platform], ...], sink: Sink, *, keep_going: bool
) -> list[Error]:
    """Warm the images side by side; what failed, in their order."""
    with ThreadPoolExecutor(_IMAGES_AT_ONCE, "image") as pool:
        pending = [pool.submit(warmer.warm, reference, platform) for reference, platform in wanted]
        if not keep_going:
            wait(pending, return_when=FIRST_EXCEPTION)
            for future in pending:
                future.cancel()
    failures = []
    for (reference, _), future in zip(wanted, pending, strict=True):
        error = None if future.cancelled() else future.exception()
        if error is not None and not isinstance(error, Error):
            raise error
        if error is not None:
            failures.append(error)
            sink(Warned(message=f"{reference} is not warmed: {error.message}"))
    return failures


def _images_of(
    dockerfile: str, request: WarmRequest, platforms: tuple[Platform, ...], sink: Sink
) -> Iterator[tuple[Reference, Platform]]:
    """The images that any stage of a Dockerfile (a path or a URL) builds on or copies from."""
    spec = BuildSpec(context=".", dockerfile=dockerfile)
    with tempfile.TemporaryDirectory() as scratch:
        parsed = read_dockerfile(spec, os.getcwd(), lambda url: download(url, scratch, sink).path).parsed
    for stage in parsed.stages:
        plan = plan_build(
            parsed,
            PlanRequest(
                target=str(stage.index),
                build_args=request.build_args,
                platforms=platforms,
                contexts=NamedContexts.of({}),
            ),
        )
        for reference, platform in plan.images():
            yield Reference.parse(reference), platform


class _Warmer:
    def __init__(
        self,
        folder: WarmedImages,
        client: RegistryClient,
        blobs: ThreadPoolExecutor,
        sink: Sink,
        *,
        force: bool,
    ) -> None:
        self._folder = folder
        self._client = client
        self._blobs = blobs
        self._sink = sink
        self._force = force

    def warm(self, reference: Reference, platform: Platform) -> None:
        """Have one image in the folder, unless it is there, fresh and still what its name stands for."""
        try:
            with self._folder.warming(reference, platform):
                named = self._client.head_manifest(reference)
                known = None if self._force else self._folder.find(reference, platform)
                if known and named and known.named == named.digest and self._folder.holds(known):
                    self._sink(Noted(message=f"{reference} is in {self._folder.folder} already"))
                    return
                pinned = reference.with_digest(named.digest) if named else reference
                self._fetch(reference, pinned, platform)
        except OSError as error:
            raise UnfitError(f"cannot write to {self._folder.folder}: {error.strerror}") from error

    def _fetch(self, reference: Reference, pinned: Reference, platform: Platform) -> None:
        started = time.monotonic()
        self._sink(PullStarted(reference=str(reference)))
        found = resolve(self._client, pinned, platform)
        size = self._bring(pinned, found)
        named = pinned.digest or found.descriptor.digest
        self._folder.put(reference, platform, named=named, manifest=found.descriptor)
        manifest = single_manifest(found.manifest_bytes, str(found.reference))
        self._sink(
            PullFinished(
                reference=str(reference),
                digest=found.descriptor.digest,
                layers=len(manifest.layers),
                size=size,
                seconds=time.monotonic() - started,
            )
        )

    def _bring(self, reference: Reference, found: ResolvedImage) -> int:
        """Have the image's blobs in the folder; the sum of its layers' sizes in bytes."""
        manifest = single_manifest(found.manifest_bytes, str(found.reference))
        pending = [self._blobs.submit(self._bring_blob, reference.name, layer) for layer in manifest.layers]
        wait(pending, return_when=FIRST_EXCEPTION)
        for future in pending:
            future.cancel()
        for future in pending:
            if not future.cancelled():
                future.result()
        self._folder.put_bytes(manifest.config, found.config_bytes)
        self._folder.put_bytes(found.descriptor, found.manifest_bytes)
        return sum(layer.size for layer in manifest.layers)

    def _bring_blob(self, repository: str, blob: Descriptor) -> None:
        self._folder.put_blob(blob, lambda: self._client.open_blob(repository, blob))
