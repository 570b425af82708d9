"""`krunner schema`: the JSON schemas, for editors and other programs."""

from __future__ import annotations

from typing import Literal

import click


@click.command("schema")
@click.argument("name", type=click.Choice(["builds", "result"]), default="builds")
def command(name: Literal["builds", "result"]) -> None:
    """Print the JSON schema of the builds file, for editors and other programs, or of the report result.json."""
    from runner import schema

    print(schema.text(name), end="")
