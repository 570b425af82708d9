"""Where krunner's time went, from the events of a run that it printed as JSON."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

PHASES = ("resolve", "pull+unpack", "RUN", "COPY, ADD", "snapshot+compress", "push")


def phases_of(outputs: Iterable[str]) -> Mapping[str, float]:
    """Seconds by phase, the mean over the runs that printed `outputs`. Phases overlap: their sum says nothing."""
    sums: dict[str, float] = defaultdict(float)
    runs = 0
    for output in outputs:
        runs += 1
        for line in output.splitlines():
            event = _event(line)
            phase = _phase(event)
            if phase:
                sums[phase] += event["seconds"]
    return {phase: sums[phase] / runs for phase in PHASES if phase in sums}


def _phase(event: Mapping[str, Any]) -> str:
    match event.get("type"):
        case "PullFinished":
            return "resolve"
        case "LayerUnpacked":
            return "pull+unpack"
        case "LayerWritten":
            return "snapshot+compress"
        case "BlobPushed":
            return "push"
        case "StepFinished" if event["instruction"].startswith("RUN"):
            return "RUN"
        case "StepFinished" if event["instruction"].startswith(("COPY", "ADD")):
            return "COPY, ADD"
        case _:
            return ""


def _event(line: str) -> dict[str, Any]:
    if not line.startswith("{"):
        return {}
    try:
        document = json.loads(line)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
