"""The group of krunner's commands. `build` is the default one.

A command's module is imported when it is asked for, and what is slow to import (YAML, JSON Schema, the executor)
waits until the command needs it.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence

import click
from click.shell_completion import CompletionItem

from executor.errors import UsageError
from runner.commands.names import COMMANDS, is_build
from runner.commands.options import check_word
from runner.invocation import Invocation

_EPILOG = """\b
Exit codes:
  0   all built and pushed       70        a bug in krunner
  1   a build failed             75        a temporary failure: safe to run again
  2   usage or an invalid file   130, 143  stopped by SIGINT, SIGTERM
  3   all built, a push failed
  4   the machine is unfit
"""


class _Commands(click.Group):
    """The commands, each loaded when needed. `krunner builds.yaml` and `krunner --jobs 2 builds.yaml` build."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if is_build(args) and args[0] != "build":
            check_word(args)
            args = ["build", *args]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """A command; where there is none, the file of the default one. (With bash, files replace all else.)"""
        return super().shell_complete(ctx, incomplete) or [CompletionItem(incomplete, type="file")]

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"runner.commands.{cmd_name}").command
        return command


def run(words: Sequence[str], invocation: Invocation) -> int:
    """Run the command line `words` and return the exit code. Raises executor.errors.Error."""
    try:
        status = krunner.main(args=words, prog_name="krunner", standalone_mode=False, obj=invocation)
    except click.ClickException as error:
        error.show()
        return UsageError.exit_code
    except click.Abort:
        return 130
    return status if isinstance(status, int) else 0


@click.group(
    cls=_Commands,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(package_name="krunner-images", message="krunner %(version)s")
def krunner() -> None:
    """Build and push a list of container images, described in YAML, without a daemon.

    `krunner builds.yaml` builds the list; `krunner build --help` shows the options.
    """
