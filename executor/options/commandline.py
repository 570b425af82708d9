"""Commands of click made from tables of flags: help, completion, and every refusal of a command line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

from executor.errors import Error
from executor.options.flags import Flag, FlagValue, Support, normalize


def command_of(
    name: str,
    flags: Sequence[Flag],
    callback: Callable[..., None],
    *,
    purpose: str,
    ending: str = "",
    arguments: Sequence[click.Argument] = (),
) -> click.Command:
    """The command `name`, which calls `callback` with the value of each of `flags` by its field.

    Its help begins with `purpose` and closes with `ending`. Flags may be spelled as pflag has them.
    """
    return _FlagCommand(
        name,
        flags=flags,
        callback=callback,
        params=[*arguments, *(_option(flag) for flag in flags)],
        help=purpose,
        epilog=ending or None,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    )


class _FlagCommand(click.Command):
    def __init__(self, name: str, *, flags: Sequence[Flag], **more: Any) -> None:
        super().__init__(name, **more)
        self._flags = flags

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, normalize(args, self._flags))


def optional_words(name: str) -> click.Argument:
    """Words that are no flags, as many as there are: who takes them refuses what is too much, unquoted."""
    return click.Argument([name], nargs=-1, required=False, metavar=f"[{name.upper()}]")


def run_command(called: click.Command, words: Sequence[str], *, name: str = "") -> None:
    """Run `called`, in its help `name`, with `words`; faults of the command line are told and end the process."""
    try:
        called.main(args=words, prog_name=name or called.name, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except click.Abort:
        sys.exit(130)
    except Error as error:
        print(f"error: {error.describe()}", file=sys.stderr)
        sys.exit(error.exit_code)


def _option(flag: Flag) -> click.Option:
    names = [f"--{name}" for name in (flag.name, *flag.aliases)]
    if flag.short:
        names.insert(0, f"-{flag.short}")
    kinds: dict[str, click.ParamType[Any]] = {"bool": click.BOOL, "number": click.IntRange(min=0)}
    kind = click.Choice(flag.choices) if flag.choices else kinds.get(flag.kind, click.STRING)
    note = "" if flag.support is Support.DONE else f" [{flag.support.value}]"
    return click.Option(
        [*names, flag.field],
        type=kind,
        multiple=flag.kind == "list",
        default=_default(flag),
        envvar=flag.env or None,
        callback=_with_variable if flag.env and flag.kind == "list" else None,
        help=flag.help + note,
        metavar="[=true|false]" if flag.kind == "bool" else None,
        show_default=bool(flag.default) and flag.kind != "list",
    )


def _default(flag: Flag) -> FlagValue | None:
    # click.Choice refuses '' as a default; None stands for it
    return None if flag.choices and not flag.default else flag.default


def _with_variable(context: click.Context, option: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """The values of a list, its variable's last; click itself takes that only when there are no flags."""
    written = context.get_parameter_source(option.name or "") is click.core.ParameterSource.COMMANDLINE
    more = option.resolve_envvar_value(context) if written else None
    return (*value, more) if more else value
