"""The order of a run: an image is built after the images of the same file that its Dockerfile builds upon.

An image needs another when a FROM or COPY --from of a stage it uses names one of the other's destinations. Free
images keep the order of the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from executor.errors import Diagnostic, Error, InvalidFileError, UsageError
from executor.spec import BuildSpec
from runner.findings import Findings
from runner.model import ImageSpec, PushMode, RunConfig
from runner.references import normalise


class BaseImages(Protocol):
    """The references of the external images that a Dockerfile's needed stages build upon or copy from.

    Raises executor.errors.Error for a Dockerfile that cannot be read.
    """

    def __call__(self, spec: BuildSpec) -> tuple[str, ...]:
        """They come as full references."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedImage:
    """An image and the names of those that must be built before it."""

    image: ImageSpec
    needs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """The images in the order in which they are built one by one, and when they are pushed."""

    images: tuple[PlannedImage, ...]
    push: PushMode = "each"

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
    return RunPlan(images=tuple(_ordered(config.images, needs)), push=config.push)


def _needs(
    image: ImageSpec, owners: Mapping[str, str], base_images: BaseImages, findings: Findings
) -> tuple[str, ...]:
    """The owners of the image's bases. Its own destination is no need: it names the previous version."""
    build = image.build
    if "://" in build.context:
        return ()
    try:
        bases = base_images(build)
    except InvalidFileError as error:
        findings.extend(error.diagnostics)
        return ()
    except Error as error:
        findings.extend([Diagnostic(error.location or image.location, error.message, hint=error.hint)])
        return ()
    named = {owners.get(_normal(base)) for base in bases} - {image.name}
    return tuple(name for name in dict.fromkeys(owners.values()) if name in named)


def _normal(reference: str) -> str:
    """The reference in normal form; one with a digest names fixed bytes, thus no image of this run."""
    try:
        return normalise(reference)
    except UsageError:
        return reference


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
                f"the images build upon each other in a circle: {' → '.join(circle)}",
                hint="an arrow leads to the image that a FROM or COPY --from needs",
            )
        ]
    )
