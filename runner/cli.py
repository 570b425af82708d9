"""The `krunner` command: options to values, errors to messages and exit codes. `build` is the default command.

What is slow to import (YAML, JSON Schema, the executor) waits until a command needs it.
"""

from __future__ import annotations

import difflib
import functools
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import click

from executor.errors import Error, InternalError, InvalidFileError, UsageError
from executor.spec import RootfsChoice
from runner.executor import INSTALLED, Executor
from runner.model import Overrides
from runner.plan import RunPlan, plan
from runner.report.cimarkup import markup_for
from runner.report.console import Console, Paper, Verbosity
from runner.report.folder import ReportFolder
from runner.report.jsonlines import JsonLines
from runner.report.style import wants_colour
from runner.runevents import RunSink, RunStarted, each
from runner.scheduler import RunOptions, Scheduler
from runner.selection import Selection, Shard, select
from runner.signals import SignalPipe
from runner.workers import ZygotePool

LogFormat = Literal["text", "color", "json"]
_REPORT_DIR = "krunner-report"
_EPILOG = """\b
Exit codes:
  0   all built and pushed       70        a bug of ours
  1   a build failed             75        failures that may pass: safe to run again
  2   usage or an invalid file   130, 143  stopped by SIGINT, SIGTERM
  3   all built, a push failed
  4   the machine is unfit
"""


@dataclass(slots=True)
class _Invocation:
    """What the commands need to know beside their options; click carries it as the context's object."""

    executor: Executor
    debug: bool = False


class _DefaultToBuild(click.Group):
    """A group for which `krunner builds.yaml` and `krunner --jobs 2 builds.yaml` mean the command `build`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own = {*self.commands, *ctx.help_option_names, "--version"}
        if args and args[0] not in own:
            args = ["build", *args]
        return super().parse_args(ctx, args)


def main(argv: Sequence[str] | None = None, *, executor: Executor = INSTALLED) -> int:
    """Run the command line `argv` (None: this process's own) and return the exit code."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a TextIO without it is not used
    invocation = _Invocation(executor)
    try:
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
    cls=_DefaultToBuild,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(package_name="krunner-images", message="krunner %(version)s")
def krunner() -> None:
    """Build and push a list of container images, described in YAML, without a daemon.

    `krunner builds.yaml` builds the list; `krunner build --help` shows the options.
    """


def _set_debug(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    context.ensure_object(_Invocation).debug = value


def _with_debug(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--debug",
        is_flag=True,
        envvar="KRUNNER_DEBUG",
        expose_value=False,
        callback=_set_debug,
        help="Show tracebacks.",
    )(command)


def _with_file(command: Callable[..., Any]) -> Callable[..., Any]:
    """The argument FILE and the options that change what is in it."""
    setting = click.option(
        "--set",
        "settings",
        metavar="NAME.KEY=VALUE",
        multiple=True,
        help="A value in place of the file's; NAME may be a pattern.",
    )
    return click.argument("file", metavar="FILE", type=click.Path())(setting(command))


def _with_selection(command: Callable[..., Any]) -> Callable[..., Any]:
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


@krunner.command()
@_with_file
@_with_selection
@click.option("--jobs", type=click.IntRange(1, 64), default=1, show_default=True, help="Images built at once.")
@click.option("--fail-fast", is_flag=True, help="Stop at the first failure. Default: build what does not need it.")
@click.option(
    "--rootfs",
    type=click.Choice(["auto", "overlay", "chroot", "in-place"]),
    envvar="KRUNNER_ROOTFS",
    help="How root filesystems are made; overrides the file.",
)
@click.option("--home", type=click.Path(), envvar="KRUNNER_HOME", default="", help="Folder of the image store.")
@click.option("--log-format", type=click.Choice(["text", "color", "json"]), help="Default: color on a terminal.")
@click.option(
    "--report-dir",
    type=click.Path(),
    envvar="KRUNNER_REPORT_DIR",
    default=_REPORT_DIR,
    show_default=True,
    help="Folder for junit.xml, result.json, digests.txt, images.env and logs; '' for none.",
)
@click.option("-q", "--quiet", is_flag=True, help="Show failures and the table only.")
@click.option("-v", "--verbose", is_flag=True, help="Show what is done beside the steps.")
@_with_debug
@click.pass_obj
def build(
    invocation: _Invocation, /, file: str, rootfs: RootfsChoice | None, home: str, report_dir: str, **options: Any
) -> int:
    """Build the images of FILE and push them. Images that others build upon come first."""
    show = _sink(**{name: options.pop(name) for name in ("log_format", "quiet", "verbose")})
    paths = ReportFolder.paths_below(report_dir) if report_dir else ()
    overrides = Overrides(
        rootfs=rootfs,
        home=os.path.abspath(home) if home else "",
        context_excludes=paths,
        settings=options.pop("settings"),
    )
    # Forked before anything here could start a thread; it imports the executor while the file is read.
    pool = ZygotePool.start(invocation.executor.load_build)
    try:
        run_plan = select(_planned(file, invocation, overrides), options.pop("selection"))
        names = tuple(planned.image.name for planned in run_plan.images)
        sink = each(*_reports(report_dir, show.warn), show)  # what is shown is in the reports already
        with SignalPipe() as signals:
            sink(RunStarted(file="<stdin>" if file == "-" else file, images=names, jobs=options["jobs"]))
            return Scheduler(run_plan, pool, signals, sink, RunOptions(**options)).run().exit_code
    finally:
        pool.close()


@krunner.command()
@_with_file
@_with_debug
@click.pass_obj
def validate(invocation: _Invocation, /, file: str, settings: tuple[str, ...]) -> None:
    """Check FILE and the Dockerfiles it names, and report every fault with its line. Builds nothing."""
    count = len(_planned(file, invocation, Overrides(settings=settings)).images)
    print(f"{file}: {count} {'image' if count == 1 else 'images'}, no faults")


@krunner.command("plan")
@_with_file
@_with_selection
@_with_debug
@click.pass_obj
def show_plan(invocation: _Invocation, /, file: str, settings: tuple[str, ...], selection: Selection) -> None:
    """Show the order in which the images of FILE are built, and why. Builds nothing."""
    print(select(_planned(file, invocation, Overrides(settings=settings)), selection).describe())


@krunner.command("schema")
@click.argument("name", type=click.Choice(["builds", "result"]), default="builds")
def show_schema(name: Literal["builds", "result"]) -> None:
    """Print the JSON schema of the builds file, for editors and other programs, or of the report result.json."""
    from runner import schema

    print(schema.text(name), end="")


@krunner.command("version")
def show_version() -> None:
    """Print the version."""
    from importlib.metadata import version

    print(f"krunner {version('krunner-images')}")


def _planned(file: str, invocation: _Invocation, overrides: Overrides) -> RunPlan:
    from runner import config

    if file != "-" and not os.path.exists(file):
        alike = difflib.get_close_matches(file, krunner.commands, n=1)
        hint = f"did you mean the command `{alike[0]}`?" if alike else ""
        raise UsageError(f"there is no file {file!r}", hint=hint)
    return plan(config.load(file, os.environ, overrides), invocation.executor.base_images)


def _reports(report_dir: str, warn: Callable[[str], None]) -> Iterator[RunSink]:
    """The sink that writes reports. Without `--report-dir` a place that cannot be written is no reason to stop."""
    if not report_dir:
        return
    try:
        yield ReportFolder.create(report_dir, warn)
    except UsageError as error:
        source = click.get_current_context().get_parameter_source("report_dir")
        if source is not click.core.ParameterSource.DEFAULT:
            raise
        warn(error.message)


def _sink(log_format: LogFormat | None, *, quiet: bool, verbose: bool) -> Console | JsonLines:
    if quiet and verbose:
        raise UsageError("-q and -v contradict each other", hint="use one of them")
    if log_format == "json":
        return JsonLines(sys.stderr, sys.stdout)
    verbosity: Verbosity = "quiet" if quiet else "verbose" if verbose else "normal"
    log_colour, table_colour = (
        log_format == "color" or (log_format is None and wants_colour(stream, os.environ))
        for stream in (sys.stderr, sys.stdout)
    )
    log = Paper(sys.stderr, colour=log_colour)
    return Console(log, Paper(sys.stdout, colour=table_colour), verbosity=verbosity, markup=markup_for(os.environ))


if __name__ == "__main__":
    sys.exit(main())
