"""What the log says: kaniko's words where people look for them."""

import io
import json
import os

import pytest

from executor.errors import Location, StepError
from executor.events import (
    BuildFailed,
    CacheLookedUp,
    CommandOutput,
    LayerWritten,
    StageStarted,
    StepFinished,
    StepStarted,
    Warned,
)
from executor.logsinks import LogSink


def logged(event, **options):
    log = io.StringIO()
    LogSink(log=log, output=io.StringIO(), **options)(event)
    return log.getvalue()


@pytest.mark.parametrize(
    ("hit", "line"),
    [
        (True, "INFO Using caching version of cmd: RUN make\n"),
        (False, "INFO No cached layer found for cmd RUN make\n"),
    ],
)
def test_look_ups_are_told_in_kanikos_words(hit, line):
    event = CacheLookedUp(instruction="RUN make", key="0" * 64, hit=hit)
    assert logged(event) == line
    assert logged(event, verbosity="warn") == ""


def test_what_a_terminal_would_obey_is_written_out_but_for_what_commands_say():
    assert logged(Warned(message="\x1b[2J", location="a\x07:1")) == "WARN a\\x07:1: \\x1b[2J\n"
    assert "from x\\x1b" in logged(StageStarted(index=0, name="web", base="x\x1b", position=1, total=1))
    output = io.StringIO()
    LogSink(log=io.StringIO(), output=output)(CommandOutput(line="\x1b[1mbold", stage=0))
    assert output.getvalue() == "\x1b[1mbold\n"


def test_a_finished_step_says_its_layer_and_whether_it_was_cached():
    step = {
        "stage": 0,
        "position": 1,
        "instruction": "RUN",
        "seconds": 1.25,
        "layer_digest": "d",
        "layer_size": 5000,
    }
    assert logged(StepFinished(**step)) == "INFO     done in 1.2 s, layer of 5.0 kB\n"
    assert logged(StepFinished(**step, cached=True)) == "INFO     cached, layer of 5.0 kB\n"


def test_lines_of_several_stages_begin_with_their_stage():
    log, output = io.StringIO(), io.StringIO()
    sink = LogSink(log=log, output=output)
    for index, name in ((0, "web"), (1, "")):
        sink(StageStarted(index=index, name=name, base="scratch", position=index + 1, total=2))
    sink(StepStarted(stage=1, position=1, total=2, instruction="RUN make"))
    sink(LayerWritten(stage=0, position=3, digest="d", size=5000, seconds=1.0, meanwhile=True))
    sink(CommandOutput(line="made", stage=0))
    assert log.getvalue().splitlines()[-2:] == [
        "INFO 1 | [1/2] RUN make",
        "INFO web |     layer of step 3: 5.0 kB, in 1.0 s",
    ]
    assert output.getvalue() == "web | made\n"


def test_a_stage_for_two_platforms_has_two_labels():
    output = io.StringIO()
    sink = LogSink(log=io.StringIO(), output=output)
    for index in (0, 2):
        sink(StageStarted(index=index, name="web", base="scratch", position=1, total=4))
        sink(CommandOutput(line="made", stage=index))
    assert output.getvalue() == "web | made\nweb 2 | made\n"


def test_lines_of_a_single_stage_have_no_label():
    log, output = io.StringIO(), io.StringIO()
    sink = LogSink(log=log, output=output)
    sink(StageStarted(index=0, name="web", base="scratch", position=1, total=1))
    sink(CommandOutput(line="made", stage=0))
    assert output.getvalue() == "made\n"


def test_a_failure_quotes_the_lines_before_the_hint_and_json_has_them_apart():
    error = StepError("no such file", hint="look", location=Location("Dockerfile", 4, 1, 5))
    error.excerpt = "  4 | >>> COPY a \\\n  5 | >>>   /b"
    event = BuildFailed.of(error)
    assert logged(event).splitlines() == [
        "ERRO Dockerfile:4:1: no such file",
        "       4 | >>> COPY a \\",
        "       5 | >>>   /b",
        "     hint: look",
    ]
    document = json.loads(logged(event, log_format="json"))
    assert (document["message"], document["file"], document["line"]) == (
        "Dockerfile:4:1: no such file", "Dockerfile", 4,
    )  # fmt: skip
    assert document["excerpt"] == error.excerpt


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_build_goes_on_when_nobody_reads_any_more(log_format):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as pipe:
        sink = LogSink(log_format=log_format, log=pipe, output=pipe)
        for number in range(3):
            sink(CommandOutput(line=f"line {number}", stage=0))
            sink(Warned(message="odd"))
