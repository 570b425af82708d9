"""The build as data, before anything is read or run: which stages, on which bases, in which order.

Pure: neither disk nor network. What only a base image can tell (its ONBUILD triggers, its PATH) is not here; a
trigger that names a stage makes the engine build that stage when it meets it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from executor.dockerfile.expansion import expand_from
from executor.dockerfile.instructions import (
    Add,
    Copy,
    Dockerfile,
    From,
    Mount,
    Run,
    Stage,
    StageInstruction,
    Workdir,
)
from executor.dockerfile.stages import find_target, global_variables, source_stage, stage_by_name
from executor.errors import Diagnostic, Error, InvalidFileError, NotSupportedError, UsageError
from executor.image.platform import Platform
from executor.image.reference import Reference


@dataclass(frozen=True, slots=True)
class ScratchBase:
    """FROM scratch: no layers, an empty configuration."""

    def __str__(self) -> str:
        return "scratch"


@dataclass(frozen=True, slots=True)
class StageBase:
    """FROM an earlier stage of the same file."""

    index: int

    def __str__(self) -> str:
        return f"stage {self.index}"


@dataclass(frozen=True, slots=True)
class ImageBase:
    """FROM an image, or the image that a COPY --from names."""

    reference: str

    def __str__(self) -> str:
        return self.reference


Base: TypeAlias = ScratchBase | StageBase | ImageBase
Source: TypeAlias = StageBase | ImageBase


@dataclass(frozen=True, slots=True, kw_only=True)
class StagePlan:
    """A stage that the target needs. `sources` are what its instructions copy from, in order of first use."""

    stage: Stage
    base: Base
    platform: Platform
    sources: tuple[Source, ...]
    needs_root: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildPlan:
    """The stages to build, dependencies first, target last. `variables` are what FROM lines and ARGs can see."""

    stages: tuple[StagePlan, ...]
    variables: Mapping[str, str]
    escape: str

    @property
    def target(self) -> StagePlan:
        """The stage that becomes the image."""
        return self.stages[-1]

    def stage(self, index: int) -> StagePlan | None:
        """The planned stage of that number in the file, None when the target does not need it."""
        return next((planned for planned in self.stages if planned.stage.index == index), None)

    def images(self) -> tuple[tuple[str, Platform], ...]:
        """Every image that is needed, with its platform, in order of first use."""
        wanted: dict[tuple[str, Platform], None] = {}
        for planned in self.stages:
            for base in (planned.base, *planned.sources):
                if isinstance(base, ImageBase):
                    wanted[base.reference, planned.platform] = None
        return tuple(wanted)


def plan_build(
    dockerfile: Dockerfile, *, target: str = "", build_args: Mapping[str, str], platform: Platform
) -> BuildPlan:
    """Decide what to build for `target` ('' for the last stage) on `platform`.

    Raises UsageError for an unknown target, InvalidFileError for a FROM that cannot be understood or stages that
    need each other, NotSupportedError for a flag in a needed stage that this version does not execute.
    """
    variables = global_variables(dockerfile, build_args, platform_arguments(platform))
    planner = _Planner(dockerfile, variables, platform)
    planner.visit(find_target(dockerfile, target))
    return BuildPlan(
        stages=tuple(planner.planned.values()), variables=variables, escape=dockerfile.directives.escape
    )


def platform_arguments(target: Platform) -> dict[str, str]:
    """The TARGET* and BUILD* arguments that BuildKit predefines for FROM lines and for ARG without a default."""
    arguments = {}
    for prefix, platform in (("TARGET", target), ("BUILD", Platform.host())):
        arguments[f"{prefix}PLATFORM"] = str(platform)
        arguments[f"{prefix}OS"] = platform.os
        arguments[f"{prefix}ARCH"] = platform.architecture
        arguments[f"{prefix}VARIANT"] = platform.variant
    return arguments


def render(plan: BuildPlan) -> str:
    """The plan as stable text, for people and for golden tests."""
    lines: list[str] = []
    for planned in plan.stages:
        name = f" ({planned.stage.name})" if planned.stage.name else ""
        root = "" if planned.needs_root else ", no root filesystem"
        lines.append(f"stage {planned.stage.index}{name} from {planned.base} for {planned.platform}{root}")
        lines += [f"  {first_line(instruction.source)}" for instruction in planned.stage.instructions]
    return "\n".join(lines) + "\n"


def first_line(source: str) -> str:
    """The instruction on one line: what a step is called in messages."""
    first, _, rest = source.partition("\n")
    return f"{first} …" if rest else first


def source_of(dockerfile: Dockerfile, reader: Copy | Mount, stage: Stage) -> Source:
    """What the `from` of `reader` means in `stage`: an earlier stage by name (COPY: or number), else an image."""
    name = source_name(reader)
    found = source_stage(dockerfile, name, stage, reader.location, numbers=isinstance(reader, Copy))
    if found:
        return StageBase(found.index)
    try:
        return ImageBase(str(Reference.parse(name)))
    except UsageError as error:
        raise InvalidFileError([Diagnostic(reader.location, error.message, hint=error.hint)]) from error


def source_name(reader: Copy | Mount) -> str:
    """The `from` of a COPY or a mount, '' when its files come from elsewhere."""
    if isinstance(reader, Copy):
        return reader.from_
    name = (reader.get("from") or "") if reader.type in ("bind", "cache") else ""
    return "" if name == "scratch" else name


class _Planner:
    """Walks the stages depth first from the target; `planned` fills in build order."""

    def __init__(self, dockerfile: Dockerfile, variables: Mapping[str, str], platform: Platform) -> None:
        self._dockerfile = dockerfile
        self._variables = variables
        self._platform = platform
        self.planned: dict[int, StagePlan] = {}

    def visit(self, stage: Stage) -> None:
        if stage.index in self.planned:
            return
        for instruction in stage.instructions:
            refuse_unsupported(instruction)
        written = expand_from(stage.base, self._variables, escape=self._dockerfile.directives.escape)
        base = self._base(stage, written)
        sources = tuple(dict.fromkeys(self._sources(stage)))
        for source in (base, *sources):
            if isinstance(source, StageBase):
                self.visit(self._dockerfile.stages[source.index])
        needs_root = any(isinstance(step, Run | Copy | Add | Workdir) for step in stage.instructions)
        self.planned[stage.index] = StagePlan(
            stage=stage,
            base=base,
            platform=self._stage_platform(stage, written),
            sources=sources,
            needs_root=needs_root,
        )

    def _base(self, stage: Stage, written: From) -> Base:
        if written.image == "scratch":
            return ScratchBase()
        earlier = stage_by_name(self._dockerfile, written.image, stage.index)
        if earlier:
            return StageBase(earlier.index)
        try:
            return ImageBase(str(Reference.parse(written.image)))
        except UsageError as error:
            raise _fault(stage, error.message, error.hint) from error

    def _stage_platform(self, stage: Stage, written: From) -> Platform:
        if not written.platform:
            return self._platform
        try:
            return Platform.parse(written.platform)
        except Error as error:
            raise _fault(stage, f"--platform={stage.base.platform}: {error.message}", error.hint) from error

    def _sources(self, stage: Stage) -> Iterator[Source]:
        for instruction in stage.instructions:
            readers: tuple[Copy | Mount, ...] = ()
            if isinstance(instruction, Copy):
                readers = (instruction,)
            elif isinstance(instruction, Run):
                readers = instruction.mounts
            yield from (source_of(self._dockerfile, each, stage) for each in readers if source_name(each))


def refuse_unsupported(instruction: StageInstruction) -> None:
    """Raise NotSupportedError for a flag that parses but that no driver can do, rather than ignore it."""
    for written, flag, reason in _unsupported_flags(instruction):
        if written:
            raise NotSupportedError(
                f"{flag} is not supported by the overlay and chroot drivers",
                location=instruction.location,
                hint=f"{reason}: remove the flag, or build this image where a daemon grants it",
            )


def _unsupported_flags(instruction: StageInstruction) -> tuple[tuple[bool, str, str], ...]:
    """Whether a flag is written, its name, and why it cannot be done."""
    match instruction:
        case Run():
            return (
                (
                    instruction.security not in ("", "sandbox"),
                    f"RUN --security={instruction.security}",
                    "commands have the capabilities that Docker gives to a container, and no more",
                ),
                (bool(instruction.devices), "RUN --device", "commands have Docker's standard devices only"),
            )
        case _:
            return ()


def _fault(stage: Stage, message: str, hint: str) -> InvalidFileError:
    return InvalidFileError([Diagnostic(stage.base.location, message, hint=hint, excerpt=stage.base.source)])
