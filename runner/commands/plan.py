"""`krunner plan`: the order of a run, without running it."""

from __future__ import annotations

import os

import click

from executor.errors import UsageError
from runner.commands.options import (
    Files,
    Invocation,
    check_existence,
    overrides_of,
    selected,
    with_debug,
    with_file,
    with_selection,
)
from runner.plan import RunPlan, plan
from runner.selection import Selection


@click.command("plan")
@with_file
@with_selection
@click.option("--print", "as_file", is_flag=True, help="Show the file as it was understood, as YAML.")
@click.option("--origin", "origins", is_flag=True, help="With --print: where each value comes from.")
@click.option("--stages", is_flag=True, help="Show the stages and steps of each image, too.")
@with_debug
@click.pass_obj
def command(
    invocation: Invocation, /, files: Files, selection: Selection, as_file: bool, origins: bool, stages: bool
) -> None:
    """Show the order in which the images of FILE are built, and why. Builds nothing."""
    from runner import config
    from runner.printing import printed

    if origins and not as_file:
        raise UsageError("--origin is about what --print shows", hint="write --print --origin")
    check_existence(files)
    resolved = config.resolve(files.paths, os.environ, files.settings, file_format=files.format)
    whole = plan(resolved.config(overrides_of(files)), invocation.executor.base_images)
    run_plan = selected(whole, selection, files, invocation)
    if as_file:
        names = {planned.image.name for planned in run_plan.images}
        print(printed(resolved.as_file(names), origins=origins), end="")
        return
    print(run_plan.describe())
    if stages:
        _show_stages(invocation, run_plan)


def _show_stages(invocation: Invocation, run_plan: RunPlan) -> None:
    for planned in run_plan.images:
        text = invocation.executor.stages(planned.image.build)
        print(f"\n{planned.image.name}\n" + "".join(f"  {line}\n" for line in text.splitlines()), end="")
