"""The events of a run as lines: each is as the schema says, reads back, and a replay gives the same reports."""

import dataclasses
import json
import os
import typing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from executor import events
from executor.dataclass import replace
from executor.errors import UsageError
from executor.eventlines import EventLines, Moment, open_events, span_of
from runner import runevents
from runner.buildsfile import schema
from runner.outcome import Outcome, RunReport
from runner.report.folder import ReportFolder
from runner.run.eventstream import EventsFile, RunDocuments, from_document, read_events
from runner.runevents import (
    ImageEvent,
    ImageFinished,
    ImageOutput,
    ImageStarted,
    RunFinished,
    RunStarted,
    RunWarned,
    TimePassed,
)

SCHEMA = json.loads(schema.text("events"))
VALIDATOR = Draft202012Validator(SCHEMA)
DIGEST = "sha256:" + "a" * 64
BEGUN = RunStarted(
    file="builds.yaml",
    images=("web", "b"),
    jobs=2,
    time=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    at=50.25,
)
OUTCOME = Outcome(name="web", status="built", seconds=1.5, digest=DIGEST, size=7, pushed=(f"r/web:1@{DIGEST}",))


def examples(kind):
    """A value of every field: sensible ones, so that a digest is one."""
    hints = typing.get_type_hints(kind)
    values = {str: st.text(max_size=20), int: st.integers(0, 2**60), bool: st.booleans()}
    values[float] = st.floats(0, 1e9, allow_nan=False)
    fields = {}
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        if field.name in ("digest", "layer_digest"):
            fields[field.name] = st.just(DIGEST)
        elif typing.get_origin(hint) is typing.Literal:
            fields[field.name] = st.sampled_from(typing.get_args(hint))
        else:
            fields[field.name] = values.get(hint, st.just({"digest": DIGEST}))
    return st.builds(kind, **fields)


BUILD_EVENTS = st.one_of([examples(kind) for kind in typing.get_args(events.Event)])
RUN_EVENTS = st.one_of(
    st.builds(ImageStarted, name=st.text(), position=st.integers(1), total=st.integers(1), at=st.floats(60, 1e6)),
    st.builds(ImageEvent, name=st.text(), event=BUILD_EVENTS, at=st.floats(60, 1e6)),
    st.builds(ImageOutput, name=st.text(), line=st.text(), at=st.floats(60, 1e6)),
    st.builds(RunWarned, message=st.text(), at=st.floats(60, 1e6)),
    st.sampled_from(
        [
            ImageFinished(outcome=OUTCOME, at=60.0),
            TimePassed(at=61.5),
            RunFinished(report=RunReport(outcomes=(OUTCOME,), seconds=2.0, signal=15), at=62.0),
        ]
    ),
)


def written(*told):
    """The lines that an EventsFile writes."""
    descriptor = os.memfd_create("events")
    sink = EventsFile(descriptor)
    for event in told:
        sink(event)
    os.lseek(descriptor, 0, os.SEEK_SET)
    with os.fdopen(descriptor, "rb") as stream:
        return stream.readlines()


@given(RUN_EVENTS)
def test_every_event_is_as_the_schema_says_and_reads_back(event):
    documents = [json.loads(line) for line in written(BEGUN, event)]
    for document in documents:
        assert [error.message for error in VALIDATOR.iter_errors(document)] == []
    again = from_document(documents[1])
    assert again == event
    assert again.at == pytest.approx(event.at - BEGUN.at, abs=1e-6)


def test_the_schema_knows_every_kind_and_every_field():
    Draft202012Validator.check_schema(SCHEMA)
    kinds = {kind.__name__: kind for kind in typing.get_args(events.Event)}
    kinds |= {kind.__name__: kind for kind in runevents.RunEvent.__args__ if kind is not ImageEvent}
    assert set(SCHEMA["properties"]["type"]["enum"]) == set(kinds)
    for name, kind in kinds.items():
        fields = {field.name for field in dataclasses.fields(kind)} - {"at", "time"}
        if kind.__module__ == runevents.__name__:
            fields.discard("name")
        described = set(SCHEMA["$defs"][name]["properties"]) - {"type"}
        assert described == fields, name
    outcome = {field.name for field in dataclasses.fields(Outcome)}
    assert outcome <= set(SCHEMA["$defs"]["outcome"]["properties"])


def test_what_the_schema_does_not_know_is_refused():
    (line,) = written(BEGUN)
    document = json.loads(line)
    for wrong in ({"type": "Nonsense"}, {"jobs": "two"}, {"version": 2}, {"time": "today"}, {"surprise": 1}):
        assert list(VALIDATOR.iter_errors({**document, **wrong})) != []


def test_a_line():
    started = events.StepStarted(stage=1, position=3, total=4, instruction="RUN x", platform="linux/arm64")
    document = json.loads(written(BEGUN, ImageEvent(name="web", event=started, at=51.5))[1])
    assert document == {
        "version": 1,
        "time": "2026-01-02T03:04:06.928901Z",
        "at": 1.25,
        "type": "StepStarted",
        "image": "web",
        "span": "image:web/stage:1@linux/arm64/step:3",
        "parent": "image:web/stage:1@linux/arm64",
        "stage": 1,
        "position": 3,
        "total": 4,
        "instruction": "RUN x",
        "platform": "linux/arm64",
    }


def test_begin_and_end_are_of_one_span():
    counts = {"digest": DIGEST, "size": 1, "seconds": 1.0}
    step = {"stage": 0, "position": 1, "instruction": "RUN"}
    pairs = [
        (events.PullStarted(reference="r/x"), events.PullFinished(reference="r/x", layers=1, **counts)),
        (
            events.PushStarted(reference="r/x"),
            events.PushFinished(reference="r/x", sent=1, mounted=0, existing=0, **counts),
        ),
        (events.StepStarted(**step, total=1), events.StepFinished(**step, seconds=1)),
    ]
    ids = [span_of(begin, "web") for begin, _ in pairs]
    assert ids == [span_of(end, "web") for _, end in pairs]
    assert len(set(ids)) == 3


class TestReading:
    def test_a_line_cut_short_ends_the_stream(self):
        lines = written(BEGUN, TimePassed(at=51.0), TimePassed(at=52.0))
        assert len(list(read_events([*lines[:2], lines[2][:20]]))) == 2

    @pytest.mark.parametrize(
        "line", [b"x\n", b"[1]\n", b'{"version": 2, "type": "TimePassed", "at": 1}\n', b"{}\n"]
    )
    def test_what_is_no_event_is_told_with_its_line(self, line):
        with pytest.raises(UsageError, match="line 2 of the events"):
            list(read_events([*written(BEGUN), line]))

    @pytest.mark.parametrize("name", ["../../web", "/web", "a\0b"])
    def test_an_image_whose_name_leads_out_of_the_folder_is_none(self, name):
        with pytest.raises(UsageError, match="line 1 of the events"):
            list(read_events(written(replace(BEGUN, images=(name,)), ImageOutput(name=name, line="x", at=51.0))))

    @pytest.mark.parametrize(
        "event",
        [
            ImageStarted(name="c", position=1, total=1, at=51.0),
            ImageEvent(name="c", event=events.PullStarted(reference="r/x"), at=51.0),
            ImageFinished(outcome=Outcome(name="c", status="built"), at=51.0),
            RunFinished(report=RunReport(outcomes=(Outcome(name="c", status="built"),), seconds=1.0), at=51.0),
        ],
    )
    def test_an_image_that_is_none_of_the_run_is_told_with_its_line(self, event):
        with pytest.raises(UsageError, match="line 2 of the events"):
            list(read_events(written(BEGUN, event)))


class TestReplay:
    """Reports of a recorded run are those of the run itself, byte for byte."""

    STAGE = events.StageStarted(index=0, name="", base="r/x:1", position=1, total=1)
    STEP = events.StepStarted(stage=0, position=1, total=1, instruction="RUN make")
    STEP_ENDED = events.StepFinished(
        stage=0, position=1, instruction="RUN make", seconds=0.3334999, layer_digest=DIGEST
    )
    RUN = (
        BEGUN,
        ImageStarted(name="web", position=1, total=2, at=50.2634567),
        ImageEvent(name="web", event=events.BuildStarted(name="web", dockerfile="D", context="."), at=50.3),
        ImageEvent(name="web", event=events.PullStarted(reference="r/x:1"), at=50.4),
        ImageEvent(
            name="web",
            event=events.PullFinished(reference="r/x:1", digest=DIGEST, layers=2, size=99, seconds=0.1234567),
            at=50.5234567,
        ),
        ImageEvent(name="web", event=STAGE, at=51.0),
        ImageEvent(name="web", event=STEP, at=51.0005),
        ImageEvent(name="web", event=events.CommandOutput(line="\x1b[31mé\udc80"), at=51.1),
        ImageEvent(name="web", event=STEP_ENDED, at=51.3),
        TimePassed(at=55.0),
        ImageEvent(name="web", event=events.ImageBuilt(digest=DIGEST, size=7, layers=1), at=55.1),
        ImageFinished(outcome=OUTCOME, at=55.2),
        ImageFinished(outcome=Outcome(name="b", status="skipped", message="needs c"), at=55.2),
        RunFinished(report=RunReport(outcomes=(OUTCOME,), seconds=5.123456), at=55.3),
    )

    @pytest.mark.parametrize("count", range(1, len(RUN) + 1))
    def test_the_reports_are_the_same(self, tmp_path, count):
        live = ReportFolder.create(str(tmp_path / "live"), pytest.fail)
        again = ReportFolder.create(str(tmp_path / "again"), pytest.fail)
        for event in self.RUN[:count]:
            live(event)
        for event in read_events(written(*self.RUN[:count])):
            again(event)
        live.close()
        again.close()
        files = {path.relative_to(tmp_path / "live"): path.read_bytes() for path in files_of(tmp_path / "live")}
        assert files == {
            path.relative_to(tmp_path / "again"): path.read_bytes() for path in files_of(tmp_path / "again")
        }
        assert len(files) >= 4


def files_of(folder: Path):
    return [path for path in folder.rglob("*") if path.is_file()]


class TestFile:
    def test_a_reader_that_goes_away_does_not_stop_the_run(self):
        reader, writer = os.pipe()
        sink = EventsFile(writer)
        sink(BEGUN)
        os.close(reader)
        sink(TimePassed())
        sink(TimePassed())
        os.close(writer)

    @pytest.mark.parametrize(
        ("descriptor", "path", "message"),
        [
            (3, "x", "--events-fd and --events-file contradict"),
            (9999, "", "--events-fd 9999 cannot be written: Bad file"),
            (None, "/nowhere/x", "--events-file /nowhere/x cannot be written: No such"),
        ],
    )
    def test_what_cannot_be_written_is_told_at_once(self, descriptor, path, message):
        with pytest.raises(UsageError, match=message):
            open_events(descriptor, path)

    def test_nothing_is_asked_for(self):
        assert open_events(None, "") is None

    def test_the_executor_writes_the_same_lines(self, tmp_path):
        descriptor = open_events(None, str(tmp_path / "events"))
        sink = EventLines(descriptor)
        sink(events.BuildStarted(name="", dockerfile="D", context="."))
        sink(events.ImageBuilt(digest=DIGEST, size=1, layers=1))
        os.close(descriptor)
        documents = [json.loads(line) for line in (tmp_path / "events").read_bytes().splitlines()]
        assert [list(VALIDATOR.iter_errors(document)) for document in documents] == [[], []]
        assert [document["image"] for document in documents] == ["", ""]
        assert documents[0]["at"] <= documents[1]["at"] < 5


def test_moments_are_to_the_microsecond():
    began = Moment(10.0, datetime(2026, 1, 1, tzinfo=UTC))
    assert Moment.since(began, 11.23456789) == Moment(1.234568, datetime(2026, 1, 1, 0, 0, 1, 234568, tzinfo=UTC))


def test_without_a_beginning_the_first_event_is_it():
    assert RunDocuments().document(RunWarned(message="x", at=7.0))["at"] == 0.0
