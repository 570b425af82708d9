"""`krunner validate`: every fault of a list that can be known before its first build."""

from __future__ import annotations

import os
import sys

import click

from executor.errors import InvalidFileError
from runner.commands.options import Files, check_existence, overrides_of, with_debug, with_file, with_format
from runner.invocation import Invocation
from runner.report.faultformats import FaultFormat, shown


@click.command("validate", short_help="Check FILE and everything it refers to; build nothing.")
@with_file
@click.option(
    "--online", is_flag=True, help="Also ask the registries: do the base images exist, may every image be pushed?"
)
@with_format
@with_debug
@click.pass_obj
def command(invocation: Invocation, /, files: Files, online: bool, form: FaultFormat) -> int:
    """Check FILE, its Dockerfiles, contexts and secrets, and report every fault with its line. Builds nothing."""
    from runner.buildsfile import config
    from runner.planning.validation import Validation

    check_existence(files)
    try:
        resolved = config.resolve(files.paths, os.environ, files.settings, file_format=files.format)
        validation = Validation(resolved, overrides_of(files), invocation.executor, os.environ)
        faults, count = validation.run(online=online), len(validation.config.images)
    except InvalidFileError as error:  # no structure at all
        faults, count = list(error.diagnostics), 0
    if form != "text":
        workspace = os.environ.get("GITHUB_WORKSPACE") or os.environ.get("CI_PROJECT_DIR") or ""
        print(shown(faults, form, workspace), end="")
    elif faults:
        number = f"{len(faults)} {'fault' if len(faults) == 1 else 'faults'}"
        print(f"{shown(faults, form, '')}{number} found", file=sys.stderr)
    else:
        print(f"{files.name}: {count} {'image' if count == 1 else 'images'}, no faults")
    return InvalidFileError.exit_code if faults else 0
