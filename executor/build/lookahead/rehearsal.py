"""The words of every stage with the values that they will have, and the files of the context that it names.

What is wrong with them is told before the first step, all of it at once: a mistake in the last line does not cost
the time of those before it. For that the base images' configurations are enough.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from contextlib import suppress

from executor.build.bases.bases import BaseImages
from executor.build.copying.copysource import SourceTree, is_remote
from executor.build.plan.arguments import declared
from executor.build.plan.buildplan import BuildPlan, StagePlan
from executor.build.plan.judging import faults_of
from executor.build.stages.starting import start_of
from executor.build.state import metadata
from executor.build.state.stagestate import StageState, clean_path
from executor.dataclass import dataclass, field, replace
from executor.dockerfile.expansion import Values, expand_instruction
from executor.dockerfile.instructions import Add, Arg, Copy, Env, Onbuild, Run, StageInstruction, Workdir
from executor.dockerfile.marking import fault_in
from executor.dockerfile.wildcard import has_wildcards
from executor.dockerfile.words import WordError
from executor.errors import Diagnostic, Error, FaultyStepsError, StepError


def rehearse(plan: BuildPlan, bases: BaseImages, build_args: Mapping[str, str], files: SourceTree) -> None:
    """Raise FaultyStepsError with everything that is wrong with the stages of `plan`; `files` are the context's.

    A stage that cannot be begun is left out, with those upon it: the build says why.
    """
    rehearsal = _Rehearsal(plan, bases, build_args, files)
    faults: list[Diagnostic] = []
    for planned in plan.stages:
        faults += rehearsal.of_stage(planned)
    if faults:
        raise FaultyStepsError(
            sorted(dict.fromkeys(faults), key=lambda found: (found.location.line, found.location.column))
        )


@dataclass(slots=True)
class _Rehearsal:
    plan: BuildPlan
    bases: BaseImages
    build_args: Mapping[str, str]
    files: SourceTree
    states: dict[int, StageState] = field(default_factory=dict)

    def of_stage(self, planned: StagePlan) -> Iterator[Diagnostic]:
        try:
            start = start_of(planned, self.bases, self.states.__getitem__)
        except (Error, KeyError):
            return
        state = start.state
        for instruction in start.instructions:
            faults = [
                *self.of_words(instruction, state),
                *self.of_files(instruction, state),
                *self.of_mounts(instruction, state),
            ]
            for fault in faults:
                yield fault if instruction in planned.stage.instructions else _in_trigger(fault, instruction)
            if faults and isinstance(instruction, Arg | Env | Workdir):
                return  # what comes behind it cannot be judged
            state = self.after(instruction, state, planned)
        self.states[planned.number] = state

    def of_words(self, instruction: StageInstruction, state: StageState) -> Iterator[Diagnostic]:
        if isinstance(instruction, Arg):
            yield from self.of_defaults(instruction, state)
        else:
            yield from faults_of(instruction, Values(state.environment, self.plan.escape))

    def of_defaults(self, instruction: Arg, state: StageState) -> Iterator[Diagnostic]:
        """Those of an ARG, entry by entry: each default sees the entries before it."""
        for position, entry in enumerate(instruction.entries):
            try:
                before = replace(instruction, entries=instruction.entries[:position])
                seen = metadata.with_arg(state, self.declared(before, state, {}))
            except StepError:
                return
            one = replace(instruction, entries=(entry,))
            yield from faults_of(one, Values(seen.environment, self.plan.escape), self.build_args)

    def of_files(self, instruction: StageInstruction, state: StageState) -> Iterator[Diagnostic]:
        """Sources without wildcards that the context does not have."""
        if not isinstance(instruction, Copy | Add) or (isinstance(instruction, Copy) and instruction.from_):
            return
        values = Values(state.environment, self.plan.escape)
        for written in () if isinstance(instruction, Copy) and instruction.parents else instruction.sources:
            try:
                source = values.one(written) or ""
                if not has_wildcards(source) and not is_remote(source):
                    list(self.files.find(source))
            except StepError as error:
                yield fault_in(instruction, written, error.message, error.hint)
            except (Error, OSError):
                continue  # of a word, which is told already; of the disk, which the step tells

    def of_mounts(self, instruction: StageInstruction, state: StageState) -> Iterator[Diagnostic]:
        """Mounts that would cover the whole root; the WORKDIR decides where `target=.` is."""
        values = Values(state.environment, self.plan.escape)
        for mount in instruction.mounts if isinstance(instruction, Run) else ():
            written = mount.get("target", "dst", "destination")
            with suppress(WordError):
                if written and clean_path(posixpath.join(state.cwd, values.one(written) or "")) == "/":
                    message = f'invalid mount target "{written}": the root itself cannot be covered'
                    hint = "write a WORKDIR above it, or another target" if written == "." else ""
                    yield fault_in(instruction, f"={written}", message, hint, line=mount.location.line)

    def after(self, instruction: StageInstruction, state: StageState, planned: StagePlan) -> StageState:
        """The state with what later words can see of an instruction that has no fault."""
        match instruction:
            case Arg():
                return metadata.with_arg(state, self.declared(instruction, state, planned.variables))
            case Env():
                expanded = expand_instruction(instruction, state.environment, escape=self.plan.escape)
                return metadata.with_env(state, expanded) if isinstance(expanded, Env) else state
            case Onbuild():
                return metadata.with_onbuild(state, instruction)
            case Workdir():
                path = Values(state.environment, self.plan.escape).one(instruction.path)
                return metadata.with_workdir(state, path or "")
            case _:
                return state

    def declared(self, step: Arg, state: StageState, inherited: Mapping[str, str]) -> dict[str, str | None]:
        return declared(
            step, state.environment, given=self.build_args, inherited=inherited, escape=self.plan.escape
        )


def _in_trigger(fault: Diagnostic, trigger: StageInstruction) -> Diagnostic:
    """The fault of an ONBUILD trigger of the base, at the FROM that brings it."""
    message = f"in the base image's ONBUILD trigger {trigger.source!r}: {fault.message}"
    return Diagnostic(trigger.location, message, hint=fault.hint)
