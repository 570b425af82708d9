"""`krunner version`."""

from __future__ import annotations

import click


@click.command("version")
def command() -> None:
    """Print the version."""
    from executor.release import release

    print(release())
