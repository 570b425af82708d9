"""RUN: the argument vector, the environment and the identity of the command, as BuildKit would set them."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Mapping

from executor.build.metadata import command_line
from executor.build.state import StageState
from executor.dockerfile.heredoc import inline_script, shell_text
from executor.dockerfile.instructions import ExecForm, Run, ShellForm
from executor.dockerfile.stages import predefined_args
from executor.errors import RunError
from executor.events import CommandOutput, Sink, Stream
from executor.rootfs.base import RootFs, RunRequest
from executor.rootfs.safepath import make_directories, resolve
from executor.rootfs.users import resolve_user

_TAIL_LINES = 20
_SCRIPT_FOLDER = "/dev/pipes"


def run(instruction: Run, state: StageState, root: RootFs, build_args: Mapping[str, str], sink: Sink) -> None:
    """Run the command. Raises RunError with the status and the last lines when it fails."""
    argv, scripts = run_command(instruction, state)
    user = resolve_user(root.path, state.config.user)
    environment = {**proxy_environment(build_args), **state.environment}
    environment.setdefault("HOME", user.home)
    _make_workdir(root, state.cwd, user.identity.uid, user.identity.gid)
    tail: list[str] = []

    def on_line(stream: Stream, line: str) -> None:
        sink(CommandOutput(stream=stream, line=line))
        tail.append(line)
        del tail[:-_TAIL_LINES]

    request = RunRequest(
        argv=argv,
        environment=environment,
        cwd=state.cwd,
        identity=user.identity,
        scripts=scripts,
        location=instruction.location,
    )
    status = root.run(request, on_line)
    if status:
        shown = "".join(f"\n    {line}" for line in tail)
        raise RunError(
            f"the command {' '.join(argv)!r} ended with status {status}{shown}",
            status=status,
            tail=tail,
            location=instruction.location,
        )


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


def proxy_environment(build_args: Mapping[str, str]) -> dict[str, str]:
    """The proxy settings given as build arguments: commands see them without an ARG, history and image do not."""
    return {name: build_args[name] for name in sorted(predefined_args()) if name in build_args}


def _make_workdir(root: RootFs, cwd: str, uid: int, gid: int) -> None:
    """A WORKDIR that only the base image's configuration names is made before the command runs, as runc does."""
    if not os.path.isdir(resolve(root.path, cwd)):
        make_directories(root.path, cwd, mode=0o755, uid=uid, gid=gid)
