"""A RUN as data: its argument vector, the scripts it needs, and its text in the history."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

from executor.build.state.metadata import command_line
from executor.build.state.stagestate import StageState
from executor.dockerfile.heredoc import inline_script, shell_text
from executor.dockerfile.instructions import ExecForm, Run, ShellForm

_SCRIPT_FOLDER = "/dev/pipes"


def run_command(instruction: Run, state: StageState) -> tuple[tuple[str, ...], Mapping[str, bytes]]:
    """The argument vector, and the scripts (path in the root: content) that must be there while it runs.

    A RUN that is only a heredoc runs its body: by itself when it starts with `#!`, else in the stage's shell. Any
    other heredoc is left to the shell, as BuildKit does.
    """
    command = instruction.command
    if isinstance(command, ExecForm):
        return command.argv, {}
    script = inline_script(command)
    if script and script.content.startswith("#!"):
        path = posixpath.join(_SCRIPT_FOLDER, script.name)
        return (path,), {path: script.content.encode("utf-8", "surrogateescape")}
    return command_line(state, ShellForm(shell_text(command))), {}


def run_text(instruction: Run, state: StageState) -> str:
    """RUN as the history shows it: declared ARGs with their values first, as `|2 A=1 B=2 /bin/sh -c …`."""
    argv, _ = run_command(instruction, state)
    args = [f"{name}={state.environment.get(name, value or '')}" for name, value in state.args.items()]
    counted = [f"|{len(args)}", *args] if args else []
    return " ".join(["RUN", *counted, *argv])
