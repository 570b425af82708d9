"""Base images: configuration and layers by reference, from this session's builds or from a registry.

Only manifests and configurations are read here; layers come when something needs their files.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from executor.build.bases.keptimages import KeptImages
from executor.build.bases.layoutimages import import_image, is_layout
from executor.build.bases.warmedbases import WarmedBases
from executor.dataclass import dataclass
from executor.errors import ImageError
from executor.events import PullFinished, PullStarted, Sink, Warned
from executor.image.config import ImageConfig, config_from_bytes
from executor.image.descriptor import Descriptor
from executor.image.digest import Digest
from executor.image.layer import Layer
from executor.image.manifest import Index, parse_manifest, single_manifest
from executor.image.platform import Platform
from executor.image.reference import Reference
from executor.registry.client import RegistryClient
from executor.registry.pull import chosen, resolve
from executor.store import Store

_THREADS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseImage:
    """An image to build on. `digest` is its manifest's; each layer knows a registry that holds it."""

    reference: str
    digest: Digest
    config: ImageConfig
    layers: tuple[Layer, ...]


class BaseImages:
    """Resolves each image once. Threads share it; close it to wait for what is under way."""

    def __init__(
        self,
        store: Store,
        client: RegistryClient,
        local_images: Mapping[str, str],
        sink: Sink,
        *,
        warmed: WarmedBases | None = None,
    ) -> None:
        self._store = store
        self._images = KeptImages(store, client)
        self._local = local_images
        self._sink = sink
        self._warmed = warmed
        self._pool = ThreadPoolExecutor(_THREADS, "pull")
        self._lock = threading.Lock()
        self._wanted: dict[tuple[str, Platform], Future[BaseImage]] = {}

    def prefetch(self, images: Iterable[tuple[str, Platform]]) -> None:
        """Begin to resolve `images`; `get` waits for one of them and raises what went wrong."""
        for reference, platform in images:
            self._future(reference, platform)

    def get(self, reference: str, platform: Platform) -> BaseImage:
        """The image. Raises RegistryError, ImageError or UsageError as the registry client does."""
        return self._future(reference, platform).result()

    def close(self) -> None:
        """Give up what has not begun and wait for the rest."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _future(self, reference: str, platform: Platform) -> Future[BaseImage]:
        with self._lock:
            key = (reference, platform)
            if key not in self._wanted:
                self._wanted[key] = self._pool.submit(self._resolve, reference, platform)
            return self._wanted[key]

    def _resolve(self, reference: str, platform: Platform) -> BaseImage:
        local = self._local.get(reference)
        if local:
            return self._from_store(reference, Digest.parse(local), platform)
        if is_layout(reference):
            return self._from_store(reference, import_image(reference, platform, self._store).digest, platform)
        started = time.monotonic()
        self._sink(PullStarted(reference=reference))
        parsed = Reference.parse(reference)
        found = self._warmed.find(parsed, platform) if self._warmed else None
        if found is None:
            found = resolve(self._images, parsed, platform)
        image = _base_image(
            reference, found.descriptor.digest, found.manifest_bytes, found.config_bytes, {}, parsed.name
        )
        self._sink(
            PullFinished(
                reference=reference,
                digest=image.digest,
                layers=len(image.layers),
                size=sum(layer.descriptor.size for layer in image.layers),
                seconds=time.monotonic() - started,
            )
        )
        return image

    def _from_store(self, reference: str, digest: Digest, platform: Platform) -> BaseImage:
        manifest_bytes = self._store.blobs.read(digest)
        parsed = parse_manifest(manifest_bytes)
        if isinstance(parsed, Index):
            return self._from_store(reference, chosen(parsed, reference, platform).digest, platform)
        config_bytes = self._store.blobs.read(parsed.config.digest)
        found = config_from_bytes(config_bytes).platform
        if not found.serves(platform):
            self._sink(Warned(message=f"{reference} is for {found}, not for {platform} as asked"))
        return _base_image(reference, digest, manifest_bytes, config_bytes, self._store.sources.get(digest), "")


def _base_image(
    reference: str,
    digest: Digest,
    manifest_bytes: bytes,
    config_bytes: bytes,
    sources: Mapping[str, str],
    default_source: str,
) -> BaseImage:
    manifest = single_manifest(manifest_bytes, reference)
    config = config_from_bytes(config_bytes)
    if len(manifest.layers) != len(config.diff_ids):
        raise ImageError(f"{reference} has {len(manifest.layers)} layers but {len(config.diff_ids)} diff IDs")
    layers = tuple(
        Layer(descriptor=_bare(entry), diff_id=diff_id, source=sources.get(entry.digest, default_source))
        for entry, diff_id in zip(manifest.layers, config.diff_ids, strict=True)
    )
    return BaseImage(reference=reference, digest=digest, config=config, layers=layers)


def _bare(entry: Descriptor) -> Descriptor:
    """A layer's descriptor without the annotations that speak of the image it came in."""
    return Descriptor(entry.media_type, entry.digest, entry.size, urls=entry.urls)
