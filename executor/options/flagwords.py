"""Flags of `executor` as words, for those who have a BuildSpec already and want some flags on top of it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import click

from executor.dataclass import fields, is_dataclass, replace
from executor.errors import UsageError
from executor.options.buildspec import spec_from_flags
from executor.options.commandline import command_of
from executor.options.flags import FLAGS, normalize
from executor.spec import BuildSpec


def given_flags(words: Sequence[str]) -> dict[str, Any]:
    """The flags in `words` with their values, by the flag's first name. Raises UsageError for other words."""
    try:
        context = _command().make_context("executor", normalize(words))
    except click.ClickException as error:
        raise UsageError(error.format_message(), hint="docs/flags.md lists the flags of executor") from error
    except click.exceptions.Exit as error:
        raise UsageError("--help is no flag of a build") from error
    written = click.core.ParameterSource.COMMANDLINE
    return {
        flag.name: context.params[flag.field]
        for flag in FLAGS
        if context.get_parameter_source(flag.field) is written
    }


def overlaid(spec: BuildSpec, given: Mapping[str, Any]) -> BuildSpec:
    """`spec` with the flags `given` as well: maps and lists grow, other values are replaced.

    Raises UsageError and NotSupportedError for values that no build can have.
    """
    usual = {parameter.name: parameter.default for parameter in _command().params if parameter.name}
    usual |= {"no_push": True, "destination": spec.output.destinations, "context": spec.context}
    asked = usual | {name.replace("-", "_"): value for name, value in given.items()}
    laid: BuildSpec = _laid(spec, spec_from_flags(usual, {}), spec_from_flags(asked, os.environ))
    return laid


def _command() -> click.Command:
    """What reads the words; it is not run."""
    return command_of("executor", FLAGS, lambda **_values: None, purpose="")


def _laid(base: Any, usual: Any, asked: Any) -> Any:
    """`base` where `asked` is the usual value, else what is asked for."""
    if asked == usual:
        return base
    if is_dataclass(base) and not isinstance(base, type):
        changes = {
            field.name: _laid(getattr(base, field.name), getattr(usual, field.name), getattr(asked, field.name))
            for field in fields(base)
        }
        return replace(base, **changes)
    if isinstance(base, Mapping):
        return {**base, **asked}
    return (*base, *asked) if isinstance(base, tuple) else asked
