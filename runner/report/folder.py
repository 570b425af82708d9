"""The reports of a run as files in a folder, written as the run goes, so that a run cut short has them too.

    report.html    junit.xml    result.json    digests.txt    images.env    logs/NAME.log    keys/NAME.json

Each is replaced whole (temp + rename) when an image begins or ends, a few times a second at most, and every few
seconds; the logs grow.
Before the end result.json is one line: to indent it takes ten times as long.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from executor.errors import UsageError
from executor.events import InputsFound
from executor.replacing import write_whole
from runner.report.junit import junit
from runner.report.lines import Line, log_lines, outcome_line
from runner.report.logfile import LogFile
from runner.report.names import ambiguous, digests, dotenv, too_large_for_gitlab
from runner.report.record import RunRecord
from runner.report.result import RESULT_VERSION, result
from runner.run.earlier import KEYS
from runner.runevents import (
    ImageEvent,
    ImageFinished,
    ImageOutput,
    ImageStarted,
    RunEvent,
    RunFinished,
    RunStarted,
)

_FILES: dict[str, Callable[[RunRecord], bytes]] = {
    "junit.xml": junit,
    "result.json": lambda record: json.dumps(result(record), indent=2 if record.report else None).encode() + b"\n",
    "digests.txt": lambda record: digests(record).encode(),
    "images.env": lambda record: dotenv(record).encode(),
}
_LOGS = "logs"
_PAGE = "report.html"
_FILES_SECONDS = 5.0
_SHORTEST_SECONDS = 0.25
"""From one writing to the next: images of a list may end more often, and the next ones wait to be begun."""
_PAGE_SECONDS = 10.0


class ReportFolder:
    """A RunSink. When a report cannot be written it says so by `warn`, once, and tries again with later events.

    The disk that a build has filled has room when that build is over.
    """

    def __init__(self, path: Path, record: RunRecord, warn: Callable[[str], None]) -> None:
        self._path = path
        self._record = record
        self._warn = warn
        self._logs: dict[str, LogFile] = {}
        self._has_warned = False
        self._files_at = 0.0
        self._are_stale = False
        self._page_at: float | None = None

    @classmethod
    def create(cls, path: str, warn: Callable[[str], None]) -> ReportFolder:
        """Make the folder and try to write there. Raises UsageError when that is not possible."""
        folder = Path(os.path.abspath(path))
        try:
            for name in (_LOGS, KEYS):
                (folder / name).mkdir(parents=True, exist_ok=True)
            write_whole(folder / "digests.txt", b"")
        except OSError as error:
            raise UsageError(
                f"cannot write reports to {path}: {error.strerror}",
                hint="name another folder with --report-dir, or none with --report-dir ''",
            ) from error
        return cls(folder, RunRecord(), warn)

    @staticmethod
    def paths_below(path: str) -> tuple[str, ...]:
        """What no image may have in its context, absolute: the folder, and its files if it is the context."""
        folder = os.path.abspath(path)
        return (folder, *(os.path.join(folder, name) for name in (_PAGE, *_FILES, _LOGS, KEYS)))

    def __call__(self, event: RunEvent) -> None:
        """Note one event, and write what it changes."""
        self._record.note(event)
        for write in (self._write_log, self._write_reports, self._write_page):
            try:
                write(event)
            except OSError as error:
                self._complain(error)

    def close(self) -> None:
        """Close the logs of images that have not ended."""
        for log in self._logs.values():
            log.close()

    def _complain(self, error: OSError) -> None:
        if not self._has_warned:
            self._has_warned = True
            self._warn(f"reports are incomplete: cannot write to {self._path}: {error.strerror}")

    def _write_log(self, event: RunEvent) -> None:
        match event:
            case ImageEvent():
                self._log_event(event)
            case ImageOutput():
                self._log(event.name, event, [Line(event.line)])
            case ImageStarted():
                self._logs[event.name] = LogFile(self._path / _LOGS / f"{event.name}.log")
            case ImageFinished():
                self._log(event.outcome.name, event, [outcome_line(event.outcome)])
                if log := self._logs.pop(event.outcome.name, None):
                    log.close()
            case _:
                pass

    def _write_reports(self, event: RunEvent) -> None:
        match event:
            case RunStarted():
                self._tell_ambiguous(event.images)
                self._write_files()
            case RunFinished():
                self._write_files()
                self._tell_too_large()
            case ImageStarted() | ImageFinished():
                self._are_stale = True
            case _:
                pass
        since = self._record.seconds - self._files_at
        if since >= (_SHORTEST_SECONDS if self._are_stale else _FILES_SECONDS):
            self._write_files()

    def _log_event(self, event: ImageEvent) -> None:
        self._log(event.name, event, log_lines(event.event))
        if isinstance(event.event, InputsFound):
            self._write_keys(event.name, event.event)

    def _log(self, name: str, event: RunEvent, lines: Iterable[Line]) -> None:
        if log := self._logs.get(name):  # an image that is skipped has none
            begun = self._record.images[name].start or 0.0
            log.write(max(self._record.since_start(event) - begun, 0.0), lines)

    def _write_keys(self, name: str, found: InputsFound) -> None:
        """For `krunner plan --explain` after this run: one file an image, written once."""
        document = {"version": RESULT_VERSION, "image": name, "inputs": found.inputs, "steps": found.steps}
        write_whole(self._path / KEYS / f"{name}.json", json.dumps(document, indent=1).encode() + b"\n")

    def _write_files(self) -> None:
        self._files_at, self._are_stale = self._record.seconds, False
        for name, content in _FILES.items():
            write_whole(self._path / name, content(self._record))

    def _write_page(self, event: RunEvent) -> None:
        """The page of a long list takes a while to make: while the run goes on it is renewed now and then only.

        The first is made, and what makes it imported, when workers are at work: nobody waits for it then.
        """
        if isinstance(event, RunStarted | ImageStarted):
            return
        at = self._record.since_start(event)
        if isinstance(event, RunFinished) or self._page_at is None or at - self._page_at >= _PAGE_SECONDS:
            from runner.report.html.page import page

            self._page_at = at
            write_whole(self._path / _PAGE, page(self._record))

    def _tell_too_large(self) -> None:
        if refusal := too_large_for_gitlab(self._record, os.environ):
            self._warn(f"{refusal} by default: split the list, or have the limit raised")

    def _tell_ambiguous(self, images: tuple[str, ...]) -> None:
        if doubtful := ambiguous(images):
            names = ", ".join(name for name in images if name in doubtful)
            self._warn(f"images.env leaves out {names}: as names of variables they are the same")
