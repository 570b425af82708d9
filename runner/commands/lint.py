"""`krunner lint`: build checks of Dockerfiles, by the rules that BuildKit has."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence

import click

from executor.errors import Diagnostic, InvalidFileError, UsageError
from executor.spec import BuildSpec
from runner.commands.options import with_debug, with_format
from runner.invocation import Invocation
from runner.model import Overrides
from runner.report.faultformats import FaultFormat, shown

_LISTS = (".yaml", ".yml", ".json", ".hcl")


@click.command("lint", short_help="Warn about likely mistakes in Dockerfiles.")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path())
@with_format
@click.option("--error", is_flag=True, help="Exit with 1 if something is found.")
@with_debug
@click.pass_obj
def command(invocation: Invocation, /, paths: tuple[str, ...], form: FaultFormat, error: bool) -> int:
    """Warn about likely mistakes in Dockerfiles, and in those of builds files. Builds nothing.

    docs/lint.md lists the rules. The exit code is 2 if a Dockerfile is invalid; the others are still checked.
    """
    found: dict[Diagnostic, None] = {}
    faults: list[Diagnostic] = []
    for spec in _specs(paths):
        try:
            findings, wants_error = invocation.executor.check(spec)
        except InvalidFileError as invalid:
            faults += invalid.diagnostics
            continue
        found.update(dict.fromkeys(findings))
        error = error or (wants_error and bool(findings))
    _show(faults, list(found), form, error=error)
    if faults:
        return InvalidFileError.exit_code
    return 1 if error and found else 0


def _show(faults: Sequence[Diagnostic], findings: Sequence[Diagnostic], form: FaultFormat, *, error: bool) -> None:
    """Print what was found; where findings are errors they are shown as such."""
    found = (*faults, *findings)
    if error:
        faults, findings = found, ()
    if form != "text":
        workspace = os.environ.get("GITHUB_WORKSPACE") or os.environ.get("CI_PROJECT_DIR") or ""
        print(shown(faults, form, workspace, findings), end="")
        return
    count = f"{len(found)} {'finding' if len(found) == 1 else 'findings'}" if found else "no findings"
    print(f"{shown(found, form, '')}{count}", file=sys.stderr if found else sys.stdout)


def _specs(paths: Sequence[str]) -> Iterator[BuildSpec]:
    """The builds whose Dockerfiles are meant. The folder of a Dockerfile is taken for its context."""
    for path in paths:
        if not os.path.isfile(path):
            what = f"{path!r} is a folder" if os.path.isdir(path) else f"there is no file {path!r}"
            raise UsageError(what, hint="name Dockerfiles, or files that list images")
        if path.endswith(_LISTS):
            from runner.buildsfile import config

            loaded = config.load(path, os.environ, Overrides())
            yield from (image.build for image in loaded.images)
        else:
            yield BuildSpec(context=os.path.dirname(path) or ".", dockerfile=os.path.abspath(path))
