"""`krunner doctor`: what this machine or container allows, and what to change."""

from __future__ import annotations

import json
import os
import sys

import click

from executor.errors import UnfitError
from runner.commands.options import with_debug
from runner.invocation import Invocation


@click.command("doctor", short_help="Check what this machine allows, and say what to change.")
@click.option("--home", type=click.Path(), envvar="KRUNNER_HOME", default="", help="Folder of the image store.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON: krunner schema doctor.")
@with_debug
@click.pass_obj
def command(invocation: Invocation, /, *, home: str, as_json: bool) -> int:
    """Check what this machine allows (drivers, disk, limits, credentials), and say what to change.

    The exit code is 0 if images can be built here, RUN included, else 4.
    """
    from runner.report.diagnosis import describe
    from runner.report.style import wants_colour

    found = invocation.executor.diagnose(home)
    if as_json:
        print(json.dumps(found.to_json(), indent=2))
    else:
        print(describe(found, colour=wants_colour(sys.stdout, os.environ)))
    return 0 if found.fit else UnfitError.exit_code
