"""What the log says: kaniko's words where people look for them."""

import io

import pytest

from executor.events import CacheLookedUp, StepFinished
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
