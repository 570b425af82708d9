"""The entry for a worker process: a spec in, events out as JSON objects, errors as the last of them."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from executor import events
from executor.errors import Error, InternalError
from executor.spec import BuildResult, BuildSpec

_LATE_IMPORTS = (
    "executor.build.engine",
    "isal.igzip",
    "isal.isal_zlib",
    "requests",
    "tenacity",
    "zstandard",
)


def preload() -> None:
    """Import everything that a build needs, so that a fork begins with it."""
    for name in _LATE_IMPORTS:
        importlib.import_module(name)


def run_build(spec: BuildSpec, emit: Callable[[dict[str, Any]], None]) -> BuildResult:
    """Build `spec` in this process, which has one thread, and give every event to `emit`.

    Raises what `engine.build` raises, after the BuildFailed event that tells of it.
    """
    from executor.build.engine import build

    def sink(event: events.Event) -> None:
        emit(events.to_json(event))

    try:
        return build(spec, sink)
    except Error as error:
        sink(events.BuildFailed.of(error))
        raise
    except Exception as error:
        sink(events.BuildFailed.of(InternalError(f"{type(error).__name__}: {error}")))
        raise
