"""The live status on a terminal: what it says, and what a small terminal of our own shows of it."""

import dataclasses
import io
import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor import events
from runner.outcome import Outcome, RunReport
from runner.report.console.console import Console, Paper
from runner.report.console.livearea import LiveArea, LiveConsole
from runner.report.console.livestatus import LiveStatus
from runner.runevents import (
    ImageEvent,
    ImageFinished,
    ImageOutput,
    ImageStarted,
    RunFinished,
    RunStarted,
    TimePassed,
)


class Screen(io.StringIO):
    """A terminal of `columns`, endless downwards: `rows` is what it shows. Understands what LiveArea writes."""

    def __init__(self, columns=60, lines=24):
        super().__init__()
        self.columns, self.lines = columns, lines
        self.rows, self.row, self.column, self.wraps = [""], 0, 0, True

    def size(self):
        return os.terminal_size((self.columns, self.lines))

    def write(self, text):
        for command, final, char in re.findall(r"\x1b\[([0-9;?]*)([a-zA-Z])|([\s\S])", text):
            if final:
                self.obey(command, final)
            else:
                self.put(char)
        return len(text)

    def obey(self, command, final):
        if final == "A":
            assert self.row >= int(command), "above the screen"
            self.row -= int(command)
        elif final == "J":
            self.rows[self.row :] = [self.rows[self.row][: self.column]]
        elif (command, final) in (("?7", "l"), ("?7", "h")):
            self.wraps = final == "h"
        else:
            assert final == "m", (command, final)

    def put(self, char):
        if char == "\r":
            self.column = 0
        elif char == "\n" or (self.column == self.columns and self.wraps):
            self.row, self.column = self.row + 1, 0
            if self.row == len(self.rows):
                self.rows.append("")
        if char not in "\r\n" and self.column < self.columns:
            kept = self.rows[self.row].ljust(self.column)
            self.rows[self.row] = kept[: self.column] + char + kept[self.column + 1 :]
            self.column += 1

    @property
    def shown(self):
        return [row.rstrip() for row in self.rows if row.strip()]


BEGUN = RunStarted(file="f", images=("web", "api"), jobs=2, at=100.0)
STEP = events.StepStarted(stage=0, position=1, total=2, instruction="RUN make \\\n all")


def started(name, at):
    return ImageStarted(name=name, position=1, total=2, at=at)


def ended(name, status="built", at=110.0):
    return ImageFinished(outcome=Outcome(name=name, status=status, message="m"), at=at)


def status_of(*told):
    status = LiveStatus()
    for event in told:
        status.note(event)
    return status


class TestStatus:
    def test_what_each_image_is_at(self):
        step = ImageEvent(name="web", event=STEP, at=102)
        status = status_of(BEGUN, started("web", 101), step, started("api", 103), TimePassed(at=112.5))
        assert status.lines(50, 24) == [
            "web  RUN make \\                             10.5 s",
            "api  starting                                9.5 s",
            "0 of 2 done, 2 in progress, 12.5 s",
        ]

    def test_how_far_transfers_are(self):
        told = [
            events.PullStarted(reference="r/x:1"),
            events.TransferAdvanced(direction="pull", digest="a", done=30_000_000, total=40_000_000),
            events.TransferAdvanced(direction="pull", digest="b", done=0, total=20_000_000),
        ]
        status = status_of(
            BEGUN, started("web", 101), *(ImageEvent(name="web", event=event, at=101) for event in told)
        )
        assert status.lines(70, 24)[0] == "web  pulling r/x:1              [#####-----] 30.0 MB of 60.0 MB  0.0 s"
        for digest in "ab":
            unpacked = events.LayerUnpacked(digest=digest, size=1, downloaded=True, seconds=1)
            status.note(ImageEvent(name="web", event=unpacked, at=102))
        assert "[" not in status.lines(70, 24)[0]

    def test_what_has_ended(self):
        status = status_of(BEGUN, started("web", 101), ended("web", "failed"), ended("api", "skipped", at=165.0))
        assert status.lines(60, 24) == ["2 of 2 done, 1 failed, 1 skipped, 0 in progress, 1 min 05 s"[:60]]

    def test_many_images_take_a_third_of_the_terminal(self):
        names = tuple(f"image-{number}" for number in range(30))
        begun = RunStarted(file="f", images=names, jobs=30, at=0.0)
        lines = status_of(begun, *(started(name, 1) for name in names)).lines(80, 24)
        assert len(lines) == 8
        assert lines[-2:] == ["… and 24 more", "0 of 30 done, 30 in progress, 1.0 s"]

    def test_before_the_run_there_is_nothing(self):
        assert LiveStatus().lines(80, 24) == []

    @given(st.text(max_size=80), st.text(max_size=80), st.integers(1, 200), st.integers(1, 60), st.booleans())
    def test_lines_fit(self, name, text, width, height, transfer):
        begun = RunStarted(file="f", images=(name, "x"), jobs=2, at=0.0)
        event = events.PullStarted(reference=text)
        if transfer:
            event = events.TransferAdvanced(direction="pull", digest="a", done=1, total=2)
        lines = status_of(begun, started(name, 1), ImageEvent(name=name, event=event, at=2)).lines(width, height)
        assert 1 <= len(lines) <= max(height // 3, 2)
        assert all(len(line) <= width for line in lines)


class TestScreen:
    def console(self, screen, **options):
        area = LiveArea(screen, screen.size)
        console = Console(Paper(area), Paper(screen), **options)
        return LiveConsole(console, area, LiveStatus())

    def test_the_log_scrolls_above_the_status(self):
        screen = Screen()
        console = self.console(screen)
        for event in [BEGUN, started("web", 101), ImageEvent(name="web", event=STEP, at=102)]:
            console(event)
        for number in range(50):
            console(ImageOutput(name="web", line=f"line {number}", at=103 + number / 100))
        assert screen.shown[0] == "web | image 1 of 2"
        assert screen.shown[-3] == "web | line 49"
        assert screen.shown[-2].startswith("web  RUN make")
        assert screen.shown[-1] == "0 of 2 done, 1 in progress, 3.5 s"
        assert len(screen.shown) == 3 + 50 + 2

    def test_time_goes_on_in_place(self):
        screen = Screen()
        console = self.console(screen)
        for event in [BEGUN, started("web", 101), TimePassed(at=102), TimePassed(at=103)]:
            console(event)
        assert screen.shown[-1] == "0 of 2 done, 1 in progress, 3.0 s"
        assert len(screen.shown) == 3

    def test_at_the_end_only_the_log_and_the_table_are_left(self):
        screen = Screen(columns=100)
        console = self.console(screen)
        report = RunReport(outcomes=(Outcome(name="web", status="built"),), seconds=10)
        for event in [BEGUN, started("web", 101), ended("web"), ended("api"), RunFinished(report=report)]:
            console(event)
        assert "in progress" not in "\n".join(screen.shown)
        assert screen.shown[-1] == "1 image in 10.0 s: 1 built"

    def test_long_lines_of_the_log_wrap_and_the_status_does_not(self):
        screen = Screen(columns=30)
        console = self.console(screen)
        for event in [
            BEGUN,
            started("web", 101),
            ImageOutput(name="web", line="x" * 100, at=102),
            TimePassed(at=103),
        ]:
            console(event)
        assert "".join(screen.shown[1:5]) == "web | " + "x" * 100
        assert len(screen.shown) == 1 + 4 + 2

    def test_a_terminal_that_grows_narrow(self):
        """What was drawn is wrapped by the terminal then; it goes all the same."""
        screen = Screen(columns=60)
        console = self.console(screen)
        for event in [BEGUN, started("web", 101), ImageEvent(name="web", event=STEP, at=102)]:
            console(event)
        rows, screen.rows, screen.columns = screen.shown, [], 30
        for row in rows:
            screen.rows += [row[:30], row[30:]] if len(row) > 30 else [row]
        screen.rows.append("")
        screen.row, screen.column = len(screen.rows) - 1, 0
        console(TimePassed(at=104))
        assert [row for row in screen.shown if "in progress" in row or "done" in row] == [
            "0 of 2 done, 1 in progress, 4.0 s"[:30]
        ]

    def test_a_terminal_that_tells_no_size(self):
        def unknown():
            raise OSError

        assert LiveArea(io.StringIO(), unknown).size == (80, 24)
        assert LiveArea(io.StringIO(), lambda: os.terminal_size((0, 0))).size == (80, 24)


@pytest.mark.parametrize("colour", [False, True])
def test_colours_change_nothing_but_the_colour(colour):
    status = LiveStatus(colour=colour)
    for event in (BEGUN, started("web", 101)):
        status.note(dataclasses.replace(event))
    lines = status.lines(60, 24)
    assert any("\x1b" in line for line in lines) is colour
    assert [len(re.sub(r"\x1b\[\d+m", "", line)) for line in lines] == [60, 33]
