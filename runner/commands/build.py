"""`krunner build`, the default command: build the images of a file, push them, report."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, Literal

import click

from executor.errors import UsageError
from executor.spec import RootfsChoice
from runner.commands.options import Invocation, planned_run, with_debug, with_file, with_selection
from runner.model import Overrides
from runner.report.cimarkup import markup_for
from runner.report.console import Console, Paper, Verbosity
from runner.report.folder import ReportFolder
from runner.report.jsonlines import JsonLines
from runner.report.style import wants_colour
from runner.runevents import RunSink, RunStarted, each
from runner.scheduler import RunOptions, Scheduler
from runner.selection import select
from runner.signals import SignalPipe
from runner.workers import ZygotePool

LogFormat = Literal["text", "color", "json"]
_REPORT_DIR = "krunner-report"


@click.command("build")
@with_file
@with_selection
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
@with_debug
@click.pass_obj
def command(
    invocation: Invocation, /, file: str, rootfs: RootfsChoice | None, home: str, report_dir: str, **options: Any
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
        run_plan = select(planned_run(file, invocation, overrides), options.pop("selection"))
        names = tuple(planned.image.name for planned in run_plan.images)
        sink = each(*_reports(report_dir, show.warn), show)  # what is shown is in the reports already
        with SignalPipe() as signals:
            sink(RunStarted(file="<stdin>" if file == "-" else file, images=names, jobs=options["jobs"]))
            return Scheduler(run_plan, pool, signals, sink, RunOptions(**options)).run().exit_code
    finally:
        pool.close()


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
