"""The build as data, before anything is read or run: which stages, on which bases, in which order.

Pure: neither disk nor network. What only a base image can tell (its ONBUILD triggers, its PATH) is not here; a
trigger that names a stage makes the engine build that stage when it meets it. `planner.py` makes it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeAlias

from executor.dataclass import dataclass
from executor.dockerfile.instructions import Add, Copy, Dockerfile, Mount, Run, Stage, StageInstruction, Workdir
from executor.dockerfile.stages import fault_of_source, source_stage
from executor.errors import NotSupportedError, UsageError, visible, without_passwords
from executor.image.platform import Platform
from executor.image.reference import Reference

_ESCAPES = ("\\", "`")
_LONGEST_NAME = 200
_LONGEST_BEGINNING = 60
_NUMERIC_OWNER = re.compile(r"\d+(:\d+)?")


@dataclass(frozen=True, slots=True)
class ScratchBase:
    """FROM scratch: no layers, an empty configuration."""

    def __str__(self) -> str:
        return "scratch"


@dataclass(frozen=True, slots=True)
class StageBase:
    """FROM an earlier stage of the same file; `number` is that of its plan."""

    number: int

    def __str__(self) -> str:
        return f"stage {self.number}"


@dataclass(frozen=True, slots=True)
class ImageBase:
    """FROM an image, or the image that a COPY --from names."""

    reference: str

    def __str__(self) -> str:
        return self.reference


@dataclass(frozen=True, slots=True)
class ContextBase:
    """The files of a named build context."""

    name: str

    def __str__(self) -> str:
        return f"build context {self.name}"


Base: TypeAlias = ScratchBase | StageBase | ImageBase | ContextBase
"""What a stage builds on, or takes files from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StagePlan:
    """A stage that a target needs, for one platform or for several that it serves alike.

    `number` is the stage's index in the file, plus the count of stages for each platform before this one's.
    `platform` is what it runs on, `target` what TARGETPLATFORM says. `variables` are what FROM and ARG can see;
    `sources` what its instructions take files from, in order of first use. `prelude` fills the root of a stage
    that begins with the files of a named context; `replaced` is one whose name such a context has.
    """

    number: int
    stage: Stage
    base: Base
    platform: Platform
    target: Platform
    variables: Mapping[str, str]
    sources: tuple[Base, ...]
    needs_root: bool
    prelude: Copy | None = None
    replaced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildPlan:
    """The stages to build, dependencies first, and the `targets`, which become the images: one a platform.

    `shared` maps the numbers of stages that another platform's serves to that one's. `context` tells what a name
    stands for that is no stage's.
    """

    dockerfile: Dockerfile
    stages: tuple[StagePlan, ...]
    targets: tuple[StagePlan, ...]
    shared: Mapping[int, int]
    context: Callable[[str], Base | None]

    @property
    def escape(self) -> str:
        """The Dockerfile's escape character."""
        return self.dockerfile.directives.escape

    def stage(self, number: int) -> StagePlan | None:
        """The planned stage of that number, None when no target needs it."""
        return next((planned for planned in self.stages if planned.number == number), None)

    def reaches_image(self, planned: StagePlan) -> bool:
        """Whether the stage's layers become layers of an image."""
        for target in self.targets:
            wanted: StagePlan | None = target
            while wanted is not None:
                if wanted.number == planned.number:
                    return True
                wanted = self.stage(wanted.base.number) if isinstance(wanted.base, StageBase) else None
        return False

    def is_linked(self, planned: StagePlan) -> bool:
        """Whether all files of a stage come by COPY --link and ADD --link, and no other stage looks at them.

        Then each step makes its layer without what lies below, and the base is not even downloaded.
        """
        steps = [step for step in planned.stage.instructions if isinstance(step, Run | Copy | Add | Workdir)]
        looked_at = any(StageBase(planned.number) in (other.base, *other.sources) for other in self.stages)
        return not (planned.prelude or looked_at) and all(map(_is_independent, steps))

    def cache_sources(self) -> frozenset[Base]:
        """What the cache mounts of RUNs begin with."""
        return frozenset(
            self.source_of(reader, planned)
            for planned in self.stages
            for step in planned.stage.instructions
            for reader in readers_of(step)
            if isinstance(reader, Mount) and reader.type == "cache"
        )

    def images(self) -> tuple[tuple[str, Platform], ...]:
        """Every image that is needed, with its platform, in order of first use."""
        wanted: dict[tuple[str, Platform], None] = {}
        for planned in self.stages:
            used = [(planned.base, planned.platform), *((source, planned.target) for source in planned.sources)]
            for base, platform in used:
                if isinstance(base, ImageBase):
                    wanted[base.reference, platform] = None
        return tuple(wanted)

    def source_of(self, reader: Copy | Mount, planned: StagePlan) -> Base:
        """What the `from` of `reader` means in `planned`: an earlier stage, a named context, else an image.

        Raises InvalidFileError for a stage that comes later, and for a name that cannot be an image's.
        """
        if planned.prelude == reader:
            return planned.base
        return source_of(self.dockerfile, reader, planned.stage, self._numbers(planned), self.context)

    def sources_of(self, step: StageInstruction, planned: StagePlan) -> tuple[Base, ...]:
        """The stages, images and named contexts that a step reads from. Raises as `source_of` does."""
        return tuple(self.source_of(reader, planned) for reader in readers_of(step))

    def _numbers(self, planned: StagePlan) -> Callable[[int], int]:
        first = planned.number - planned.stage.index
        return lambda index: self.shared.get(first + index, first + index)


def _is_independent(step: StageInstruction) -> bool:
    """Whether a step gives the same files upon whatever base: names of owners are looked up there."""
    if not isinstance(step, Copy | Add) or not step.link or step.chmod:
        return False
    return not step.chown or _NUMERIC_OWNER.fullmatch(step.chown) is not None


def source_of(
    dockerfile: Dockerfile,
    reader: Copy | Mount,
    stage: Stage,
    number: Callable[[int], int],
    context: Callable[[str], Base | None],
) -> Base:
    """See `BuildPlan.source_of`; `number` is that of the plan of the stage with an index."""
    name = source_name(reader)
    found = source_stage(dockerfile, name, stage, reader.location, numbers=isinstance(reader, Copy))
    if found:
        return StageBase(number(found.index))
    try:
        return context(name) or ImageBase(str(Reference.parse(name)))
    except UsageError as error:
        raise fault_of_source(stage, reader.location, name, error.message, error.hint) from error


def readers_of(instruction: StageInstruction) -> tuple[Copy | Mount, ...]:
    """The parts of an instruction that take files from a stage, an image or a named context."""
    readers: tuple[Copy | Mount, ...] = ()
    if isinstance(instruction, Copy):
        readers = (instruction,)
    elif isinstance(instruction, Run):
        readers = instruction.mounts
    return tuple(reader for reader in readers if source_name(reader))


def source_name(reader: Copy | Mount) -> str:
    """The `from` of a COPY or a mount, '' when its files come from elsewhere."""
    if isinstance(reader, Copy):
        return reader.from_
    name = (reader.get("from") or "") if reader.type in ("bind", "cache") else ""
    return "" if name == "scratch" else name


def render(plan: BuildPlan) -> str:
    """The plan as stable text, for people and for golden tests."""
    lines: list[str] = []
    for planned in plan.stages:
        name = f" ({planned.stage.name})" if planned.stage.name else ""
        root = "" if planned.needs_root else ", no root filesystem"
        if planned.needs_root and plan.is_linked(planned):
            root = ", without the base's files"
        lines.append(f"stage {planned.number}{name} from {planned.base} for {planned.platform}{root}")
        lines += [f"  {on_one_line(instruction.source)}" for instruction in planned.stage.instructions]
    return "\n".join(lines) + "\n"


def on_one_line(source: str) -> str:
    """What a step is called in messages: its instruction without passwords and comments, and not too long.

    What a terminal would obey in it is written out.
    """
    words: list[str] = []
    rest = without_passwords(source).split("\n")
    while rest:
        line = rest.pop(0).strip()
        if words and (not line or line.startswith("#")):
            continue
        goes_on = rest and line.endswith(_ESCAPES)
        words.append(line[:-1].rstrip() if goes_on else line)
        if not goes_on:
            break
    text = visible(" ".join(filter(None, words)))
    if len(text) > _LONGEST_NAME:
        return f"{text[: _LONGEST_NAME - 2].rstrip()} …"
    return f"{text} {_beginning(rest)}" if rest else text


def _beginning(document: list[str]) -> str:
    """The first line of a heredoc that says something, as BuildKit shows it."""
    said = (line.strip() for line in document[:-1])
    first = next((line for line in said if line and not line.startswith("#")), "")
    return f"({visible(first[:_LONGEST_BEGINNING].rstrip())}…)" if first else "…"


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
                (
                    any(device.required for device in instruction.devices),
                    "RUN --device=…,required",
                    "commands have Docker's standard devices only",
                ),
            )
        case _:
            return ()
