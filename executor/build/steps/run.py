"""RUN: the command with the environment, the identity and the mounts that BuildKit would give it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from executor.build.plan.buildargs import host_name
from executor.build.plan.buildplan import on_one_line
from executor.build.stages.stage import Stage
from executor.build.state.command import run_command
from executor.build.steps.emulation import explain_foreign
from executor.build.steps.mounts import prepared_mounts
from executor.dockerfile.instructions import Run
from executor.dockerfile.stages import predefined_args
from executor.errors import Error, Location, RunError, StepError
from executor.events import CommandOutput, Warned
from executor.image.platform import Platform
from executor.rootfs.base import RootFs, RunRequest
from executor.rootfs.files.safepath import make_directories, resolve
from executor.rootfs.files.users import resolve_user

_TAIL_LINES = 10


def run(instruction: Run, stage: Stage) -> None:
    """Run the command. Raises RunError with the status and the last lines when it fails.

    Secrets are masked in what it prints.
    """
    state, root = stage.state, stage.root
    argv, scripts = run_command(instruction, state)
    user = resolve_user(root.path, state.config.user)
    output = _Output(stage)
    for device in instruction.devices:
        message = f"the command runs without the device {device.name}: it is not required, and no driver grants it"
        stage.build.sink(Warned(message=message, location=str(instruction.location)))
    with _errors_at(instruction.location), prepared_mounts(instruction, stage) as prepared:
        proxies = proxy_environment(stage.build.spec.build_args)
        environment = {**proxies, **state.environment, **prepared.environment}
        environment.setdefault("HOME", user.home)
        _make_workdir(root, state.cwd, user.identity.uid, user.identity.gid)
        request = RunRequest(
            argv=argv,
            environment=environment,
            cwd=state.cwd,
            identity=user.identity,
            scripts=scripts,
            mounts=prepared.mounts,
            network=instruction.network != "none",
            host_name=host_name(stage.build.spec.build_args),
            give_up=stage.build.give_up,
            location=instruction.location,
        )
        with _foreign_explained(stage.state.image.platform):
            status = root.run(request, output)
    if status:
        raise RunError(
            f"{on_one_line(instruction.source)} ended with status {status}",
            status=status,
            tail=output.tail,
            location=instruction.location,
        )


class _Output:
    """Passes lines on, masked, and keeps the last of them."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.tail: list[str] = []

    def __call__(self, line: str) -> None:
        masked = self._stage.build.mount_supplies.secrets.mask(line)
        plan = self._stage.plan
        self._stage.build.sink(CommandOutput(line=masked, stage=plan.number, platform=str(plan.platform)))
        self.tail.append(masked)
        del self.tail[:-_TAIL_LINES]


@contextmanager
def _foreign_explained(platform: Platform) -> Iterator[None]:
    try:
        yield
    except StepError as error:
        explain_foreign(error, platform)
        raise


@contextmanager
def _errors_at(location: Location) -> Iterator[None]:
    try:
        yield
    except Error as error:
        error.location = error.location or location
        raise


def proxy_environment(build_args: Mapping[str, str]) -> dict[str, str]:
    """The proxy settings given as build arguments: commands see them without an ARG, history and image do not.

    As with BuildKit they come in capitals and in small letters, however they were given.
    """
    given = {name: build_args[name] for name in sorted(predefined_args()) if name in build_args}
    return {form: value for name, value in given.items() for form in (name.upper(), name.lower())} | given


def _make_workdir(root: RootFs, cwd: str, uid: int, gid: int) -> None:
    """A WORKDIR that only the base image's configuration names is made before the command runs, as runc does."""
    if not os.path.isdir(resolve(root.path, cwd)):
        make_directories(root.path, cwd, mode=0o755, uid=uid, gid=gid)
