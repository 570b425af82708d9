"""The images that a build needs, resolved in the file's order; what goes wrong is told with the line that asks."""

from __future__ import annotations

from collections.abc import Iterator

from executor.build.bases.bases import BaseImages
from executor.build.plan.buildplan import BuildPlan, ImageBase, StagePlan, readers_of, source_name
from executor.dockerfile.suggest import did_you_mean
from executor.errors import Error, Location
from executor.image.platform import Platform


def resolve_images(plan: BuildPlan, bases: BaseImages) -> None:
    """Wait for all images of `plan`. Raises what BaseImages.get raises, with place and perhaps the stage meant."""
    for planned in plan.stages:
        for reference, platform, place, written in _images(plan, planned):
            try:
                bases.get(reference, platform)
            except Error as error:
                error.location = error.location or place
                error.hint = _stage_meant(plan, planned, written) or error.hint
                raise


def _images(plan: BuildPlan, planned: StagePlan) -> Iterator[tuple[str, Platform, Location, str]]:
    """Each image of a stage: its reference and platform, who asks for it, and how it is written there."""
    base = planned.stage.base
    if isinstance(planned.base, ImageBase):
        yield planned.base.reference, planned.platform, base.location, base.image
    for instruction in planned.stage.instructions:
        for reader in readers_of(instruction):
            source = plan.source_of(reader, planned)
            if isinstance(source, ImageBase):
                yield source.reference, planned.target, reader.location, source_name(reader)


def _stage_meant(plan: BuildPlan, planned: StagePlan, written: str) -> str:
    """A hint with the stage above whose name is like `written`, which no registry, path or tag is part of."""
    if any(mark in written for mark in "/:@$"):
        return ""
    above = plan.dockerfile.stages[: planned.stage.index]
    return did_you_mean(written, [stage.name for stage in above if stage.name], "the stage ")
