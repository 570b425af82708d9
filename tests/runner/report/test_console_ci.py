"""The console in CI: sections and notes of GitLab and GitHub, and the lines of a silent run."""

import dataclasses
import io
import re

import pytest

from executor import events
from runner.outcome import Outcome, RunReport
from runner.report.console.cimarkup import GitHubMarkup, GitLabMarkup, NoMarkup, Note, markup_for
from runner.report.console.console import Console, Paper
from runner.report.console.heartbeat import Heartbeat
from runner.runevents import (
    ImageEvent,
    ImageFinished,
    ImageOutput,
    ImageStarted,
    RunFinished,
    RunStarted,
    TimePassed,
)

BUILT = Outcome(name="a", status="built", seconds=1.0)
FAILED = Outcome(name="a", status="failed", message="50% of\nit: no", file="/repo/a/Dockerfile", line=3)
SKIPPED = Outcome(name="b", status="skipped", message="needs a, which failed")
WARNED = ImageEvent(name="a", event=events.Warned(message="old", location="/repo/Dockerfile:7:1"))


def log_of(*told, markup, jobs=1, verbosity="normal"):
    log = io.StringIO()
    console = Console(Paper(log), Paper(io.StringIO()), verbosity=verbosity, markup=markup)
    for event in [RunStarted(file="f", images=("a", "b"), jobs=jobs), *told]:
        console(event)
    return log.getvalue()


def image(name, *told, outcome):
    return [ImageStarted(name=name, position=1, total=2), *told, ImageFinished(outcome=outcome)]


class TestGitLab:
    def test_an_image_is_a_section_and_its_end_is_said_after_it(self):
        text = log_of(
            *image("a", ImageOutput(name="a", line="x"), outcome=FAILED), markup=GitLabMarkup(lambda: 12.9)
        )
        assert text == (
            "\x1b[0Ksection_start:12:krunner_a[collapsed=true]\r\x1b[0Ka: image 1 of 2\n"
            "a | image 1 of 2\n"
            "a | x\n"
            "\x1b[0Ksection_end:12:krunner_a\r\x1b[0K\n"
            "a | failed: 50% of\n"
            "a | it: no\n"
        )

    def test_every_section_that_begins_also_ends(self):
        told = [*image("a", outcome=FAILED), ImageFinished(outcome=SKIPPED), *image("b", outcome=BUILT)[:1]]
        told += [ImageFinished(outcome=Outcome(name="b", status="stopped", message="m"))]
        found = re.findall(r"section_(start|end):\d+:(\w+)", log_of(*told, markup=GitLabMarkup()))
        assert found == [
            ("start", "krunner_a"),
            ("end", "krunner_a"),
            ("start", "krunner_b"),
            ("end", "krunner_b"),
        ]

    def test_no_sections_where_nothing_is_said(self):
        assert "section" not in log_of(
            *image("a", WARNED, outcome=FAILED), markup=GitLabMarkup(), verbosity="quiet"
        )


def at_once(markup, *told):
    """The log of two images that are built at the same time, by a clock that counts events."""
    log, clock = io.StringIO(), Clock()
    console = Console(Paper(log), Paper(io.StringIO()), markup=markup, clock=clock)
    for event in [RunStarted(file="f", images=("a", "b"), jobs=2), *told]:
        console(event)
        clock.now += 1
    return log.getvalue()


A, B = (ImageStarted(name=name, position=number, total=2) for number, name in ((1, "a"), (2, "b")))
SAYS_A, SAYS_B = (ImageOutput(name=name, line=f"I am {name}") for name in "ab")
END_A, END_B = ImageFinished(outcome=BUILT), ImageFinished(outcome=dataclasses.replace(FAILED, name="b"))


class TestSeveralImagesAtOnce:
    def test_each_is_a_section_that_is_written_when_it_has_ended(self):
        text = at_once(GitLabMarkup(lambda: 112.0), A, B, SAYS_A, SAYS_B, END_A, SAYS_B, END_B)
        assert text == (
            "a | image 1 of 2\n"
            "b | image 2 of 2\n"
            "\x1b[0Ksection_start:108:krunner_a[collapsed=true]\r\x1b[0Ka: image 1 of 2\n"
            "a | I am a\n"
            "\x1b[0Ksection_end:112:krunner_a\r\x1b[0K\n"
            "a | built in 1.0 s\n"
            "\x1b[0Ksection_start:107:krunner_b\r\x1b[0Kb: image 2 of 2\n"
            "b | I am b\n"
            "b | I am b\n"
            "\x1b[0Ksection_end:112:krunner_b\r\x1b[0K\n"
            "b | failed: 50% of\n"
            "b | it: no\n"
        )

    def test_groups_of_github_too(self):
        text = at_once(GitHubMarkup(), A, B, SAYS_B, SAYS_A, WARNED, END_A)
        assert "::group::a: image 1 of 2\na | I am a\n" in text
        assert text.index("::warning") < text.index("::group::a")  # a note stands outside of all groups

    def test_what_is_held_back_is_bounded_and_says_so(self):
        text = at_once(GitLabMarkup(), A, *[SAYS_A] * 5000, END_A)
        assert text.count("I am a") == 4000
        assert "… 1000 lines before these are in the image's log file" in text

    def test_elsewhere_lines_go_by_as_they_come(self):
        assert at_once(NoMarkup(), A, B, SAYS_B, SAYS_A).splitlines()[2:] == ["b | I am b", "a | I am a"]

    def test_the_heartbeat_is_not_held_back(self):
        log, clock = io.StringIO(), Clock()
        console = Console(Paper(log), Paper(io.StringIO()), markup=GitLabMarkup(), clock=clock)
        for event in [RunStarted(file="f", images=("a", "b"), jobs=2), A, STEP]:
            console(event)
        clock.now += 31
        console(TimePassed())
        assert "a | in progress for 31.0 s: RUN make \\\n" in log.getvalue()


class TestGitHub:
    def test_an_image_is_a_group_with_notes_beside_its_files(self):
        text = log_of(*image("a", WARNED, outcome=FAILED), markup=GitHubMarkup("/repo"))
        assert text == (
            "::group::a: image 1 of 2\n"
            "a | image 1 of 2\n"
            "a | warning: /repo/Dockerfile:7:1: old\n"
            "::warning file=Dockerfile,line=7,col=1,title=a::old\n"
            "::endgroup::\n"
            "a | failed: 50% of\n"
            "a | it: no\n"
            "::error file=a/Dockerfile,line=3,title=a::failed: 50%25 of%0Ait: no\n"
        )

    def test_errors_are_noted_also_when_quiet_and_in_parallel(self):
        told = image("a", WARNED, outcome=FAILED)
        for options in ({"jobs": 2}, {"verbosity": "quiet"}):
            text = log_of(*told, markup=GitHubMarkup("/repo"), **options)
            assert "::error file=a/Dockerfile" in text
            assert text.count("::group::") == ("jobs" in options)
            assert ("::warning" in text) is ("jobs" in options)

    def test_what_was_stopped_or_skipped_is_no_error(self):
        stopped = Outcome(name="a", status="stopped", message="m")
        text = log_of(ImageFinished(outcome=stopped), ImageFinished(outcome=SKIPPED), markup=GitHubMarkup())
        assert "::error" not in text

    @pytest.mark.parametrize(
        ("note", "line"),
        [
            (Note(level="error", image="a", message="m"), "::error title=a::m"),
            (
                Note(level="error", image="a", message="m", file="D", line=0),
                "::error file=D,line=1,title=a::m",
            ),
            (
                Note(level="error", image="a", message="a,b:c\r\n", file="/repo/x,y:z%", line=2),
                "::error file=x%2Cy%3Az%25,line=2,title=a::a,b:c%0D%0A",
            ),
            (
                Note(level="error", image="a", message="m", file="D", line=2, column=7),
                "::error file=D,line=2,col=7,title=a::m",
            ),
            (
                Note(level="warning", image="a", message="m", file="/repository/D", line=2),
                "::warning file=/repository/D,line=2,title=a::m",
            ),
        ],
    )
    def test_notes(self, note, line):
        assert GitHubMarkup("/repo").note(note) == line

    def test_files_without_a_workspace_keep_their_name(self):
        note = Note(level="error", image="a", message="m", file="x/D", line=2)
        assert GitHubMarkup().note(note) == "::error file=x/D,line=2,title=a::m"

    def test_a_build_can_write_no_command(self):
        told = [
            ImageOutput(name="a", line="::error::x\n::add-path::/evil\r::group::y"),
            ImageEvent(name="a", event=events.CommandOutput(line="::error::x")),
        ]
        lines = log_of(*told, markup=GitHubMarkup()).splitlines()
        assert len(lines) == 4
        assert all(line.startswith("a |") for line in lines)


@pytest.mark.parametrize(
    ("location", "place"),
    [("a/D:7", ("a/D", 7)), ("a:b:7:2", ("a:b", 7)), ("", ("", 0)), ("no line", ("", 0))],
)
def test_the_place_of_a_warning(location, place):
    note = Note.of_warning("a", events.Warned(message="m", location=location))
    assert (note.file, note.line) == place


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"GITLAB_CI": "true"}, GitLabMarkup()),
        ({"GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": "/w"}, GitHubMarkup("/w")),
    ],
)
def test_the_server_is_known_by_its_variables(environment, expected):
    assert markup_for(environment) == expected


@pytest.mark.parametrize("environment", [{}, {"CI": "true"}, {"GITLAB_CI": ""}])
def test_elsewhere_there_is_no_markup(environment):
    assert isinstance(markup_for(environment), NoMarkup)
    assert log_of(*image("a", WARNED, outcome=FAILED), markup=markup_for(environment)) == (
        "a | image 1 of 2\na | warning: /repo/Dockerfile:7:1: old\na | failed: 50% of\na | it: no\n"
    )


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


STEP = ImageEvent(
    name="a", event=events.StepStarted(stage=0, position=1, total=1, instruction="RUN make \\\n  all")
)


class TestHeartbeat:
    def watch(self, *told, verbosity="normal"):
        """Show a list of events and of seconds that pass, with a tick after each."""
        clock, log = Clock(), io.StringIO()
        console = Console(Paper(log), Paper(io.StringIO()), clock=clock, verbosity=verbosity)
        console(RunStarted(file="f", images=("a", "b"), jobs=2))
        for item in told:
            if isinstance(item, int | float):
                clock.now += item
                console(TimePassed())
            else:
                console(item)
        return [line for line in log.getvalue().splitlines() if "in progress" in line]

    def test_after_30_seconds_of_silence(self):
        assert self.watch(STEP, 29.9) == []
        assert self.watch(STEP, 30) == ["a | in progress for 30.0 s: RUN make \\"]

    def test_again_and_again_but_not_at_each_tick(self):
        lines = self.watch(STEP, *[5] * 14)
        assert lines == ["a | in progress for 30.0 s: RUN make \\", "a | in progress for 1 min 00 s: RUN make \\"]

    def test_a_line_ends_the_silence(self):
        assert self.watch(STEP, 20, ImageOutput(name="b", line="x"), 20) == []

    def test_what_is_not_shown_does_not(self):
        assert self.watch(STEP, 20, ImageEvent(name="a", event=events.Noted(message="x")), 20) != []
        assert self.watch(STEP, 100, verbosity="quiet") == []

    def test_every_image_in_progress_is_named(self):
        told = [
            ImageStarted(name="a", position=1, total=2),
            ImageStarted(name="b", position=2, total=2),
            ImageEvent(name="b", event=events.PushStarted(reference="r/b:1")),
        ]
        assert self.watch(*told, 31) == [
            "a | in progress for 31.0 s: starting",
            "b | in progress for 31.0 s: pushing r/b:1",
        ]

    def test_an_image_that_ended_is_not(self):
        told = [STEP, ImageFinished(outcome=BUILT)]
        assert self.watch(*told, 31) == []

    def test_pulls(self):
        heartbeat = Heartbeat(Clock(), patience=0)
        heartbeat.note(ImageEvent(name="a", event=events.PullStarted(reference="r/x")))
        assert list(heartbeat.beats()) == [("a", "in progress for 0.0 s: pulling r/x")]


def test_the_table_is_the_same():
    results = io.StringIO()
    console = Console(Paper(io.StringIO()), Paper(results), markup=GitHubMarkup())
    console(RunStarted(file="f", images=("a",), jobs=1))
    console(RunFinished(report=RunReport(outcomes=(BUILT,), seconds=1)))
    assert results.getvalue().startswith("IMAGE")
