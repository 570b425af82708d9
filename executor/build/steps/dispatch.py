"""Carrying out one instruction: the one `match` that every instruction passes through."""

from __future__ import annotations

import os
from typing import assert_never

from executor.build.plan.arguments import declared
from executor.build.plan.buildplan import refuse_unsupported
from executor.build.stages.stage import Stage
from executor.build.state import metadata
from executor.build.state.command import run_text
from executor.build.steps.copystep import add_files, copy_files, copying_text
from executor.build.steps.run import run
from executor.dockerfile.expansion import expand_instruction
from executor.dockerfile.instructions import (
    Add,
    Arg,
    Cmd,
    Copy,
    Entrypoint,
    Env,
    Expose,
    Healthcheck,
    Label,
    Maintainer,
    Onbuild,
    Run,
    Shell,
    StageInstruction,
    Stopsignal,
    User,
    Volume,
    Workdir,
)
from executor.rootfs.files.safepath import make_directories, resolve
from executor.rootfs.files.users import resolve_owner


def execute(stage: Stage, written: StageInstruction) -> None:  # noqa: C901, PLR0912, PLR0915 - one arm each
    """Carry out `written` in `stage`, which then has its new state, history entry and perhaps a layer.

    Raises StepError and its kin with the instruction's place, NotSupportedError for a flag not done yet.
    """
    refuse_unsupported(written)
    instruction = expand_instruction(written, stage.state.environment, escape=stage.build.escape)
    state = stage.state
    match instruction:
        case Run():
            stage.change(instruction, run_text(instruction, state), lambda: run(instruction, stage))
        case Copy():
            stage.change(instruction, copying_text(instruction), lambda: copy_files(instruction, stage))
        case Add():
            stage.change(instruction, copying_text(instruction), lambda: add_files(instruction, stage))
        case Workdir():
            _change_directory(stage, instruction)
        case Env():
            stage.state = metadata.with_env(state, instruction)
            stage.note("ENV " + _pairs(instruction.pairs))
        case Label():
            stage.state = metadata.with_label(state, instruction)
            stage.note("LABEL " + _pairs(instruction.pairs))
        case User():
            stage.state = metadata.with_user(state, instruction)
            stage.note(f"USER {instruction.user}")
        case Volume():
            stage.state = metadata.with_volume(state, instruction)
            stage.note(f"VOLUME [{' '.join(instruction.paths)}]")
        case Expose():
            ports = metadata.ports_of(instruction)
            stage.state = metadata.with_ports(state, ports)
            stage.note(f"EXPOSE [{' '.join(ports)}]")
        case Cmd():
            stage.state = metadata.with_cmd(state, instruction)
            stage.note("CMD " + metadata.quoted(metadata.command_line(state, instruction.command)))
        case Entrypoint():
            stage.state = metadata.with_entrypoint(state, instruction)
            stage.note("ENTRYPOINT " + metadata.quoted(metadata.command_line(state, instruction.command)))
        case Healthcheck():
            stage.state = metadata.with_healthcheck(state, instruction)
            stage.note(metadata.healthcheck_text(stage.state))
        case Stopsignal():
            stage.state = metadata.with_stop_signal(state, instruction)
            stage.note(f"STOPSIGNAL {instruction.signal}")
        case Shell():
            stage.state = metadata.with_shell(state, instruction)
            stage.note(f"SHELL [{' '.join(instruction.argv)}]")
        case Maintainer():
            stage.state = metadata.with_maintainer(state, instruction)
            stage.note(f"MAINTAINER {instruction.author}")
        case Onbuild():
            # BuildKit keeps no history entry of it either
            stage.state = metadata.with_onbuild(state, instruction)
        case Arg():
            _declare_args(stage, instruction)  # not expanded yet: each entry sees those before it
        case _:
            assert_never(instruction)


def _declare_args(stage: Stage, instruction: Arg) -> None:
    values = declared(
        instruction,
        stage.state.environment,
        given=stage.build.spec.build_args,
        inherited=stage.plan.variables,
        escape=stage.build.escape,
    )
    stage.state = metadata.with_arg(stage.state, values)
    stage.note(metadata.arg_text(values))


def _change_directory(stage: Stage, instruction: Workdir) -> None:
    """WORKDIR: a directory that is missing is made, with its parents, and belongs to the stage's USER."""
    stage.state = metadata.with_workdir(stage.state, instruction.path)
    text, path = f"WORKDIR {stage.state.config.working_dir}", stage.state.cwd
    if path == "/":
        stage.note(text)
    else:
        stage.change(instruction, text, lambda: _make_directory(stage, path))


def _make_directory(stage: Stage, path: str) -> None:
    if not os.path.isdir(resolve(stage.root.path, path)):
        uid, gid = resolve_owner(stage.root.path, stage.state.config.user)
        make_directories(stage.root.path, path, mode=0o755, uid=uid, gid=gid)


def _pairs(pairs: tuple[tuple[str, str], ...]) -> str:
    return " ".join(f"{name}={value}" for name, value in pairs)
