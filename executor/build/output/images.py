"""From the last stages' states to what is handed out: configurations, manifests, and an index of several."""

from __future__ import annotations

from collections.abc import Sequence

from executor.build.bases.bases import BaseImages
from executor.build.plan.buildargs import is_set
from executor.build.plan.buildplan import BuildPlan, ImageBase, StageBase, StagePlan
from executor.build.state.clock import Clock, dated
from executor.build.state.stagestate import StageState
from executor.dataclass import dataclass, replace
from executor.errors import ImageError, UsageError
from executor.events import ImageBuilt, Sink
from executor.image.annotations import Annotations
from executor.image.config import ImageConfig
from executor.image.descriptor import Descriptor
from executor.image.formats import DOCKER, format_of
from executor.image.layer import Layer
from executor.image.layout import index_bytes
from executor.image.manifest import Index, Manifest
from executor.image.platform import Platform
from executor.spec import BuildResult, BuildSpec, PlatformResult
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


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltImage:
    """What a build hands out: an image, or an index of one for each platform.

    `root` describes `document`; its annotations are for what points at it.
    """

    root: Descriptor
    document: bytes
    images: tuple[Assembled, ...]

    @property
    def is_index(self) -> bool:
        """False when it is the one image itself."""
        return self.root.digest != self.images[0].manifest.digest

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers of all images, each once."""
        return tuple({layer.descriptor.digest: layer for image in self.images for layer in image.layers}.values())

    @property
    def size(self) -> int:
        """The sum of their compressed sizes in bytes."""
        return sum(layer.descriptor.size for layer in self.layers)


def assemble(
    state: StageState, spec: BuildSpec, platform: Platform | None, annotations: Annotations, clock: Clock
) -> Assembled:
    """The image that a stage's last state makes, in the media types of `image_format`; not yet in the store.

    `platform` is the one that was asked for, None for the base's. Raises ImageError for a layer of the base that
    has no name in these types.
    """
    written = format_of(spec.output.image_format)
    config = _config(state, spec, platform, clock)
    config_bytes = config.to_bytes()
    config_descriptor = Descriptor.of(written.config, config_bytes)
    layers = tuple(replace(layer, descriptor=written.layer(layer.descriptor)) for layer in state.layers)
    normal = (platform or config.platform).normalized()
    manifest = Manifest(
        media_type=written.manifest,
        config=config_descriptor,
        layers=tuple(layer.descriptor for layer in layers),
        annotations=annotations.on("manifest", normal),
    )
    manifest_bytes = manifest.to_bytes()
    descriptor = Descriptor.of(manifest.media_type, manifest_bytes)
    return Assembled(
        manifest=replace(descriptor, platform=normal, annotations=annotations.on("manifest-descriptor", normal)),
        manifest_bytes=manifest_bytes,
        config_descriptor=config_descriptor,
        config_bytes=config_bytes,
        config=config,
        layers=layers,
    )


def store_image(image: Assembled, store: Store, sink: Sink) -> None:
    """Write the image's configuration and manifest to the store, with the origin of its layers."""
    store.blobs.put(image.config_bytes)
    digest = store.blobs.put(image.manifest_bytes)
    store.sources.put(digest, {layer.descriptor.digest: layer.source for layer in image.layers if layer.source})
    sink(ImageBuilt(digest=digest, size=image.size, layers=len(image.layers)))


def combine(
    images: Sequence[Assembled], spec: BuildSpec, annotations: Annotations, store: Store, sink: Sink
) -> BuiltImage:
    """What the images of a build come to: an index in the store when one was asked for."""
    if not wants_index(spec, len(images)):
        (image,) = images
        return BuiltImage(
            root=replace(image.manifest, platform=None), document=image.manifest_bytes, images=(image,)
        )
    index = Index(
        manifests=tuple(image.manifest for image in images),
        media_type=format_of(spec.output.image_format).index,
        annotations=annotations.on("index"),
    )
    document = index_bytes(index)
    store.blobs.put(document)
    root = replace(Descriptor.of(index.media_type, document), annotations=annotations.on("index-descriptor"))
    built = BuiltImage(root=root, document=document, images=tuple(images))
    sink(ImageBuilt(digest=root.digest, size=built.size, layers=len(built.layers)))
    return built


def wants_index(spec: BuildSpec, platforms: int) -> bool:
    """Whether the result is an index: of several platforms always, of one on request."""
    return platforms > 1 or is_set(spec.build_args, "BUILDKIT_MULTI_PLATFORM")


def check_outputs(spec: BuildSpec, annotations: Annotations, platforms: Sequence[Platform]) -> None:
    """Raise UsageError for what cannot be written for these platforms, before anything is built."""
    several = wants_index(spec, len(platforms))
    if several and spec.output.tar_path:
        raise UsageError(
            "an archive holds one image, not an index of platforms",
            hint="write an OCI layout (--oci-layout-path), or name one platform",
        )
    if not several and (annotations.on("index") or annotations.on("index-descriptor")):
        raise UsageError(
            "annotations of an index need several platforms", hint="name them with --platform, or use manifest:"
        )
    foreign = [str(named) for named in annotations.platforms() if named not in platforms]
    if foreign:
        raise UsageError(f"annotations are for {', '.join(foreign)}, which is not built")
    if annotations.rows and spec.output.image_format == "docker":
        raise UsageError("Docker's manifests have no annotations", hint="build an OCI image: --image-format=oci")


def check_bases(plan: BuildPlan, bases: BaseImages, spec: BuildSpec) -> None:
    """Raise ImageError for an image to build on that has a layer without a name in `image_format`.

    It is what `assemble` would say at the end. Raises what resolving the images raises.
    """
    written = format_of(spec.output.image_format)
    for target in plan.targets if written is DOCKER else ():
        planned: StagePlan | None = target
        while planned and isinstance(planned.base, StageBase):
            planned = plan.stage(planned.base.number)
        if planned and isinstance(planned.base, ImageBase):
            for layer in bases.get(planned.base.reference, planned.platform).layers:
                try:
                    written.layer(layer.descriptor)
                except ImageError as error:
                    raise ImageError(f"cannot build on {planned.base}: {error.message}", hint=error.hint) from None


def result_of(image: BuiltImage, spec: BuildSpec) -> BuildResult:
    """The facts of an image that is ready to be handed out; times, steps and pushes are the caller's."""
    manifests = tuple(
        PlatformResult(
            platform=str(each.config.platform),
            digest=each.manifest.digest,
            config_digest=each.config_descriptor.digest,
            size=each.size,
        )
        for each in image.images
    )
    return BuildResult(
        digest=image.root.digest,
        descriptor=image.root.to_json(),
        config_digest="" if image.is_index else manifests[0].config_digest,
        size=image.size,
        platform=",".join(each.platform for each in manifests),
        driver="",
        seconds=0.0,
        destinations=spec.output.destinations,
        manifests=manifests,
    )


def _config(state: StageState, spec: BuildSpec, platform: Platform | None, clock: Clock) -> ImageConfig:
    labels = {**state.config.labels, **spec.labels}
    history = dated(state.image.history)
    config = replace(
        state.image,
        created=clock.created(history),
        history=history,
        config=replace(state.config, labels=labels),
    )
    return replace(config, platform=_platform(config.platform, platform)) if platform else config


def _platform(base: Platform, asked: Platform) -> Platform:
    """The platform that was asked for; a variant that only the base names is kept when the rest is the same."""
    same = (base.os, base.architecture) == (asked.os, asked.architecture)
    return replace(asked, variant=base.variant) if same and not asked.variant else asked
