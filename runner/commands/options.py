"""What the commands share: the argument FILE, the options of a selection, --debug; the file read and planned."""

from __future__ import annotations

import difflib
import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from executor.errors import UsageError
from runner.executor import Executor
from runner.model import Overrides
from runner.plan import RunPlan, plan
from runner.selection import Selection, Shard

COMMANDS = ("build", "push", "validate", "plan", "prune", "schema", "doctor", "version")


@dataclass(slots=True)
class Invocation:
    """What the commands need to know beside their options; click carries it as the context's object."""

    executor: Executor
    debug: bool = False


def _set_debug(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    context.ensure_object(Invocation).debug = value


def with_debug(command: Callable[..., Any]) -> Callable[..., Any]:
    """The option that shows tracebacks."""
    return click.option(
        "--debug",
        is_flag=True,
        envvar="KRUNNER_DEBUG",
        expose_value=False,
        callback=_set_debug,
        help="Show tracebacks.",
    )(command)


def with_file(command: Callable[..., Any]) -> Callable[..., Any]:
    """The argument FILE and the options that change what is in it."""
    setting = click.option(
        "--set",
        "settings",
        metavar="NAME.KEY=VALUE",
        multiple=True,
        help="A value in place of the file's; NAME may be a pattern.",
    )
    return click.argument("file", metavar="FILE", type=click.Path())(setting(command))


def with_selection(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a Selection, given to `command` as the one value `selection`."""

    @functools.wraps(command)
    def with_selection(
        *args: Any, only: tuple[str, ...], skip: tuple[str, ...], shard: str, **options: Any
    ) -> Any:
        share = Shard.parse(shard) if shard else None
        return command(*args, selection=Selection(only=only, skip=skip, shard=share), **options)

    for option in (
        click.option("--shard", metavar="I/N", default="", help="Part I of N; what is connected stays together."),
        click.option("--skip", metavar="GLOB", multiple=True, help="Not these: who needs them pulls them."),
        click.option("--only", metavar="GLOB", multiple=True, help="Only these images and what they need."),
    ):
        with_selection = option(with_selection)
    return with_selection


def planned_run(file: str, invocation: Invocation, overrides: Overrides) -> RunPlan:
    """The images of `file` (- for stdin) in order. Raises UsageError, and InvalidFileError with all faults."""
    from runner import config

    if file != "-" and not os.path.exists(file):
        alike = difflib.get_close_matches(file, COMMANDS, n=1)
        hint = f"did you mean the command `{alike[0]}`?" if alike else ""
        raise UsageError(f"there is no file {file!r}", hint=hint)
    return plan(config.load(file, os.environ, overrides), invocation.executor.base_images)
