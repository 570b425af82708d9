import io
import json

import pytest

from executor import events
from runner.outcome import Outcome, RunReport
from runner.report.console.console import Console, Paper
from runner.report.console.jsonlines import JsonLines
from runner.report.console.table import table
from runner.report.style import duration, size, wants_colour
from runner.run.eventstream import from_document
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

DIGEST = "sha256:" + "0" * 64
OUTCOMES = (
    Outcome(name="base", status="built", seconds=1.26, digest=DIGEST, size=2_020_000, pushed=("r/base:1",)),
    Outcome(name="local", status="built", seconds=75, digest=DIGEST, size=12),
    Outcome(name="bad", status="failed", seconds=0.04, message="RUN failed\nsecond line", hint="read the log"),
    Outcome(name="unpushed", status="push failed", seconds=3, digest=DIGEST, size=999_960, message="403"),
    Outcome(name="after", status="skipped", message="needs bad, which failed"),
)
REPORT = RunReport(outcomes=OUTCOMES, seconds=80.2)
EVENTS = [
    events.BuildStarted(name="a", dockerfile="Dockerfile", context="."),
    events.DriverChosen(driver="overlay", reason="first that works"),
    events.PullStarted(reference="r/x:1"),
    events.PullFinished(reference="r/x:1", digest=DIGEST, layers=2, size=28_300_000, seconds=1.5),
    events.StageStarted(index=0, name="make", base="r/x:1", position=1, total=2),
    events.StepStarted(stage=0, position=1, total=3, instruction="RUN make \\\n  all"),
    events.CommandOutput(line="gcc x.c"),
    events.CommandOutput(line=""),
    events.StepFinished(stage=0, position=1, instruction="RUN", seconds=2.0, layer_digest=DIGEST, layer_size=5000),
    events.Warned(message="old syntax", location="Dockerfile:3"),
    events.RetryScheduled(action="push", error="503", attempt=2, wait=1.25),
    events.ImageBuilt(digest=DIGEST, size=3000, layers=4),
    events.PushStarted(reference="r/a:1"),
    events.PushFinished(reference="r/a:1", digest=DIGEST, sent=1, mounted=2, existing=3, size=1000, seconds=0.2),
    events.Noted(message="cache off"),
    events.BuildSucceeded(result={}),
]


def show(sequence, *, colour=False, verbosity="normal"):
    log, results = io.StringIO(), io.StringIO()
    sink = Console(Paper(log, colour=colour), Paper(results, colour=colour), verbosity=verbosity)
    sink(RunStarted(file="f", images=("base", "a"), jobs=1))
    for event in sequence:
        sink(event)
    return log.getvalue(), results.getvalue()


def test_what_a_terminal_would_obey_is_written_out_but_for_what_commands_say():
    told = [
        events.StageStarted(index=0, name="", base="x\x1b[2J", position=1, total=1),
        events.Warned(message="old \x1b[2J", location="a\x07:3"),
        events.CommandOutput(line="\x1b[1mbold"),
    ]
    log, _ = show([*(ImageEvent(name="a", event=event) for event in told), RunWarned(message="\x1b[2J")])
    assert log.splitlines() == [
        "a    | stage 0 from x\\x1b[2J, 1 of 1",
        "a    | warning: a\\x07:3: old \\x1b[2J",
        "a    |     \x1b[1mbold",
        "krunner: warning: \\x1b[2J",
    ]


def test_the_log_of_a_build():
    log, results = show(
        [ImageStarted(name="a", position=1, total=2), *(ImageEvent(name="a", event=e) for e in EVENTS)]
    )
    assert results == ""
    assert log == (
        "a    | image 1 of 2\n"
        "a    | found r/x:1 (2 layers, 28.3 MB)\n"
        "a    | stage 0 (make) from r/x:1, 1 of 2\n"
        "a    | [0: 1/3] RUN make \\\n"
        "a    |   all\n"
        "a    |     gcc x.c\n"
        "a    |\n"
        "a    | warning: Dockerfile:3: old syntax\n"
        "a    | push: 503; try 3 in 1.2 s\n"
        f"a    | built {DIGEST} (4 layers, 3.0 kB)\n"
        "a    | pushed r/a:1 (1 sent, 2 mounted, 3 there, 1.0 kB, 0.2 s)\n"
    )


def test_verbose_adds_the_details():
    log, _ = show([ImageEvent(name="a", event=e) for e in EVENTS], verbosity="verbose")
    for text in (
        "a    | root filesystem: overlay; first that works\n",
        "a    | pulling r/x:1\n",
        "a    | done in 2.0 s, layer of 5.0 kB\n",
        "a    | pushing r/a:1\n",
        "a    | cache off\n",
    ):
        assert text in log


def test_quiet_leaves_the_failures():
    sequence = [
        ImageStarted(name="a", position=1, total=1),
        *(ImageEvent(name="a", event=e) for e in EVENTS),
        ImageOutput(name="a", line="x"),
        ImageFinished(outcome=Outcome(name="base", status="built")),
        ImageFinished(outcome=Outcome(name="a", status="failed", message="no\nway", hint="go round")),
    ]
    assert show(sequence, verbosity="quiet") == ("a    | failed: no\na    | way\na    | hint: go round\n", "")


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(9.9, ""), (10.0, "a    | done in 10.0 s\na    | fetched and unpacked a layer of 5.0 kB in 10.0 s\n")],
)
def test_what_took_long_says_so(seconds, told):
    step = events.StepFinished(stage=0, position=1, instruction="RUN", seconds=seconds)
    layer = events.LayerUnpacked(digest=DIGEST, size=5000, downloaded=True, seconds=seconds)
    assert show([ImageEvent(name="a", event=event) for event in (step, layer)]) == (told, "")


def test_a_cached_step_says_so():
    step = events.StepFinished(
        stage=0, position=1, instruction="RUN", seconds=0.0, layer_digest=DIGEST, layer_size=5000, cached=True
    )
    assert show([ImageEvent(name="a", event=step)]) == ("a    | cached, layer of 5.0 kB\n", "")


def test_the_table():
    steps = [
        ImageEvent(name="base", event=events.StepFinished(stage=0, position=4, instruction="CMD", seconds=1)),
        *(
            ImageEvent(name="base", event=events.CacheLookedUp(instruction="RUN", key=f"{n}", hit=n == 2))
            for n in (1, 2, 3)
        ),
    ]
    assert show([*steps, RunFinished(report=REPORT)])[1] == (
        "IMAGE     STATUS       TIME        CACHE  SIZE    DIGEST\n"
        f"base      pushed       1.3 s       1/3    2.0 MB  {DIGEST}\n"
        f"local     built        1 min 15 s         12 B    {DIGEST}\n"
        "bad       failed       0.0 s                      RUN failed\n"
        f"unpushed  push failed  3.0 s              1.0 MB  {DIGEST}\n"
        "after     skipped                                 needs bad, which failed\n"
        "\n"
        "5 images in 1 min 20 s: 1 pushed, 1 built, 1 failed, 1 push failed, 1 skipped\n"
    )


def test_on_a_terminal_the_table_is_no_wider_than_it():
    report = RunReport(outcomes=OUTCOMES, seconds=1)
    whole = table(report, {}).splitlines()
    for width in (70, 100, 300):
        shown = table(report, {}, width=width).splitlines()
        assert max(map(len, shown[:-1])) <= width
        assert [line.removesuffix("…") for line in shown] == [
            line[: len(cut.removesuffix("…"))] for line, cut in zip(whole, shown, strict=True)
        ]
    assert shown == whole
    narrow = table(report, {}, width=10).splitlines()[1]
    assert narrow.split()[-1] == f"{DIGEST[:19]}…"


@pytest.mark.parametrize(("width", "columns"), [(0, 100), (120, 85), (70, 35)])
def test_a_long_message_keeps_what_came_of_it(width, columns):
    message = f"web/Dockerfile:4:1: RUN set -eux; {'make all; ' * 20}… ended with status 1"
    outcome = Outcome(name="web", status="failed", message=message, seconds=1.0)
    shown = (
        table(RunReport(outcomes=[outcome], seconds=1), {}, width=width).splitlines()[1].split("  ")[-1].strip()
    )
    assert shown.startswith("web/Dockerfile:4:1:")
    assert shown.endswith("… ended with status 1") == (columns > 48)
    assert len(shown) == columns


def test_colour_changes_nothing_but_the_colour():
    sequence = [ImageFinished(outcome=outcome) for outcome in OUTCOMES if outcome.name == "base"]
    plain, _ = show(sequence)
    coloured, _ = show(sequence, colour=True)
    assert "\x1b[32m" in coloured
    stripped = coloured
    for code in ("\x1b[32m", "\x1b[36m", "\x1b[0m"):
        stripped = stripped.replace(code, "")
    assert stripped == plain
    assert "\x1b[31mfailed     \x1b[0m" in table(REPORT, {}, colour=True)
    assert "\x1b" not in table(REPORT, {})


def test_json_lines_hold_every_event():
    log, results = io.StringIO(), io.StringIO()
    sink = JsonLines(log, results)
    for event in [*(ImageEvent(name="a", event=e) for e in EVENTS), TimePassed(), RunFinished(report=REPORT)]:
        sink(event)
    documents = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [from_document(document).event for document in documents] == EVENTS
    (report,) = [json.loads(line) for line in results.getvalue().splitlines()]
    assert report["report"]["outcomes"][0]["digest"] == DIGEST
    assert report["time"].endswith("Z")


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("stream", "environment", "expected"),
    [
        (Terminal(), {}, True),
        (Terminal(), {"TERM": "dumb"}, False),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"NO_COLOR": ""}, True),
        (Terminal(), {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        (io.StringIO(), {}, False),
        (io.StringIO(), {"FORCE_COLOR": "1"}, True),
        (io.StringIO(), {"FORCE_COLOR": "0"}, False),
        (io.StringIO(), {"CLICOLOR_FORCE": "1"}, True),
        (io.StringIO(), {"GITLAB_CI": "true"}, True),
        (io.StringIO(), {"CI": "true"}, False),
    ],
)
def test_when_to_use_colour(stream, environment, expected):
    assert wants_colour(stream, environment) is expected


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_951, "1.0 MB"),
        (5 * 10**15, "5000.0 TB"),
    ],
)
def test_sizes(count, text):
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0.0 s"), (59.94, "59.9 s"), (59.96, "1 min 00 s"), (3725, "62 min 05 s")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text
