"""The options that say what a run tells whom, and the sink that they ask for."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, Literal, TextIO

import click

from executor.dataclass import dataclass
from executor.errors import UsageError
from executor.eventlines import open_events
from runner.report.console.cimarkup import markup_for
from runner.report.console.console import Console, Paper, Verbosity
from runner.report.console.jsonlines import JsonLines
from runner.report.console.livearea import LiveArea, LiveConsole
from runner.report.console.livestatus import LiveStatus
from runner.report.folder import ReportFolder
from runner.report.metadatafile import MetadataFile
from runner.report.style import wants_colour
from runner.run.eventstream import EventsFile
from runner.runevents import RunSink, RunWarned, each

LogFormat = Literal["text", "color", "json"]
_REPORT_DIR = "krunner-report"


def _not_for_children(_context: click.Context, _parameter: click.Parameter, value: int | None) -> int | None:
    """A descriptor that the workers' commands would hold open never ends for who reads it."""
    if value is not None:
        with contextlib.suppress(OSError):  # told when it is opened
            os.set_inheritable(value, False)
    return value


_OPTIONS = (
    click.option(
        "--log-format", type=click.Choice(["text", "color", "json"]), help="Default: color on a terminal."
    ),
    click.option(
        "--report-dir",
        type=click.Path(),
        envvar="KRUNNER_REPORT_DIR",
        default=_REPORT_DIR,
        show_default=True,
        help="Folder for report.html, junit.xml, result.json, digests.txt, images.env and logs; '' for none.",
    ),
    click.option(
        "--metadata-file",
        type=click.Path(),
        default="",
        help="Write the digests here, as `docker buildx bake` does.",
    ),
    click.option("--events-file", type=click.Path(), default="", help="Write all events here, as JSON lines."),
    click.option(
        "--events-fd",
        type=click.IntRange(0),
        metavar="N",
        callback=_not_for_children,
        help="Write all events to an open file descriptor.",
    ),
    click.option("-q", "--quiet", is_flag=True, help="Show only failures and the final table."),
    click.option("-v", "--verbose", is_flag=True, help="Show more than the steps: pulls, layers, cache lookups."),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporting:
    """Who is told. '' and None: nobody."""

    log_format: LogFormat | None
    report_dir: str
    metadata_file: str
    events_file: str
    events_fd: int | None
    quiet: bool
    verbose: bool

    @property
    def paths(self) -> tuple[str, ...]:
        """What no image may have in its context, absolute."""
        folder = ReportFolder.paths_below(self.report_dir) if self.report_dir else ()
        return (*folder, *(os.path.abspath(path) for path in (self.metadata_file, self.events_file) if path))

    def sink(self) -> RunSink:
        """Takes the events of the run. Raises UsageError for what cannot be written."""
        show = self._console()
        told = (*self._streams(), show)

        def warn(message: str) -> None:
            each(*told)(RunWarned(message=message))

        return each(*self._files(warn), *told)  # what is shown is in the files already

    def _streams(self) -> Iterator[RunSink]:
        descriptor = open_events(self.events_fd, self.events_file)
        if descriptor is not None:
            yield EventsFile(descriptor)

    def _files(self, warn: Callable[[str], None]) -> Iterator[RunSink]:
        """The sinks that write reports. Without `--report-dir` a place that takes none is no reason to stop."""
        if self.metadata_file:
            yield MetadataFile(self.metadata_file, warn)
        yield from _traces(warn)
        if not self.report_dir:
            return
        try:
            yield ReportFolder.create(self.report_dir, warn)
        except UsageError as error:
            source = click.get_current_context().get_parameter_source("report_dir")
            if source is not click.core.ParameterSource.DEFAULT:
                raise
            warn(error.message)

    def _console(self) -> RunSink:
        if self.log_format == "json":
            return JsonLines(sys.stderr, sys.stdout)
        verbosity: Verbosity = "quiet" if self.quiet else "verbose" if self.verbose else "normal"
        results = Paper(sys.stdout, colour=self._colours(sys.stdout), width=_columns(sys.stdout))
        if not self._is_live:
            log = Paper(sys.stderr, colour=self._colours(sys.stderr))
            return Console(log, results, verbosity=verbosity, markup=markup_for(os.environ))
        area, colour = LiveArea(sys.stderr), self._colours(sys.stderr)
        console = Console(Paper(area, colour=colour), results, verbosity=verbosity, patience=float("inf"))
        return LiveConsole(console, area, LiveStatus(colour=colour))

    @property
    def tick(self) -> float:
        """Seconds from one TimePassed to the next: what is shown live has a clock."""
        return 1.0 if self._is_live else 5.0

    @property
    def _is_live(self) -> bool:
        """Whether standard error is a terminal that somebody looks at, and lines were not asked for."""
        in_ci = any(os.environ.get(name) for name in ("CI", "GITLAB_CI", "GITHUB_ACTIONS", "JENKINS_URL"))
        able = os.environ.get("TERM", "dumb") != "dumb" and sys.stderr.isatty()
        return able and not in_ci and self.log_format in (None, "color")

    def _colours(self, stream: TextIO) -> bool:
        return self.log_format == "color" or (not self.log_format and wants_colour(stream, os.environ))


def _columns(stream: TextIO) -> int:
    """How wide a terminal is; 0 for what is none: there every digest is whole."""
    try:
        return os.get_terminal_size(stream.fileno()).columns if stream.isatty() else 0
    except (OSError, ValueError):
        return 0


def _traces(warn: Callable[[str], None]) -> Iterator[RunSink]:
    """The trace, if the environment says where it goes."""
    if not any(name.startswith("OTEL_") for name in os.environ):
        return
    from runner.report import traces  # brings logging

    if not traces.wanted(os.environ):
        return
    try:
        yield traces.Traces(os.environ, warn)
    except ImportError:
        warn("OTEL_EXPORTER_OTLP_ENDPOINT is set, but not all of krunner-images[otel] is installed: no trace")


def with_reporting(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a Reporting, given to `command` as the one value `reporting`."""
    names = tuple(Reporting.__dataclass_fields__)

    @functools.wraps(command)
    def with_reporting(*args: Any, **options: Any) -> Any:
        reporting = Reporting(**{name: options.pop(name) for name in names})
        if reporting.quiet and reporting.verbose:
            raise UsageError("-q and -v contradict each other", hint="use one of them")
        return command(*args, reporting=reporting, **options)

    for option in reversed(_OPTIONS):
        with_reporting = option(with_reporting)
    return with_reporting
