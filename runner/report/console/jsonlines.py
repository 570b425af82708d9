"""The run as JSON lines on the console: those of `--events-file`, the RunFinished of them on standard output."""

from __future__ import annotations

import json
from typing import TextIO

from executor.standardstreams import write_line
from runner.run.eventstream import RunDocuments
from runner.runevents import RunEvent, RunFinished, TimePassed


class JsonLines:
    """A RunSink for programs."""

    def __init__(self, log: TextIO, results: TextIO) -> None:
        self._log = log
        self._results = results
        self._documents = RunDocuments()

    def __call__(self, event: RunEvent) -> None:
        """Write one event. That time passed is no news: each line has its time."""
        document = self._documents.document(event)
        if not isinstance(event, TimePassed):
            stream = self._results if isinstance(event, RunFinished) else self._log
            write_line(stream, json.dumps(document))
