"""The instructions that change only the configuration: pure functions from a state to the next."""

from __future__ import annotations

import json
import posixpath
import re
import signal
from collections.abc import Mapping

from executor.build.state.ports import parse_ports
from executor.build.state.stagestate import StageState, clean_path
from executor.dataclass import replace
from executor.dockerfile.duration import format_duration
from executor.dockerfile.instructions import (
    Cmd,
    Command,
    Entrypoint,
    Env,
    ExecForm,
    Expose,
    Healthcheck,
    Label,
    Maintainer,
    Onbuild,
    Shell,
    Stopsignal,
    User,
    Volume,
)
from executor.errors import StepError
from executor.image import config as image_config

_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")
_REALTIME = frozenset((*(f"RTMIN+{n}" for n in range(1, 16)), *(f"RTMAX-{n}" for n in range(1, 15))))


def with_arg(state: StageState, values: Mapping[str, str | None]) -> StageState:
    """ARG: the values (None: declared without one) become visible; the image does not keep them."""
    known = {name: value for name, value in values.items() if value is not None}
    return replace(state, environment={**state.environment, **known}, args={**state.args, **values})


def arg_text(values: Mapping[str, str | None]) -> str:
    """ARG as the history shows it."""
    return "ARG " + " ".join(name if value is None else f"{name}={value}" for name, value in values.items())


def with_env(state: StageState, instruction: Env) -> StageState:
    """ENV: kept in the image; a name that is there already keeps its place."""
    merged = {**state.config.environment(), **dict(instruction.pairs)}
    config = replace(state.config, env=tuple(f"{name}={value}" for name, value in merged.items()))
    environment = {**state.environment, **dict(instruction.pairs)}
    return replace(state.with_config(config), environment=environment)


def with_label(state: StageState, instruction: Label) -> StageState:
    """LABEL."""
    return state.with_config(replace(state.config, labels={**state.config.labels, **dict(instruction.pairs)}))


def with_user(state: StageState, instruction: User) -> StageState:
    """USER."""
    return state.with_config(replace(state.config, user=instruction.user))


def with_workdir(state: StageState, path: str) -> StageState:
    """WORKDIR, relative to the one before; an absolute path is kept as it is written."""
    place = path if path.startswith("/") else clean_path(posixpath.join(state.cwd, path))
    return state.with_config(replace(state.config, working_dir=place))


def with_volume(state: StageState, instruction: Volume) -> StageState:
    """VOLUME."""
    if not all(instruction.paths):
        raise StepError("VOLUME specified can not be an empty string", location=instruction.location)
    volumes = tuple(dict.fromkeys((*state.config.volumes, *instruction.paths)))
    return state.with_config(replace(state.config, volumes=volumes))


def ports_of(instruction: Expose) -> tuple[str, ...]:
    """`port/protocol` of each port that EXPOSE names. Raises StepError."""
    try:
        return tuple(port for text in instruction.ports for port in parse_ports(text))
    except ValueError as error:
        raise StepError(str(error), location=instruction.location) from error


def with_ports(state: StageState, ports: tuple[str, ...]) -> StageState:
    """EXPOSE."""
    exposed = tuple(dict.fromkeys((*state.config.exposed_ports, *ports)))
    return state.with_config(replace(state.config, exposed_ports=exposed))


def with_cmd(state: StageState, instruction: Cmd) -> StageState:
    """CMD."""
    config = replace(state.config, cmd=command_line(state, instruction.command), args_escaped=True)
    return replace(state.with_config(config), cmd_set=True)


def with_entrypoint(state: StageState, instruction: Entrypoint) -> StageState:
    """ENTRYPOINT: clears a CMD that was inherited, keeps one written in this stage."""
    cmd = state.config.cmd if state.cmd_set else None
    entrypoint = command_line(state, instruction.command)
    return state.with_config(replace(state.config, entrypoint=entrypoint, cmd=cmd))


def with_healthcheck(state: StageState, instruction: Healthcheck) -> StageState:
    """HEALTHCHECK: a shell form becomes CMD-SHELL, so the container's own shell is used."""
    command = instruction.command
    if command is None:
        test: tuple[str, ...] = ("NONE",)
    elif isinstance(command, ExecForm):
        test = ("CMD", *command.argv)
    else:
        test = ("CMD-SHELL", command.text)
    healthcheck = image_config.Healthcheck(
        test=test,
        interval=instruction.interval,
        timeout=instruction.timeout,
        start_period=instruction.start_period,
        start_interval=instruction.start_interval,
        retries=instruction.retries,
    )
    return state.with_config(replace(state.config, healthcheck=healthcheck))


def healthcheck_text(state: StageState) -> str:
    """HEALTHCHECK as the history shows it: what the configuration has now, in Go's notation."""
    check = state.config.healthcheck or image_config.Healthcheck(test=())
    times = {
        "Interval": check.interval,
        "Timeout": check.timeout,
        "StartPeriod": check.start_period,
        "StartInterval": check.start_interval,
    }
    shown = "".join(f" {name}:{format_duration(value)}" for name, value in times.items())
    return f"HEALTHCHECK {{Test:[{' '.join(check.test)}]{shown} Retries:{check.retries}}}"


def is_signal(text: str) -> bool:
    """Whether STOPSIGNAL takes `text`: any number but 0, or a name, with or without SIG."""
    if _NUMBER.fullmatch(text):
        return int(text) != 0
    name = text.upper().removeprefix("SIG")
    return f"SIG{name}" in signal.Signals.__members__ or name in _REALTIME


def with_stop_signal(state: StageState, instruction: Stopsignal) -> StageState:
    """STOPSIGNAL."""
    if not is_signal(instruction.signal):
        raise StepError(f"Invalid signal: {instruction.signal}", location=instruction.location)
    return state.with_config(replace(state.config, stop_signal=instruction.signal))


def with_shell(state: StageState, instruction: Shell) -> StageState:
    """SHELL."""
    return state.with_config(replace(state.config, shell=instruction.argv))


def with_maintainer(state: StageState, instruction: Maintainer) -> StageState:
    """MAINTAINER."""
    return replace(state, image=replace(state.image, author=instruction.author))


def with_onbuild(state: StageState, instruction: Onbuild) -> StageState:
    """ONBUILD: kept for whoever builds FROM this image."""
    return state.with_config(replace(state.config, on_build=(*state.config.on_build, instruction.expression)))


def command_line(state: StageState, command: Command) -> tuple[str, ...]:
    """The argument vector of a command: a shell form runs in the stage's SHELL."""
    return command.argv if isinstance(command, ExecForm) else (*state.shell, command.text)


def quoted(argv: tuple[str, ...]) -> str:
    """An argument vector as the history shows it: `["a" "b"]`."""
    return "[" + " ".join(json.dumps(item, ensure_ascii=False) for item in argv) + "]"
