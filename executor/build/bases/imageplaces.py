"""The images that a build needs, resolved in the file's order; what goes wrong is told with the line that asks."""

from __future__ import annotations

from collections.abc import Iterator

from executor.build.bases.bases import BaseImages
from executor.build.plan.buildplan import BuildPlan, ImageBase, StagePlan, readers_of, source_name
from executor.dataclass import dataclass
from executor.dockerfile.instructions import From, StageInstruction
from executor.dockerfile.marking import fault_in
from executor.dockerfile.suggest import nearest
from executor.errors import Diagnostic, Error
from executor.image.platform import Platform


@dataclass(frozen=True, slots=True)
class _Asking:
    """Who asks for an image: an instruction, which names it with the word `written` at `line` or below."""

    instruction: From | StageInstruction
    written: str
    line: int

    def fault(self, message: str) -> Diagnostic:
        """`message` with the place of the word, marked."""
        named = f"from={self.written}"
        text = named if named in self.instruction.source else self.written
        return fault_in(self.instruction, text, message, line=self.line)


def resolve_images(plan: BuildPlan, bases: BaseImages) -> None:
    """Wait for all images of `plan`. Raises what BaseImages.get raises, with place and perhaps the stage meant.

    A registry is asked even for what looks like the name of a stage: it may be that of an image.
    """
    for planned in plan.stages:
        for reference, platform, asking in _images(plan, planned):
            try:
                bases.get(reference, platform)
            except Error as error:
                if error.location is None:
                    fault = asking.fault(error.message)
                    error.location, error.excerpt = fault.location, fault.excerpt
                error.hint = _stage_meant(plan, planned, asking.written) or error.hint
                raise


def _images(plan: BuildPlan, planned: StagePlan) -> Iterator[tuple[str, Platform, _Asking]]:
    """Each image of a stage: its reference and platform, and who asks for it."""
    base = planned.stage.base
    if isinstance(planned.base, ImageBase):
        yield planned.base.reference, planned.platform, _Asking(base, base.image, base.location.line)
    for instruction in planned.stage.instructions:
        for reader in readers_of(instruction):
            source = plan.source_of(reader, planned)
            if isinstance(source, ImageBase):
                asking = _Asking(instruction, source_name(reader), reader.location.line)
                yield source.reference, planned.target, asking


def _stage_meant(plan: BuildPlan, planned: StagePlan, written: str) -> str:
    """A hint with the stage above whose name is like `written`, which no registry, path or tag is part of."""
    if any(mark in written for mark in "/:@$"):
        return ""
    above = plan.dockerfile.stages[: planned.stage.index]
    near = nearest(written.casefold(), [stage.name for stage in above if stage.name])
    return f'did you mean the stage "{near}"?' if near else ""
