"""`krunner schema`: the JSON schemas, for editors and other programs."""

from __future__ import annotations

from typing import Literal

import click


@click.command("schema")
@click.argument("name", type=click.Choice(["builds", "result", "events"]), default="builds")
def command(name: Literal["builds", "result", "events"]) -> None:
    """Print the JSON schema of the builds file, of the report result.json, or of a line of the events."""
    from runner import schema

    print(schema.text(name), end="")
