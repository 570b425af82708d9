"""`krunner plan`: the order of a run, without running it."""

from __future__ import annotations

import os
from functools import partial

import click

from executor.errors import UsageError
from runner.commands.options import (
    Files,
    check_existence,
    overrides_of,
    selected,
    with_debug,
    with_file,
    with_selection,
)
from runner.invocation import Invocation
from runner.planning.explaining import Explaining, ImageReport, as_json, described
from runner.planning.plan import RunPlan, plan
from runner.planning.selection import Selection
from runner.run.earlier import read_earlier, read_keys


@click.command("plan", short_help="Show in which order FILE is built, and why.")
@with_file
@with_selection
@click.option(
    "--print", "as_file", is_flag=True, help="Print the resolved file as YAML: merged, variables filled in."
)
@click.option("--origin", "origins", is_flag=True, help="With --print: show where each value comes from.")
@click.option("--stages", is_flag=True, help="Also show the stages and steps of each image.")
@click.option(
    "--explain", "explains", is_flag=True, help="Look into the caches: show what would be built, and why."
)
@click.option(
    "--report-dir",
    type=click.Path(),
    envvar="KRUNNER_REPORT_DIR",
    default="krunner-report",
    show_default=True,
    help="With --explain: the reports of the run to compare with.",
)
@click.option("--home", type=click.Path(), envvar="KRUNNER_HOME", default="", help="Folder of the image store.")
@click.option("--json", "for_programs", is_flag=True, help="Print the plan as JSON: krunner schema plan.")
@with_debug
@click.pass_obj
def command(
    invocation: Invocation, /, files: Files, selection: Selection, report_dir: str, home: str, **wants: bool
) -> None:
    """Show the order in which the images of FILE are built, and why. Builds nothing."""
    from runner.buildsfile import config
    from runner.buildsfile.printing import printed

    _check(wants)
    check_existence(files)
    resolved = config.resolve(files.paths, os.environ, files.settings, file_format=files.format)
    whole = plan(
        resolved.config(overrides_of(files, home=os.path.abspath(home) if home else "")),
        invocation.executor.base_images,
    )
    run_plan = selected(whole, selection, files, invocation)
    if wants["as_file"]:
        names = {planned.image.name for planned in run_plan.images}
        print(printed(resolved.as_file(names), origins=wants["origins"]), end="")
        return
    reports = _explained(invocation, run_plan, report_dir) if wants["explains"] else None
    if wants["for_programs"]:
        print(as_json(run_plan, reports))
        return
    print(described(reports) if reports else run_plan.describe())
    if wants["stages"]:
        _show_stages(invocation, run_plan)


def _check(wants: dict[str, bool]) -> None:
    if wants["origins"] and not wants["as_file"]:
        raise UsageError("--origin needs --print", hint="write --print --origin")
    if wants["as_file"] and (wants["for_programs"] or wants["explains"] or wants["stages"]):
        raise UsageError(
            "--print cannot be combined with --json, --explain or --stages", hint="leave out the other options"
        )
    if wants["for_programs"] and wants["stages"]:
        raise UsageError("--stages cannot be combined with --json", hint="--json --explain has the steps")


def _explained(invocation: Invocation, run_plan: RunPlan, report_dir: str) -> list[ImageReport]:
    earlier = read_earlier(report_dir) or {}
    inputs = {name: image.inputs for name, image in earlier.items()}
    return Explaining(run_plan, invocation.executor, inputs, partial(read_keys, report_dir)).reports()


def _show_stages(invocation: Invocation, run_plan: RunPlan) -> None:
    for planned in run_plan.images:
        text = invocation.executor.stages(planned.image.build)
        print(f"\n{planned.image.name}\n" + "".join(f"  {line}\n" for line in text.splitlines()), end="")
