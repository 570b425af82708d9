"""`krunner plan`: the order of a run, without running it."""

from __future__ import annotations

import click

from runner.commands.options import (
    Files,
    Invocation,
    overrides_of,
    planned_run,
    with_debug,
    with_file,
    with_selection,
)
from runner.selection import Selection, select


@click.command("plan")
@with_file
@with_selection
@with_debug
@click.pass_obj
def command(invocation: Invocation, /, files: Files, selection: Selection) -> None:
    """Show the order in which the images of FILE are built, and why. Builds nothing."""
    print(select(planned_run(files, invocation, overrides_of(files)), selection).describe())
