"""From the last stage's state to an image in the store: configuration, manifest, and the origin of its layers."""

from __future__ import annotations

from dataclasses import dataclass, replace

from executor.build.clock import Clock
from executor.build.state import StageState
from executor.events import ImageBuilt, Sink
from executor.image.annotations import parse_annotations
from executor.image.config import ImageConfig
from executor.image.descriptor import Descriptor
from executor.image.formats import format_of
from executor.image.layer import Layer
from executor.image.manifest import Manifest
from executor.image.platform import Platform
from executor.spec import BuildSpec
from executor.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembled:
    """A complete image. Manifest, configuration and the layers made here are blobs of the store."""

    manifest: Descriptor
    manifest_bytes: bytes
    config_descriptor: Descriptor
    config_bytes: bytes
    config: ImageConfig
    layers: tuple[Layer, ...]

    @property
    def size(self) -> int:
        """The sum of the layers' compressed sizes in bytes."""
        return sum(layer.descriptor.size for layer in self.layers)


def assemble(state: StageState, spec: BuildSpec, store: Store, clock: Clock, sink: Sink) -> Assembled:
    """Write the image's configuration and manifest to the store, in the media types of `image_format`.

    Raises ImageError for a layer of the base that has no name in them.
    """
    written = format_of(spec.output.image_format)
    config = _config(state, spec, clock)
    config_bytes = config.to_bytes()
    config_descriptor = Descriptor.of(written.config, config_bytes)
    layers = tuple(replace(layer, descriptor=written.layer(layer.descriptor)) for layer in state.layers)
    annotations = parse_annotations(spec.annotations)
    manifest = Manifest(
        media_type=written.manifest,
        config=config_descriptor,
        layers=tuple(layer.descriptor for layer in layers),
        annotations=annotations.on("manifest", config.platform.normalized()),
    )
    manifest_bytes = manifest.to_bytes()
    store.blobs.put(config_bytes)
    digest = store.blobs.put(manifest_bytes)
    store.sources.put(digest, {layer.descriptor.digest: layer.source for layer in layers if layer.source})
    image = Assembled(
        manifest=Descriptor(manifest.media_type, digest, len(manifest_bytes)),
        manifest_bytes=manifest_bytes,
        config_descriptor=config_descriptor,
        config_bytes=config_bytes,
        config=config,
        layers=layers,
    )
    sink(ImageBuilt(digest=digest, size=image.size, layers=len(layers)))
    return image


def _config(state: StageState, spec: BuildSpec, clock: Clock) -> ImageConfig:
    labels = {**state.config.labels, **spec.labels}
    config = replace(state.image, created=clock.created(), config=replace(state.config, labels=labels))
    if spec.platforms:
        config = replace(config, platform=_platform(config.platform, Platform.parse(spec.platforms[0])))
    return config


def _platform(base: Platform, asked: Platform) -> Platform:
    """The platform that was asked for; a variant that only the base names is kept when the rest is the same."""
    same = (base.os, base.architecture) == (asked.os, asked.architecture)
    return replace(asked, variant=base.variant) if same and not asked.variant else asked
