"""A run as an OpenTelemetry trace, received over HTTP and decoded by the code of the protocol itself."""

import pytest

from runner.report.traces import Traces, wanted
from tests.support import sampleruns
from tests.support.trace_receiver import TraceReceiver

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def receiver(monkeypatch):
    made = TraceReceiver()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", made.url)
    yield made
    made.close()


def sent(told, environment, warnings=None):
    complaints = [] if warnings is None else warnings
    sink = Traces(environment, complaints.append)
    for event in told:
        sink(event)


def test_the_spans_are_those_of_the_run(receiver):
    warnings = []
    sent(sampleruns.small(), {"TRACEPARENT": PARENT}, warnings)
    assert warnings == []
    spans = {span.name: span for span in receiver.spans}
    by_id = {span.span_id: span for span in receiver.spans}
    root = spans["krunner"]
    assert root.trace_id.hex() == "0af7651916cd43dd8448eb211c80319c"
    assert root.parent_span_id.hex() == "b7ad6b7169203331"
    assert {span.trace_id for span in receiver.spans} == {root.trace_id}
    images = [span for span in receiver.spans if span.name.startswith("image ")]
    assert [span.name for span in images] == ["image base", "image python", "image web"]
    assert {span.parent_span_id for span in images} == {root.span_id}
    steps = [span for span in receiver.spans if span.name.startswith("RUN ")]
    assert len(steps) == 3 * 2 * 3
    assert {by_id[span.parent_span_id].name for span in steps} == {"stage 0 build", "stage 1"}
    for span in receiver.spans:
        parent = by_id.get(span.parent_span_id)
        assert span.start_time_unix_nano <= span.end_time_unix_nano
        assert parent is None or parent.start_time_unix_nano <= span.start_time_unix_nano
    assert root.start_time_unix_nano == int(sampleruns.STARTED.timestamp() * 1e9)
    assert {span.name.split()[0] for span in receiver.spans} >= {"pull", "unpack", "upload", "push", "COPY"}


def test_what_failed_is_an_error(receiver):
    sent(sampleruns.thirty(), {})
    errors = {span.name: span.status.message for span in receiver.spans if span.status.code == 2}
    assert errors["krunner"] == "exit code 1"
    assert errors["image service-07"].startswith("failed: the command")
    assert errors["image service-12"].startswith("push failed: built, but not pushed")
    assert "image service-20" not in {span.name for span in receiver.spans}
    root = next(span for span in receiver.spans if span.name == "krunner")
    assert root.parent_span_id == b""


@pytest.mark.parametrize(
    ("environment", "service"),
    [
        ({}, "krunner"),
        ({"OTEL_SERVICE_NAME": "shop"}, "shop"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=s"}, "s"),
    ],
)
def test_variables_are_honoured(receiver, monkeypatch, environment, service):
    for name, value in {**environment, "OTEL_EXPORTER_OTLP_HEADERS": "x-team=a"}.items():
        monkeypatch.setenv(name, value)
    sent(sampleruns.small(), environment)
    assert receiver.service == {service}
    path, headers = receiver.headers[0]
    assert (path, headers["x-team"]) == ("/v1/traces", "a")


def test_a_collector_that_is_not_there_is_told_once(monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    warnings = []
    sent(sampleruns.small(), {}, warnings)
    assert len(warnings) == 1
    assert warnings[0].startswith("the trace could not be sent: ")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
    ],
)
def test_when_a_trace_is_wanted(environment, expected):
    assert wanted(environment) is expected
