"""`krunner push --resume`: push what earlier runs built but could not push."""

from __future__ import annotations

import os

import click

from executor.dataclass import replace
from executor.errors import UsageError
from runner.commands.options import with_debug
from runner.commands.reporting import Reporting, with_reporting
from runner.invocation import Invocation
from runner.run.crew import Crew, Patience
from runner.run.pushing import resume
from runner.run.signals import SignalPipe


@click.command("push", short_help="Push what earlier runs built but could not push.")
@click.option(
    "--resume",
    "store",
    metavar="[DIR]",
    is_flag=False,
    flag_value="",
    help="Push what is waiting in the store DIR. Default: $KRUNNER_HOME, or the usual place of the store.",
)
@click.option("--list", "only_list", is_flag=True, help="Show what is waiting, and push nothing.")
@with_reporting
@with_debug
@click.pass_obj
def command(invocation: Invocation, /, store: str | None, only_list: bool, reporting: Reporting) -> int:
    """Push the images that earlier runs built but could not push, or held back.

    They are kept in the store, as OCI layouts, until every destination has them or a newer image replaces them.
    """
    if store is None and not only_list:
        raise UsageError(
            "`krunner push` needs --resume or --list",
            hint="--resume pushes what earlier runs have left in the store, --list shows it; "
            "an archive or a layout is pushed by `executor push`",
        )
    home = _home(store or os.environ.get("KRUNNER_HOME", ""))
    waiting = invocation.executor.waiting_images(home)
    if only_list or not waiting:
        for image in waiting:
            print(
                f"{image.name or image.keep}  {image.digest or 'damaged'}  {' '.join(image.destinations)}".rstrip()
            )
        if not waiting:
            print("nothing is waiting to be pushed")
        return 0
    source = click.get_current_context().get_parameter_source("report_dir")
    if source is click.core.ParameterSource.DEFAULT:  # the run's own reports shall stay
        reporting = replace(reporting, report_dir=os.path.join(reporting.report_dir, "push"))
    pool = invocation.start_workers()
    sink = reporting.sink()
    with SignalPipe() as signals:
        crew = Crew(pool, signals, sink, Patience())
        try:
            return resume(crew, waiting, home, sink).exit_code
        finally:
            crew.close()


def _home(folder: str) -> str:
    """The store whose folder, or whose folder of such images, was named. Raises UsageError when there is none."""
    home = os.path.abspath(folder) if folder else ""
    if home and os.path.basename(home) == "unpushed":
        home = os.path.dirname(home)
    if home and not os.path.isdir(os.path.join(home, "unpushed")):
        raise UsageError(f"{folder} is not a store of krunner", hint="name the folder that KRUNNER_HOME was then")
    return home
