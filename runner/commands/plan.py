"""`krunner plan`: the order of a run, without running it."""

from __future__ import annotations

import click

from runner.commands.options import Invocation, planned_run, with_debug, with_file, with_selection
from runner.model import Overrides
from runner.selection import Selection, select


@click.command("plan")
@with_file
@with_selection
@with_debug
@click.pass_obj
def command(invocation: Invocation, /, file: str, settings: tuple[str, ...], selection: Selection) -> None:
    """Show the order in which the images of FILE are built, and why. Builds nothing."""
    print(select(planned_run(file, invocation, Overrides(settings=settings)), selection).describe())
