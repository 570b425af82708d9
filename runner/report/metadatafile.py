"""The file of `--metadata-file`: what `docker buildx bake` writes there, renewed as images end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from executor.errors import UsageError
from executor.replacing import write_whole
from runner.report.record import RunRecord
from runner.report.result import bake_metadata
from runner.runevents import ImageFinished, RunEvent, RunFinished


class MetadataFile:
    """A RunSink. Raises UsageError when the file cannot be written at first; later it says so by `warn`."""

    def __init__(self, path: str, warn: Callable[[str], None]) -> None:
        self._path = Path(path).absolute()
        self._record = RunRecord()
        self._warn = warn
        try:
            write_whole(self._path, b"{}\n")
        except OSError as error:
            raise UsageError(f"cannot write --metadata-file {path}: {error.strerror}") from error

    def __call__(self, event: RunEvent) -> None:
        """Note one event, and write what it changes."""
        self._record.note(event)
        if isinstance(event, ImageFinished | RunFinished):
            try:
                write_whole(self._path, json.dumps(bake_metadata(self._record), indent=2).encode() + b"\n")
            except OSError as error:
                self._warn(f"cannot write {self._path}: {error.strerror}")
