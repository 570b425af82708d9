"""A run as JSON, for programs: `schemas/result.schema.json` describes it.

Each image also has the keys that `docker buildx bake --metadata-file` writes, so that what reads those reads this.
"""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import Any

from executor import events
from runner.outcome import Outcome
from runner.report.record import ImageRecord, RunRecord, Stage

RESULT_VERSION = 1


def result(record: RunRecord) -> dict[str, Any]:
    """The document as JSON values. While the run goes on, `exit_code` is null and `finished` false."""
    report = record.report
    return {
        "version": RESULT_VERSION,
        "file": record.file,
        "jobs": record.jobs,
        "started": _iso(record.started),
        "seconds": _rounded(record.seconds),
        "finished": report is not None,
        "exit_code": report.exit_code if report else None,
        "signal": report.signal if report else 0,
        "images": {name: _image(image, record) for name, image in record.images.items()},
    }


def _image(image: ImageRecord, record: RunRecord) -> dict[str, Any]:
    running = record.seconds - (image.start or 0.0) if image.state == "running" else 0.0
    return {
        "status": image.state,
        "started": None if image.start is None else _iso(record.time_of(image.start)),
        "seconds": _rounded(image.outcome.seconds if image.outcome else running),
        "digest": image.digest,
        "size": image.size,
        "layers": image.layers,
        "cache_hits": sum(stage.cached for stage in image.stages),
        "platform": image.result.get("platform", ""),
        "driver": image.result.get("driver", "") or image.driver,
        "pushed": list(image.pushed),
        "pulls": [_transfer(start, event) for start, event in image.pulls],
        "stages": [_stage(stage) for stage in image.stages],
        "pushes": [_transfer(start, event) for start, event in image.pushes],
        "retries": [dataclasses.asdict(event) for event in image.retries],
        "warnings": [dataclasses.asdict(event) for event in image.warnings],
        "error": _error(image.outcome),
        "log": "" if image.start is None else f"logs/{image.name}.log",
        **_metadata(image),
    }


def _stage(stage: Stage) -> dict[str, Any]:
    steps = [
        {**dataclasses.asdict(step), "start": _rounded(step.start), "seconds": _maybe_rounded(step.seconds)}
        for step in stage.steps
    ]
    return {"index": stage.index, "name": stage.name, "base": stage.base, "steps": steps}


def _transfer(start: float, event: events.PullFinished | events.PushFinished) -> dict[str, Any]:
    return {**dataclasses.asdict(event), "start": _rounded(start), "seconds": _rounded(event.seconds)}


def _error(outcome: Outcome | None) -> dict[str, Any] | None:
    if outcome is None or outcome.status == "built":
        return None
    names = ("kind", "message", "hint", "retryable", "file", "line")
    return {name: getattr(outcome, name) for name in names}


def _metadata(image: ImageRecord) -> dict[str, str]:
    """What bake's metadata file says of a target. Digests are there as soon as the image is built."""
    keys = {
        "containerimage.digest": image.digest,
        "containerimage.config.digest": image.result.get("config_digest", ""),
        "image.name": ",".join(push.reference for _, push in image.pushes),
    }
    return {key: value for key, value in keys.items() if value}


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _rounded(seconds: float) -> float:
    return round(seconds, 3)


def _maybe_rounded(seconds: float | None) -> float | None:
    return None if seconds is None else _rounded(seconds)
