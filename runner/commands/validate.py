"""`krunner validate`: every fault of a file and of the Dockerfiles it names."""

from __future__ import annotations

import click

from runner.commands.options import Files, Invocation, overrides_of, planned_run, with_debug, with_file


@click.command("validate")
@with_file
@with_debug
@click.pass_obj
def command(invocation: Invocation, /, files: Files) -> None:
    """Check FILE and the Dockerfiles it names, and report every fault with its line. Builds nothing."""
    count = len(planned_run(files, invocation, overrides_of(files)).images)
    print(f"{files.name}: {count} {'image' if count == 1 else 'images'}, no faults")
