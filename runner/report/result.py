"""A run as JSON, for programs: `schemas/result.schema.json` describes it.

Each image also has the keys that `docker buildx bake --metadata-file` writes, so that what reads those reads this.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from executor.dataclass import asdict
from runner.outcome import Outcome
from runner.report.imagerecord import FailedAttempt, ImageRecord, Stage, TransferEvent
from runner.report.record import RunRecord

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
        "warnings": list(record.warnings),
        "images": {name: _image(image, record) for name, image in record.images.items()},
    }


def _image(image: ImageRecord, record: RunRecord) -> dict[str, Any]:
    running = record.seconds - (image.start or 0.0) if image.state == "running" else 0.0
    return {
        "status": image.state,
        "started": None if image.start is None else _iso(record.time_of(image.start)),
        "seconds": _rounded(image.outcome.seconds if image.outcome else running),
        "attempts": len(image.attempts) + (image.start is not None),
        "kept": image.is_kept,
        "inputs": image.inputs,
        "digest": image.digest,
        "size": image.size,
        "layers": image.layers,
        "cache_hits": image.cached,
        "platform": image.result.get("platform", ""),
        "manifests": list(image.result.get("manifests", ())),
        "driver": image.result.get("driver", "") or image.driver,
        "pushed": list(image.pushed),
        "phases": _phases(image),
        "pulls": [_transfer(start, event) for start, event in image.pulls],
        "unpacks": [_transfer(start, event) for start, event in image.unpacks],
        "stages": [_stage(stage) for stage in image.stages],
        "blobs": [_transfer(start, event) for start, event in image.blobs],
        "pushes": [_transfer(start, event) for start, event in image.pushes],
        "failed_attempts": [_attempt(attempt) for attempt in image.attempts],
        "retries": [asdict(event) for event in image.retries],
        "warnings": [asdict(event) for event in image.warnings],
        "error": _error(image.outcome),
        "log": "" if image.start is None else f"logs/{image.name}.log",
        **metadata(image),
    }


def metadata(image: ImageRecord) -> dict[str, Any]:
    """What the metadata file of buildx says of a target. Digests are there as soon as the image is built."""
    keys = {
        "containerimage.config.digest": image.result.get("config_digest", ""),
        "containerimage.descriptor": image.result.get("descriptor", {}),
        "containerimage.digest": image.digest,
        "image.name": ",".join(name.partition("@")[0] for name in image.pushed),
    }
    return {key: value for key, value in keys.items() if value}


def bake_metadata(record: RunRecord) -> dict[str, Any]:
    """The document that `docker buildx bake --metadata-file` writes, of the images that are built by now."""
    return {name: metadata(image) for name, image in record.images.items() if image.digest}


def _phases(image: ImageRecord) -> dict[str, float]:
    """Seconds by kind of work. They are sums: what ran side by side counts as often."""
    steps = [step for stage in image.stages for step in stage.steps]
    layers = sum(step.layer_seconds for step in steps)
    phases = {
        "pull": sum(event.seconds for _, event in image.pulls),
        "unpack": sum(event.seconds for _, event in image.unpacks),
        "steps": sum(step.own_seconds for step in steps),
        "layers": layers,
        "upload": sum(event.seconds for _, event in image.blobs),
        "push": sum(event.seconds for _, event in image.pushes),
    }
    return {name: _rounded(seconds) for name, seconds in phases.items()}


def _stage(stage: Stage) -> dict[str, Any]:
    steps = [
        {
            **asdict(step),
            "start": _rounded(step.start),
            "seconds": _maybe_rounded(step.seconds),
            "layer_seconds": _rounded(step.layer_seconds),
            "layer_end": _rounded(step.layer_end),
        }
        for step in stage.steps
    ]
    return {**asdict(stage), "start": _rounded(stage.start), "steps": steps}


def _transfer(start: float, event: TransferEvent) -> dict[str, Any]:
    return {**asdict(event), "start": _rounded(start), "seconds": _rounded(event.seconds)}


def _attempt(attempt: FailedAttempt) -> dict[str, Any]:
    return {
        **asdict(attempt),
        "start": _rounded(attempt.start),
        "seconds": _rounded(attempt.seconds),
    }


def _error(outcome: Outcome | None) -> dict[str, Any] | None:
    if outcome is None or outcome.status == "built":
        return None
    names = ("kind", "message", "hint", "retryable", "file", "line")
    return {name: getattr(outcome, name) for name in names}


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _rounded(seconds: float) -> float:
    return round(seconds, 3)


def _maybe_rounded(seconds: float | None) -> float | None:
    return None if seconds is None else _rounded(seconds)
