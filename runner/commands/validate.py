"""`krunner validate`: every fault of a file and of the Dockerfiles it names."""

from __future__ import annotations

import click

from runner.commands.options import Invocation, planned_run, with_debug, with_file
from runner.model import Overrides


@click.command("validate")
@with_file
@with_debug
@click.pass_obj
def command(invocation: Invocation, /, file: str, settings: tuple[str, ...]) -> None:
    """Check FILE and the Dockerfiles it names, and report every fault with its line. Builds nothing."""
    count = len(planned_run(file, invocation, Overrides(settings=settings)).images)
    print(f"{file}: {count} {'image' if count == 1 else 'images'}, no faults")
