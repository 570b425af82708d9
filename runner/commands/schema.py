"""`krunner schema`: the JSON schemas, for editors and other programs."""

from __future__ import annotations

import click

from runner.schemanames import NAMES, Name


@click.command("schema", short_help="Print the JSON schema of the builds file or of an output.")
@click.argument("name", type=click.Choice(NAMES), default="builds")
def command(name: Name) -> None:
    """Print the JSON schema of the builds file, or of what krunner writes: its report result.json, a line of the
    events, a file of keys/, and the JSON of plan, doctor and prune.
    """
    from runner.buildsfile import schema

    print(schema.text(name), end="")
