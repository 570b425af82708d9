"""From a parsed Dockerfile to the plan of a build: what the target needs, for each platform, as one list.

A stage that two platforms would build alike (FROM --platform=$BUILDPLATFORM, and no ARG that tells them apart) is
in it once. Pure, as the plan is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain

from executor.build.plan.buildplan import (
    Base,
    BuildPlan,
    ContextBase,
    ImageBase,
    ScratchBase,
    StageBase,
    StagePlan,
    readers_of,
    refuse_unsupported,
    source_of,
)
from executor.build.plan.judging import faults_of
from executor.build.plan.namedcontexts import NamedContexts
from executor.dataclass import dataclass, field, replace
from executor.dockerfile.expansion import Values, expand_from
from executor.dockerfile.instructions import Add, Arg, Copy, Dockerfile, From, Onbuild, Run, Stage, Workdir
from executor.dockerfile.marking import fault_in
from executor.dockerfile.stages import find_target, global_variables, stage_by_name
from executor.errors import Diagnostic, Error, InvalidFileError, UsageError
from executor.image.platform import Platform
from executor.image.reference import Reference


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """What to plan. `target` is '' for the last stage; `contexts` are the named ones.

    `unshared` are indexes of stages that each platform has to itself, since their bases have triggers.
    """

    target: str = ""
    build_args: Mapping[str, str] = field(default_factory=dict)
    platforms: tuple[Platform, ...]
    contexts: NamedContexts = field(default_factory=NamedContexts)
    unshared: Collection[int] = ()


def plan_build(dockerfile: Dockerfile, request: PlanRequest) -> BuildPlan:
    """Decide what to build.

    Raises UsageError for an unknown target, InvalidFileError for a FROM or words of a needed stage that cannot be
    understood or stages that need each other, NotSupportedError for a flag in a needed stage that this version
    does not execute.
    """
    wanted = find_target(dockerfile, request.target)
    faults: list[Diagnostic] = []
    plans = [_planned(dockerfile, request, position, wanted, faults) for position in range(len(request.platforms))]
    stages, shared = _merged(plans, {*request.unshared, *_with_triggers(dockerfile, plans)})
    _raise_faults([*faults, *_faults_of_words(dockerfile, stages, request.build_args)])
    by_number = {planned.number: planned for planned in stages}
    numbers = [plan[-1].number for plan in plans]
    return BuildPlan(
        dockerfile=dockerfile,
        stages=tuple(stages),
        targets=tuple(by_number[shared.get(number, number)] for number in numbers),
        shared=shared,
        context=request.contexts.find,
    )


def _faults_of_words(
    dockerfile: Dockerfile, stages: Iterable[StagePlan], build_args: Mapping[str, str]
) -> Iterator[Diagnostic]:
    """Every fault of the words of `stages` that can be told without the base images."""
    values = Values(None, dockerfile.directives.escape)
    needed = {planned.stage.index: planned.stage for planned in stages}
    for stage in needed.values():
        for instruction in stage.instructions:
            yield from faults_of(instruction, values, build_args)


def _raise_faults(faults: Iterable[Diagnostic]) -> None:
    """Raise InvalidFileError with each of `faults` once (platforms share them), in the file's order."""
    found = sorted(dict.fromkeys(faults), key=lambda fault: (fault.location.line, fault.location.column))
    if found:
        raise InvalidFileError(found)


def plan_stage(dockerfile: Dockerfile, request: PlanRequest, number: int) -> Sequence[StagePlan]:
    """The stage of that number, last, and what it needs: for a stage that a trigger alone names.

    Raises InvalidFileError.
    """
    position, index = divmod(number, len(dockerfile.stages))
    faults: list[Diagnostic] = []
    planned = _planned(dockerfile, request, position, dockerfile.stages[index], faults)
    _raise_faults([*faults, *_faults_of_words(dockerfile, planned, request.build_args)])
    return planned


def platform_arguments(target: Platform, stage: str = "") -> dict[str, str]:
    """The TARGET* and BUILD* arguments that BuildKit predefines for FROM lines and for ARG without a default.

    `stage` is the name of the stage to build.
    """
    arguments = {"TARGETSTAGE": stage or "default"}
    for prefix, platform in (("TARGET", target), ("BUILD", Platform.host())):
        arguments[f"{prefix}PLATFORM"] = str(platform)
        arguments[f"{prefix}OS"] = platform.os
        arguments[f"{prefix}OSVERSION"] = ""
        arguments[f"{prefix}ARCH"] = platform.architecture
        arguments[f"{prefix}VARIANT"] = platform.variant
    return arguments


def _planned(
    dockerfile: Dockerfile, request: PlanRequest, position: int, target: Stage, faults: list[Diagnostic]
) -> Sequence[StagePlan]:
    """The stages of one platform; what is wrong with what they build upon and copy from goes to `faults`."""
    platform = request.platforms[position]
    arguments = platform_arguments(platform, request.target or dockerfile.stages[-1].name)
    variables = global_variables(dockerfile, request.build_args, arguments)
    first = position * len(dockerfile.stages)
    planner = _Planner(dockerfile, variables, platform, request.contexts.find, lambda index: first + index, faults)
    planner.visit(target)
    return tuple(planner.planned.values())


@dataclass(slots=True)
class _Planner:
    """Walks the stages for one platform depth first from the target; `planned` fills in build order.

    After a fault it goes on, as if the stage were built upon nothing, to find the others.
    """

    dockerfile: Dockerfile
    variables: Mapping[str, str]
    platform: Platform
    context: Callable[[str], Base | None]
    number: Callable[[int], int]
    faults: list[Diagnostic]
    planned: dict[int, StagePlan] = field(default_factory=dict)

    def visit(self, stage: Stage) -> None:
        if stage.index in self.planned:
            return
        for instruction in stage.instructions:
            refuse_unsupported(instruction)
        replacement = self.context(stage.name) if stage.name else None
        if replacement:
            stage = replace(stage, instructions=())
        written, base = replace(stage.base, platform=""), replacement or ScratchBase()
        with self._collecting():
            written = expand_from(stage.base, self.variables, escape=self.dockerfile.directives.escape)
            base = replacement or self._base(stage, written)
        sources = tuple(dict.fromkeys(self._sources(stage)))
        for source in (base, *sources):
            if isinstance(source, StageBase):
                self.visit(self.dockerfile.stages[source.number - self.number(0)])
        platform = self.platform
        with self._collecting():
            platform = self._stage_platform(stage, written, base)
        prelude = _prelude(stage, base) if isinstance(base, ContextBase) else None
        self.planned[stage.index] = StagePlan(
            number=self.number(stage.index),
            stage=stage,
            base=base,
            platform=platform,
            target=self.platform,
            variables=self.variables,
            sources=sources,
            needs_root=bool(prelude)
            or any(isinstance(step, Run | Copy | Add | Workdir) for step in stage.instructions),
            prelude=prelude,
            replaced=replacement is not None,
        )

    @contextmanager
    def _collecting(self) -> Iterator[None]:
        try:
            yield
        except InvalidFileError as error:
            self.faults += error.diagnostics

    def _base(self, stage: Stage, written: From) -> Base:
        if written.image == "scratch":
            return ScratchBase()
        earlier = stage_by_name(self.dockerfile, written.image, stage.index)
        if earlier:
            return StageBase(self.number(earlier.index))
        try:
            return self.context(written.image) or ImageBase(str(Reference.parse(written.image)))
        except UsageError as error:
            raise _fault(stage, stage.base.image, error.message, error.hint) from error

    def _stage_platform(self, stage: Stage, written: From, base: Base) -> Platform:
        if isinstance(base, StageBase):
            return self.planned[base.number - self.number(0)].platform
        if not written.platform:
            return self.platform
        try:
            platform = Platform.parse(written.platform)
        except Error as error:
            written_flag = f"--platform={stage.base.platform}"
            raise _fault(stage, written_flag, f"{written_flag}: {error.message}", error.hint) from error
        return self.platform if isinstance(base, ScratchBase) else platform  # as BuildKit does: nothing runs there

    def _sources(self, stage: Stage) -> Iterator[Base]:
        for instruction in stage.instructions:
            for reader in readers_of(instruction):
                with self._collecting():
                    yield source_of(self.dockerfile, reader, stage, self.number, self.context)


def _prelude(stage: Stage, base: ContextBase) -> Copy:
    return Copy(
        location=stage.base.location,
        source=f"COPY --from={base.name} / /",
        sources=("/",),
        destination="/",
        from_=base.name,
    )


def _merged(
    plans: Sequence[Sequence[StagePlan]], unshared: Collection[int]
) -> tuple[list[StagePlan], dict[int, int]]:
    """All stages of all platforms, each that serves several once; and which number another stands in for."""
    merged: list[StagePlan] = []
    shared: dict[int, int] = {}
    for plan in plans:
        for planned in plan:
            moved = _renumbered(planned, shared)
            twin = next((other for other in merged if _serves(other, moved, unshared)), None)
            if twin:
                shared[planned.number] = twin.number
            else:
                merged.append(moved)
    return merged, shared


def _with_triggers(dockerfile: Dockerfile, plans: Iterable[Sequence[StagePlan]]) -> Iterator[int]:
    """The indexes of stages upon a stage with ONBUILD, which may declare any argument in them."""
    for planned in chain.from_iterable(plans):
        if isinstance(planned.base, StageBase):
            base = dockerfile.stages[planned.base.number % len(dockerfile.stages)]
            if any(isinstance(step, Onbuild) for step in base.instructions):
                yield planned.stage.index


def _renumbered(planned: StagePlan, shared: Mapping[int, int]) -> StagePlan:
    def moved(base: Base) -> Base:
        return StageBase(shared.get(base.number, base.number)) if isinstance(base, StageBase) else base

    return replace(planned, base=moved(planned.base), sources=tuple(map(moved, planned.sources)))


def _serves(made: StagePlan, wanted: StagePlan, unshared: Collection[int]) -> bool:
    """Whether one stage's result is the other's too."""
    if made.stage.index != wanted.stage.index or wanted.stage.index in unshared:
        return False
    if (made.platform, made.base, made.sources) != (wanted.platform, wanted.base, wanted.sources):
        return False
    if made.target != wanted.target and any(isinstance(source, ImageBase) for source in made.sources):
        return False
    return all(made.variables.get(name) == wanted.variables.get(name) for name in _seen(made))


def _seen(planned: StagePlan) -> Iterator[str]:
    """The arguments that a stage's own instructions declare."""
    for step in planned.stage.instructions:
        if isinstance(step, Arg):
            yield from step.names


def _fault(stage: Stage, text: str, message: str, hint: str) -> InvalidFileError:
    return InvalidFileError([fault_in(stage.base, text, message, hint)])
