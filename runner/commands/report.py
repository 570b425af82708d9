"""`krunner report`: the reports of a run, made again from its events."""

from __future__ import annotations

import sys
from typing import BinaryIO

import click

from runner.commands.options import with_debug


@click.command("report", short_help="Recreate the reports of a run from its events.")
@click.argument("events", metavar="EVENTS", type=click.File("rb"))
@click.option(
    "--report-dir",
    type=click.Path(),
    default="krunner-report",
    show_default=True,
    help="Folder for the reports; those of an earlier run there are replaced.",
)
@with_debug
def command(events: BinaryIO, report_dir: str) -> None:
    """Recreate the reports of a run from EVENTS, the file of its --events-file (- for standard input)."""
    from runner.report.folder import ReportFolder
    from runner.run.eventstream import read_events

    folder = ReportFolder.create(
        report_dir, lambda message: print(f"krunner: warning: {message}", file=sys.stderr)
    )
    try:
        for event in read_events(events):
            folder(event)
    finally:
        folder.close()
