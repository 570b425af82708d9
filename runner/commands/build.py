"""`krunner build`, the default command: build the images of a file, push them, report."""

from __future__ import annotations

import gc
import os
from collections.abc import Mapping
from typing import Any

import click

from executor.dataclass import replace
from executor.errors import UsageError
from executor.sizes import parse_size
from executor.spec import RootfsChoice
from runner.commands.options import (
    Files,
    overrides_of,
    planned_run,
    selected,
    with_debug,
    with_file,
    with_selection,
)
from runner.commands.reporting import Reporting, with_reporting
from runner.invocation import Invocation
from runner.model import PushMode
from runner.run.crew import Patience
from runner.run.earlier import EarlierImage, read_earlier
from runner.run.resuming import Resumption, resumption
from runner.run.scheduler import RunOptions, Scheduler
from runner.run.signals import SignalPipe
from runner.runevents import RunStarted, RunWarned


@click.command("build")
@with_file
@with_selection
@click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    envvar="KRUNNER_JOBS",
    help="How many images to build in parallel. Default: by cores and memory.",
)
@click.option(
    "--resume",
    "resumes",
    is_flag=True,
    help="Continue the run whose reports are in --report-dir: keep what it built and pushed.",
)
@click.option(
    "--fail-fast", is_flag=True, help="Stop at the first failure. Default: build all that does not depend on it."
)
@click.option(
    "--push",
    type=click.Choice(["each", "end", "all-or-nothing"]),
    help="When images are pushed; overrides the file.",
)
@click.option("--no-push", is_flag=True, help="Only build, push nothing.")
@click.option(
    "--rootfs",
    type=click.Choice(["auto", "overlay", "chroot", "in-place"]),
    envvar="KRUNNER_ROOTFS",
    help="How root filesystems are made; overrides the file.",
)
@click.option("--home", type=click.Path(), envvar="KRUNNER_HOME", default="", help="Folder of the image store.")
@click.option(
    "--store-size",
    metavar="SIZE",
    envvar="KRUNNER_STORE_SIZE",
    default="",
    help="Limit the store to SIZE, for example 20GB; 0: no limit. Default: by the free space on its disk.",
)
@click.option(
    "--cache-dir",
    type=click.Path(),
    envvar="KRUNNER_CACHE_DIR",
    default="",
    help="Folder of warmed base images and cached layers. Default for base images: /cache.",
)
@with_reporting
@with_debug
@click.pass_obj
def command(
    invocation: Invocation,
    /,
    files: Files,
    rootfs: RootfsChoice | None,
    home: str,
    reporting: Reporting,
    resumes: bool,
    **options: Any,
) -> int:
    """Build the images of FILE and push them. Images that others depend on come first."""
    store_size, cache_dir = options.pop("store_size"), options.pop("cache_dir")
    size = parse_size(store_size) if store_size else None
    if options.pop("no_push"):
        files = replace(files, settings=(*files.settings, "*.no_push=true"))
    overrides = overrides_of(
        files,
        rootfs=rootfs,
        home=os.path.abspath(home) if home else "",
        cache_dir=os.path.abspath(cache_dir) if cache_dir else "",
        context_excludes=reporting.paths,
    )
    pool = invocation.start_workers()
    run_plan = selected(planned_run(files, invocation, overrides), options.pop("selection"), files, invocation)
    names = tuple(planned.image.name for planned in run_plan.images)
    earlier = _earlier(reporting) if resumes else {}
    sink = reporting.sink()
    if resumes and earlier is None:
        sink(RunWarned(message=f"--resume: there is no result.json in {reporting.report_dir}: all is built"))
    done = resumption(run_plan, earlier, invocation.executor, overrides.home) if earlier else Resumption()
    with SignalPipe() as signals, invocation.executor.store_session(overrides.home, size) as shared:
        drivers = {planned.image.build.rootfs.driver for planned in run_plan.images}
        options["jobs"] = options["jobs"] or invocation.executor.builds_at_once(drivers, overrides.home)
        if "in-place" in drivers and options["jobs"] > 1:
            sink(RunWarned(message="--jobs: one image at a time, as there is one / to build them in"))
            options["jobs"] = 1
        needs = {planned.image.name: planned.needs for planned in run_plan.images}
        sink(RunStarted(file=files.name, images=names, jobs=options["jobs"], needs=needs))
        gc.freeze()  # what was imported
        gc.enable()
        push: PushMode = options.pop("push") or run_plan.push
        run_options = RunOptions(push=push, patience=Patience(tick=reporting.tick), resumption=done, **options)
        return Scheduler(run_plan.sharing_in(shared), pool, signals, sink, run_options).run().exit_code


def _earlier(reporting: Reporting) -> Mapping[str, EarlierImage] | None:
    """What the reports say that this run will replace. Raises UsageError."""
    if not reporting.report_dir:
        raise UsageError(
            "--resume needs the reports of the previous run", hint="name the --report-dir of that run"
        )
    return read_earlier(reporting.report_dir)
