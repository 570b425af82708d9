"""`executor login` and `executor logout`: flags to requests, errors to exit codes. Nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from executor.cli import logging
from executor.events import Sink
from executor.login.request import login_request, named_registry
from executor.login.work import log_in, log_out
from executor.options.buildspec import registry_options
from executor.options.flags import FLAGS, LOGIN_FLAGS, LOGOUT_FLAGS, Flag

if TYPE_CHECKING:
    import click

Name = Literal["login", "logout"]


def main(words: Sequence[str]) -> None:
    """Run the command that the first of `words` names, and exit with its status."""
    from executor.options.commandline import run_command

    name: Name = "logout" if words[0] == "logout" else "login"
    run_command(command(name), words[1:], name=f"executor {name}")


def command(name: Name) -> click.Command:
    """The click command, for `executor` and for `krunner`."""
    from executor.options.commandline import command_of, optional_words

    flags, work, purpose, ending = _COMMANDS[name]

    def run(registry: Sequence[str], **values: Any) -> None:
        with logging(values) as sink:
            print(work(registry, values, sink))

    return command_of(name, flags, run, purpose=purpose, ending=ending, arguments=[optional_words("registry")])


def _login(words: Sequence[str], values: Mapping[str, Any], sink: Sink) -> str:
    options = registry_options({flag.field: flag.default for flag in FLAGS} | dict(values))
    return log_in(login_request(words, values, sink), options, sink, os.environ)


def _logout(words: Sequence[str], _values: Mapping[str, Any], sink: Sink) -> str:
    return log_out(named_registry(words), sink, os.environ)


_WHERE = "They are in $DOCKER_CONFIG/config.json, else ~/.docker/config.json, or with the helper that it names."

_COMMANDS: dict[
    Name, tuple[tuple[Flag, ...], Callable[[Sequence[str], Mapping[str, Any], Sink], str], str, str]
] = {
    "login": (
        LOGIN_FLAGS,
        _login,
        "Log in at a registry, Docker Hub by default. Name and password are checked there, and kept for builds.",
        _WHERE,
    ),
    "logout": (
        LOGOUT_FLAGS,
        _logout,
        "Log out of a registry, Docker Hub by default.",
        _WHERE,
    ),
}
