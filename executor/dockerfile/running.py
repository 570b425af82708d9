"""Instructions that hold a command: RUN, CMD, ENTRYPOINT, HEALTHCHECK; and SHELL."""

from __future__ import annotations

import re

from executor.dockerfile.duration import parse_duration
from executor.dockerfile.flags import Flags, FlagTable, Kind
from executor.dockerfile.instructions import (
    Cmd,
    Command,
    Device,
    Entrypoint,
    ExecForm,
    Healthcheck,
    Mount,
    Run,
    Shell,
    ShellForm,
)
from executor.dockerfile.jsonform import NotStringsError, parse_json_form
from executor.dockerfile.runflags import (
    NETWORKS,
    SECURITIES,
    FlagValueError,
    parse_device,
    parse_mount,
)
from executor.dockerfile.statement import FaultError, Statement
from executor.dockerfile.suggest import did_you_mean, one_of
from executor.dockerfile.tokens import Token
from executor.dockerfile.whitespace import first_word, skip_spaces

RUN_FLAGS: FlagTable = {
    "mount": Kind.TEXTS,
    "network": Kind.TEXT,
    "security": Kind.TEXT,
    "device": Kind.TEXTS,
}
HEALTHCHECK_FLAGS: FlagTable = {
    "interval": Kind.TEXT,
    "timeout": Kind.TEXT,
    "start-period": Kind.TEXT,
    "start-interval": Kind.TEXT,
    "retries": Kind.TEXT,
}
_RETRIES = re.compile(r"\+?[0-9]{1,10}")
_SHORTEST = 10**6  # nanoseconds


def parse_run(statement: Statement, flags: Flags) -> Run:
    """`RUN [flags] command`, in shell form (with heredocs) or as a JSON array."""
    mounts = _mounts(statement, flags)
    devices = _devices(statement, flags)
    _check_choice(statement, flags, "network", NETWORKS)
    _check_choice(statement, flags, "security", SECURITIES)
    command = _command(statement)
    if command == ExecForm(()):
        raise statement.fault("RUN has no command")
    return Run(
        command=command,
        mounts=mounts,
        network=flags.text("network"),
        security=flags.text("security"),
        devices=devices,
        **statement.common,
    )


def parse_cmd(statement: Statement, _flags: Flags) -> Cmd:
    """`CMD command`, in shell form or as a JSON array."""
    return Cmd(command=_command(statement), **statement.common)


def parse_entrypoint(statement: Statement, _flags: Flags) -> Entrypoint:
    """`ENTRYPOINT command`, in shell form or as a JSON array; `[]` unsets it."""
    return Entrypoint(command=_command(statement), **statement.common)


def parse_shell(statement: Statement, _flags: Flags) -> Shell:
    """`SHELL ["program", "argument", …]`."""
    argv = statement.json_form()
    if argv is None:
        raise statement.fault("SHELL requires its arguments in JSON form", 'write SHELL ["/bin/sh", "-c"]')
    if not argv:
        raise statement.fault("SHELL requires at least one argument")
    return Shell(argv=argv, **statement.common)


def parse_healthcheck(statement: Statement, flags: Flags) -> Healthcheck:
    """`HEALTHCHECK [flags] CMD command` or `HEALTHCHECK NONE`."""
    rest = statement.rest
    word = first_word(rest.text, 0)
    kind = Token(word, rest.start, rest.start + len(word))
    at = skip_spaces(rest.text, len(word))
    arguments = Token(rest.text[at:], rest.start + at, rest.end)
    match word.upper():
        case "NONE":
            if arguments.text:
                raise FaultError("HEALTHCHECK NONE takes no arguments", arguments)
            return Healthcheck(command=None, **statement.common)
        case "CMD":
            return _healthcheck(statement, flags, arguments)
        case "":
            raise statement.fault("HEALTHCHECK requires at least one argument", "write CMD command, or NONE")
        case _:
            hint = "write HEALTHCHECK CMD command, or NONE"
            raise FaultError(f"unknown type {word!r} of HEALTHCHECK", kind, hint)


def _healthcheck(statement: Statement, flags: Flags, arguments: Token) -> Healthcheck:
    command = _command_in(arguments)
    if command in (ExecForm(()), ShellForm("")):
        raise statement.fault("HEALTHCHECK CMD has no command")
    return Healthcheck(
        command=command,
        interval=_interval(statement, flags, "interval"),
        timeout=_interval(statement, flags, "timeout"),
        start_period=_interval(statement, flags, "start-period"),
        start_interval=_interval(statement, flags, "start-interval"),
        retries=_retries(statement, flags),
        **statement.common,
    )


def _command(statement: Statement) -> Command:
    command = _command_in(statement.rest)
    if isinstance(command, ShellForm):
        return ShellForm(command.text, statement.documents)
    return command


def _command_in(arguments: Token) -> Command:
    try:
        argv = parse_json_form(arguments.text)
    except NotStringsError as error:
        raise FaultError(str(error), arguments, 'quote each element: ["a", "1"]') from None
    return ShellForm(arguments.text) if argv is None else ExecForm(argv)


def _mounts(statement: Statement, flags: Flags) -> tuple[Mount, ...]:
    mounts: list[Mount] = []
    for token in flags.tokens("mount"):
        try:
            mounts.append(parse_mount(token.text, statement.place(token)))
        except FlagValueError as error:
            statement.report(FaultError(str(error), _part(statement, token, error.part), error.hint))
    return tuple(mounts)


def _part(statement: Statement, token: Token, text: str) -> Token:
    """Where `text` stands in the flag `token`; all of it when it is not there as it is written."""
    at = statement.text.find(text, token.start, token.end) if text else -1
    return token if at < 0 else Token(text, at, at + len(text))


def _devices(statement: Statement, flags: Flags) -> tuple[Device, ...]:
    devices = []
    for token in flags.tokens("device"):
        try:
            devices.append(parse_device(token.text))
        except FlagValueError as error:
            statement.report(FaultError(str(error), token, error.hint))
    return tuple(devices)


def _check_choice(statement: Statement, flags: Flags, name: str, options: tuple[str, ...]) -> None:
    for token in flags.tokens(name):
        if token.text not in options:
            message = f"--{name} is {one_of(options)}, not {token.text!r}"
            statement.report(FaultError(message, token, did_you_mean(token.text, options)))


def _interval(statement: Statement, flags: Flags, name: str) -> int:
    for token in flags.tokens(name):
        try:
            nanoseconds = parse_duration(token.text or "0")
        except ValueError as error:
            statement.report(FaultError(f"--{name}: {error}", token))
            return 0
        if nanoseconds < _SHORTEST and nanoseconds != 0:
            statement.report(FaultError(f"--{name} cannot be less than 1ms", token))
        return nanoseconds
    return 0


def _retries(statement: Statement, flags: Flags) -> int:
    for token in flags.tokens("retries"):
        if token.text and not (_RETRIES.fullmatch(token.text) and int(token.text) < 2**31):
            statement.report(FaultError(f"--retries is a number from 0 on, not {token.text!r}", token))
            return 0
    return int(flags.text("retries") or 0)
