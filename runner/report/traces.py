"""The run as an OpenTelemetry trace, of the same events as the reports: the run, its images, their stages, steps,
pulls, uploads and pushes. Needs the extra `otel`. Where and how traces are sent is said by the OTEL_* variables;
TRACEPARENT names the span that the run belongs to.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from runner.report.imagerecord import ImageRecord, Stage
from runner.report.record import RunRecord
from runner.runevents import ImageFinished, RunEvent, RunFinished, RunStarted

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span
    from opentelemetry.util.types import AttributeValue

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_FLUSH_MILLISECONDS = 5000
_ATTRIBUTES = "OTEL_RESOURCE_ATTRIBUTES"
_SERVICE = {"service.name": "krunner"}
_LONGEST = 1000  # characters of an attribute


def wanted(environment: Mapping[str, str]) -> bool:
    """Whether the environment names a place for traces, and nothing forbids to send them there."""
    enabled = environment.get("OTEL_SDK_DISABLED", "").lower() != "true"
    by_otlp = environment.get("OTEL_TRACES_EXPORTER", "otlp") == "otlp"
    return enabled and by_otlp and any(environment.get(name) for name in _ENDPOINTS)


class Traces:
    """A RunSink: an image's spans are made when it has ended, the run's at the end. `warn` hears of failures."""

    def __init__(self, environment: Mapping[str, str], warn: Callable[[str], None]) -> None:
        self._record = RunRecord()
        self._warn = warn
        self._environment = environment
        self._provider = _provider(environment)
        self._root: Span | None = None

    def __call__(self, event: RunEvent) -> None:
        """Note one event, and make the spans that it ends."""
        self._record.note(event)
        match event:
            case RunStarted():
                self._root = self._begin()
            case ImageFinished() if self._record.images[event.outcome.name].start is not None:
                self._image(self._record.images[event.outcome.name])
            case RunFinished():
                self._finish()
            case _:
                pass

    def _begin(self) -> Span:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        carrier = {name: self._environment.get(name.upper(), "") for name in ("traceparent", "tracestate")}
        around = TraceContextTextMapPropagator().extract({key: text for key, text in carrier.items() if text})
        tracer = self._provider.get_tracer("krunner")
        attributes: dict[str, AttributeValue] = {
            "krunner.file": self._record.file,
            "krunner.jobs": self._record.jobs,
            "krunner.images": list(self._record.images),
        }
        return tracer.start_span("krunner", around, attributes=attributes, start_time=self._nanoseconds(0.0))

    def _image(self, image: ImageRecord) -> None:
        outcome, start = image.outcome, image.start or 0.0
        if self._root is None or outcome is None:
            return
        known: dict[str, AttributeValue] = {
            "krunner.image": image.name,
            "krunner.status": outcome.status,
            "krunner.attempts": len(image.attempts) + 1,
            "krunner.cache_hits": image.cached,
            "oci.manifest.digest": image.digest,
            "krunner.size": image.size,
        }
        span = self._start(f"image {image.name}", start, self._root, known)
        for stage in image.stages:
            self._stage(stage, span, image.end or start)
        for pull_start, pull in image.pulls:
            self._within(span, f"pull {pull.reference}", pull_start, pull.seconds, {"krunner.bytes": pull.size})
        for unpack_start, unpack in image.unpacks:
            self._within(span, "unpack layer", unpack_start, unpack.seconds, {"oci.digest": unpack.digest})
        for blob_start, blob in image.blobs:
            told: dict[str, AttributeValue] = {"oci.digest": blob.digest, "krunner.how": blob.how}
            self._within(span, f"upload to {blob.repository}", blob_start, blob.seconds, told)
        for push_start, push in image.pushes:
            self._within(span, f"push {push.reference}", push_start, push.seconds, {"krunner.bytes": push.size})
        if outcome.status != "built":
            _fail(span, f"{outcome.status}: {outcome.message}")
        span.end(self._nanoseconds(image.end or start))

    def _stage(self, stage: Stage, parent: Span, image_end: float) -> None:
        ends = [step.start + step.seconds for step in stage.steps if step.seconds is not None]
        name = f"stage {stage.index} {stage.name}".rstrip()
        attributes = {"krunner.base": stage.base, "krunner.platform": stage.platform}
        span = self._start(name, stage.start, parent, attributes)
        for step in stage.steps:
            seconds = image_end - step.start if step.seconds is None else step.seconds
            known: dict[str, AttributeValue] = {"krunner.cached": step.cached, "krunner.size": step.layer_size}
            instruction = step.instruction.split("\n", 1)[0]
            made = self._start(instruction[:_LONGEST], step.start, span, known)
            if step.seconds is None:
                _fail(made, "not finished")
            made.end(self._nanoseconds(step.start + seconds))
        unfinished = any(step.seconds is None for step in stage.steps)
        span.end(self._nanoseconds(image_end if unfinished or not ends else max(ends)))

    def _within(
        self, parent: Span, name: str, start: float, seconds: float, attributes: Mapping[str, AttributeValue]
    ) -> None:
        self._start(name, start, parent, attributes).end(self._nanoseconds(start + seconds))

    def _start(self, name: str, start: float, parent: Span, attributes: Mapping[str, AttributeValue]) -> Span:
        from opentelemetry.trace import set_span_in_context

        tracer, around = self._provider.get_tracer("krunner"), set_span_in_context(parent)
        return tracer.start_span(name, around, attributes=attributes, start_time=self._nanoseconds(start))

    def _finish(self) -> None:
        """End the run's span and send what has not been sent, for some seconds at most."""
        report = self._record.report
        if self._root is None or report is None:
            return
        self._root.set_attribute("krunner.exit_code", report.exit_code)
        if report.exit_code:
            _fail(self._root, f"exit code {report.exit_code}")
        self._root.end(self._nanoseconds(report.seconds))
        failures = _Failures()
        log = logging.getLogger("opentelemetry")
        log.addHandler(failures)
        self._provider.force_flush(_FLUSH_MILLISECONDS)
        log.removeHandler(failures)
        if failures.first:
            self._warn(f"the trace could not be sent: {failures.first}")

    def _nanoseconds(self, seconds: float) -> int:
        return int(self._record.time_of(seconds).timestamp() * 1_000_000) * 1000


class _Failures(logging.Handler):
    """Keeps the first thing that the SDK complains of, which else it prints among our lines."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.first = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Take one complaint."""
        self.first = self.first or record.getMessage()


def _fail(span: Span, message: str) -> None:
    from opentelemetry.trace import Status, StatusCode

    span.set_status(Status(StatusCode.ERROR, message[:_LONGEST]))


def _provider(environment: Mapping[str, str]) -> TracerProvider:
    """A provider of our own, not the process's. Raises ImportError without the extra."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    log = logging.getLogger("opentelemetry")
    log.addHandler(logging.NullHandler())
    log.propagate = False
    is_named = environment.get("OTEL_SERVICE_NAME") or "service.name" in environment.get(_ATTRIBUTES, "")
    resource = Resource.create({} if is_named else _SERVICE)
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
