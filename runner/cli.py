"""The `krunner` command: finds the command asked for, turns errors into messages and exit codes.

`build` is the default command. A command's module is imported when it is asked for, and what is slow to import
(YAML, JSON Schema, the executor) waits until the command needs it.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

import click
from click.shell_completion import CompletionItem

from executor.errors import Error, InternalError, InvalidFileError, UsageError, machine_faults_explained
from executor.leaving import leave_after
from runner.commands.options import COMMANDS, Invocation, check_word
from runner.executor import INSTALLED, Executor

_EPILOG = """\b
Exit codes:
  0   all built and pushed       70        a bug of ours
  1   a build failed             75        failures that may pass: safe to run again
  2   usage or an invalid file   130, 143  stopped by SIGINT, SIGTERM
  3   all built, a push failed
  4   the machine is unfit
"""


class _Commands(click.Group):
    """The commands, each loaded when needed. `krunner builds.yaml` and `krunner --jobs 2 builds.yaml` build."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own = {*COMMANDS, *ctx.help_option_names, "--version"}
        if args and args[0] not in own:
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


def entry() -> NoReturn:
    """What the command `krunner` calls."""
    leave_after(main)


def main(argv: Sequence[str] | None = None, *, executor: Executor = INSTALLED) -> int:
    """Run the command line `argv` (None: this process's own) and return the exit code."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a TextIO without it is not used
    invocation = Invocation(executor)
    try:
        with machine_faults_explained():
            status = krunner.main(args=argv, prog_name="krunner", standalone_mode=False, obj=invocation)
    except click.ClickException as error:
        error.show()
        return UsageError.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130
    except Error as error:
        return _report(error, debug=invocation.debug)
    except Exception as error:  # noqa: BLE001  # the last border: a bug must not look like a failed build
        bug = InternalError(
            f"unexpected {type(error).__name__}: {error}",
            hint="this is a bug: please report it with the output of the same command and --debug",
        )
        return _report(bug, debug=invocation.debug)
    return status if isinstance(status, int) else 0


def _report(error: Error, *, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    if isinstance(error, InvalidFileError):
        count = len(error.diagnostics)
        print(f"{error.describe()}\n{count} {'fault' if count == 1 else 'faults'} found", file=sys.stderr)
    else:
        print(f"krunner: {error.describe()}", file=sys.stderr)
    return error.exit_code


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


if __name__ == "__main__":
    sys.exit(main())
