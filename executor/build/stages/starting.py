"""What a stage begins with: the state after FROM, and its instructions, the base's ONBUILD triggers first."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from executor.build.bases.bases import BaseImages
from executor.build.plan.buildplan import BuildPlan, ContextBase, ImageBase, ScratchBase, StageBase, StagePlan
from executor.build.state.stagestate import StageState, child_state, image_state, scratch_state
from executor.dataclass import dataclass, replace
from executor.dockerfile.instructions import StageInstruction
from executor.dockerfile.parser import parse_trigger
from executor.errors import InvalidFileError, StepError


@dataclass(frozen=True, slots=True)
class Start:
    """The state after FROM and the instructions to carry out."""

    state: StageState
    instructions: tuple[StageInstruction, ...]


def start_of(planned: StagePlan, bases: BaseImages, parent: Callable[[int], StageState]) -> Start:
    """How `planned` begins; `parent` gives the last state of the stage of that number.

    Raises what BaseImages.get raises, StepError for a trigger that cannot be read.
    """
    state, triggers = _begin(planned, bases, parent)
    prelude = (planned.prelude,) if planned.prelude else ()
    return Start(state, (*prelude, *_triggered(planned, triggers), *planned.stage.instructions))


def _begin(
    planned: StagePlan, bases: BaseImages, parent: Callable[[int], StageState]
) -> tuple[StageState, tuple[str, ...]]:
    match planned.base:
        case ScratchBase() | ContextBase():
            return scratch_state(planned.platform), ()
        case StageBase(number):
            before = parent(number)
            return child_state(before), before.config.on_build
        case ImageBase(reference):
            image = bases.get(reference, planned.platform)
            state = image_state(image.config, image.layers)
            triggers = image.config.config.on_build
            if planned.replaced:  # they wait for the stages that build on it
                return state.with_config(replace(state.config, on_build=triggers)), ()
            return state, triggers


def _triggered(planned: StagePlan, triggers: tuple[str, ...]) -> Iterator[StageInstruction]:
    for expression in triggers:
        try:
            yield parse_trigger(expression, planned.stage.base.location, "\\")
        except InvalidFileError as error:
            raise StepError(
                f"ONBUILD trigger {expression!r} of the base image cannot be read: {error.message}"
            ) from error


def triggered_for_several(plan: BuildPlan, bases: BaseImages) -> set[int]:
    """The stages, by index, that serve several platforms and turn out to begin with ONBUILD triggers."""
    shared = set(plan.shared.values())
    return {
        planned.stage.index
        for planned in plan.stages
        if planned.number in shared
        and isinstance(planned.base, ImageBase)
        and bases.get(planned.base.reference, planned.platform).config.config.on_build
    }
