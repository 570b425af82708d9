"""The order of a run: an image is built after the images of the same file that its Dockerfile builds upon.

An image needs another when a FROM, a COPY --from or a mount of a stage it uses names one of the other's
destinations, when a named context of its is the other, and when its `needs` say so. Free images keep the order of
the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from executor.dataclass import dataclass, field, replace
from executor.errors import Diagnostic, Error, InvalidFileError
from executor.spec import BuildSpec, CacheOptions
from runner.buildsfile.findings import Findings
from runner.model import ImageSpec, PushMode, RunConfig


class BaseImages(Protocol):
    """The references of the external images that a Dockerfile's needed stages build upon or copy from.

    Raises executor.errors.Error for a Dockerfile that cannot be read.
    """

    def __call__(self, spec: BuildSpec) -> tuple[str, ...]:
        """They come as full references."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedImage:
    """An image, those that must be built before it, and those that must have ended before it, however they did."""

    image: ImageSpec
    needs: tuple[str, ...]
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """The images in the order in which they are built one by one, and when they are pushed.

    `groups` are names of several images.
    """

    images: tuple[PlannedImage, ...]
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    push: PushMode = "each"

    def sharing_in(self, folder: str) -> RunPlan:
        """The plan, with a layer cache in `folder` for each family: stages that its images share are built once.

        An image that has a cache of its own keeps that. '' is no folder.
        """
        if not folder:
            return self
        return replace(self, images=tuple(_sharing(planned, folder) for planned in self.images))

    def describe(self) -> str:
        """The order as text, one image a line: number, name, and what it needs."""
        if not self.images:
            return "nothing to build"
        number_width = len(str(len(self.images)))
        name_width = max(len(planned.image.name) for planned in self.images)
        lines = []
        for position, planned in enumerate(self.images, start=1):
            needs = f"needs {', '.join(planned.needs)}" if planned.needs else ""
            lines.append(f"{position:{number_width}} {planned.image.name:{name_width}}  {needs}".rstrip())
        return "\n".join(lines)


def plan(config: RunConfig, base_images: BaseImages) -> RunPlan:
    """Order the images. Raises InvalidFileError: all faults of all Dockerfiles, or images in a circle."""
    owners = {reference: image.name for image in config.images for reference in image.references}
    findings = Findings()
    needs = {image.name: _needs(image, owners, base_images, findings) for image in config.images}
    findings.check()
    return RunPlan(
        images=tuple(in_families(_ordered(config.images, needs))), groups=config.groups, push=config.push
    )


def built_upon(run_plan: RunPlan, planned: PlannedImage, base_images: BaseImages) -> frozenset[str]:
    """The images that `planned` has in it, not those that it only waits for. Raises what `base_images` raises."""
    owners = {reference: other.image.name for other in run_plan.images for reference in other.image.references}
    found = (
        {owners[base] for base in base_images(planned.image.build) if base in owners} if planned.needs else set()
    )
    return frozenset(found - {planned.image.name})


def _sharing(planned: PlannedImage, folder: str) -> PlannedImage:
    image = planned.image
    if not image.family or image.build.cache.enabled:
        return planned
    cache = CacheOptions(enabled=True, repositories=(f"dir:{folder}/{image.family}",), size=0, copy_layers=True)
    return replace(planned, image=replace(image, build=replace(image.build, cache=cache)))


def _needs(
    image: ImageSpec, owners: Mapping[str, str], base_images: BaseImages, findings: Findings
) -> tuple[str, ...]:
    """What the file says, and the owners of the bases. Its own destination is no need but an older version."""
    build = image.build
    named = set(image.needs)
    if build.dockerfile_text is not None or "://" not in build.context:
        try:
            named |= {owners[base] for base in base_images(build) if base in owners}
        except InvalidFileError as error:
            findings.extend(error.diagnostics)
        except Error as error:
            place = error.location or image.location
            findings.extend([Diagnostic(place, error.message, hint=error.hint, excerpt=error.excerpt)])
    named -= {image.name}
    return tuple(name for name in dict.fromkeys(owners.values()) if name in named)


def in_families(images: Iterable[PlannedImage]) -> Iterator[PlannedImage]:
    """Each image after the one of its family before it, so that it finds the stages that both have."""
    latest: dict[str, str] = {}
    for planned in images:
        family, name = planned.image.family, planned.image.name
        yield replace(planned, after=(latest[family],)) if family in latest else planned
        if family:
            latest[family] = name


def _ordered(images: Sequence[ImageSpec], needs: Mapping[str, tuple[str, ...]]) -> Iterator[PlannedImage]:
    waiting = list(images)
    done: set[str] = set()
    while waiting:
        ready = next((image for image in waiting if done.issuperset(needs[image.name])), None)
        if ready is None:
            raise _circle(waiting, needs)
        waiting.remove(ready)
        done.add(ready.name)
        yield PlannedImage(image=ready, needs=needs[ready.name])


def _circle(waiting: Sequence[ImageSpec], needs: Mapping[str, tuple[str, ...]]) -> InvalidFileError:
    """Every waiting image needs a waiting one, so following the needs comes round to where it was."""
    blocked = {image.name for image in waiting}
    chain = [waiting[0].name]
    while chain.count(chain[-1]) == 1:
        chain.append(next(name for name in needs[chain[-1]] if name in blocked))
    circle = chain[chain.index(chain[-1]) :]
    location = next(image.location for image in waiting if image.name == circle[0])
    return InvalidFileError(
        [
            Diagnostic(
                location,
                f"the images depend on each other in a circle: {' → '.join(circle)}",
                hint="an arrow leads to the image that a FROM or COPY --from needs",
            )
        ]
    )
