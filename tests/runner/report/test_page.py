"""report.html as text: escaping, bounds, the critical path, and that it says what a reader looks for."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.events import CommandOutput
from runner.outcome import Outcome
from runner.report.criticalpath import critical_path
from runner.report.html.markup import Html, join, tag
from runner.report.html.page import page
from runner.report.html.pagestyle import STYLE
from runner.report.html.timeline import Bar, Scale, row
from runner.report.imagerecord import ImageRecord
from runner.report.plaintext import page_text
from runner.report.record import RunRecord
from runner.runevents import ImageEvent, ImageFinished, ImageKept, ImageStarted, RunStarted
from tests.support import sampleruns

EMPTY = sampleruns.Recorder().run((), {}, jobs=1, file="f")


def recorded(told):
    record = RunRecord()
    for event in told:
        record.note(event)
    return record


def rendered(told):
    return page(recorded(told)).decode()


class Balance(HTMLParser):
    """Every element that begins also ends, in order."""

    def __init__(self):
        super().__init__()
        self.open, self.kinds, self.attributes = [], set(), []

    def handle_starttag(self, tag, attrs):
        self.kinds.add(tag)
        self.attributes += attrs
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize(
    "told",
    [sampleruns.thirty(), sampleruns.small(ended=False), sampleruns.hostile(), EMPTY],
    ids=["thirty", "unfinished", "hostile", "empty"],
)
def test_it_is_well_formed_and_needs_nothing(told):
    text = rendered(told)
    parser = Balance()
    parser.feed(text)
    assert parser.open == []
    assert not parser.kinds & {"script", "img", "link", "iframe", "object", "base", "form"}
    names = {name for name, _ in parser.attributes}
    assert not {name for name in names if name in ("src", "style") or name.startswith("on")}
    links = [value for name, value in parser.attributes if name == "href"]
    assert all(link in ("result.json", "junit.xml", "digests.txt") or link.startswith("logs/") for link in links)
    assert not re.search(r"url\(|@import|//", STYLE)


def test_a_reader_finds_what_went_wrong():
    text = re.sub("<[^>]+>", " ", rendered(sampleruns.thirty()))
    for words in (
        "25 of 30 images built",
        "exit code 1: a build failed",
        "images/service-07/Dockerfile:14",
        "src/server.c:39: error",
        "What to do: give the robot account push rights",
        "needs service-19, which failed",
        "Critical path",
        "Slowest steps",
        "Largest layers",
        "Warnings",
    ):
        assert re.search(r"\s+".join(map(re.escape, words.split())), text.replace("&#x27;", "'")), words


def test_a_run_without_an_end_says_so():
    assert "the run has not ended" in rendered(sampleruns.small(ended=False))
    assert "unfinished" not in rendered(sampleruns.small())


def test_the_size_is_bounded():
    assert len(rendered(sampleruns.many(400))) < 2_500_000
    assert len(rendered(sampleruns.hostile())) < 60_000


@given(st.text(st.characters(codec=None)))
def test_text_cannot_become_an_element(text):
    made = tag("p", text, title=text)
    parser = Balance()
    parser.feed(made)
    assert parser.kinds == {"p"}
    made.encode()


def test_markup():
    assert (
        tag("td", "a<b", Html("<i>"), class_="x", aria_hidden=True, id=None)
        == '<td class="x" aria-hidden>a&lt;b<i></td>'
    )
    assert join("&", Html("&")) == "&amp;&"
    assert page_text("abcdef", 4) == "abc…"
    assert page_text("\x1b[31mred\u202e", 10) == "red\ufffd"


@given(st.floats(0, 1e7), st.floats(0, 1e7))
def test_marks_are_few_and_within(start, length):
    scale = Scale(start, start + length)
    assert len(scale.marks) <= 8
    assert all(start <= mark + 0.001 and mark - 0.001 <= scale.end for mark in scale.marks)


@given(st.floats(-10, 1e4), st.floats(-10, 1e4))
def test_bars_stay_in_the_picture(start, length):
    shown = row([Bar(kind="step", start=start, end=start + length, title="x")], Scale(0, 100), "label")
    left, width = (float(value) for value in re.search(r'x="([\d.]+)%" width="([\d.]+)%"', shown).groups())
    assert 0 <= left <= 100
    assert width > 0
    assert left + width <= 100.16


class TestCriticalPath:
    def path(self, now=100.0, **images):
        """Images: name → (start, end, what it needs)."""
        records = {
            name: ImageRecord(name=name, start=start, end=end, needs=tuple(needs.split()))
            for name, (start, end, needs) in images.items()
        }
        return [(link.image.name, link.reason) for link in critical_path(records, now)]

    def test_a_chain(self):
        assert self.path(a=(0, 5, ""), b=(5.01, 8, "a"), other=(0, 3, "")) == [("a", "needed"), ("b", "last")]

    def test_the_longer_of_two_needs(self):
        path = self.path(a=(0, 5, ""), b=(0, 7, ""), c=(7.1, 9, "a b"))
        assert path == [("b", "needed"), ("c", "last")]

    def test_what_waits_for_a_place(self):
        path = self.path(a=(0, 5, ""), b=(0, 3, ""), c=(5.0, 9, "b"))
        assert path == [("a", "busy"), ("c", "last")]

    def test_what_has_not_ended_ends_now(self):
        assert self.path(now=20.0, a=(0, 5, ""), b=(5, None, "a")) == [("a", "needed"), ("b", "last")]

    def test_nothing_begun(self):
        assert self.path(a=(None, None, "")) == []

    def test_images_that_need_themselves_end_too(self):
        assert self.path(a=(0, 5, "a b"), b=(0, 5, "a")) == [("a", "last")]


def page_of(*told):
    begun = RunStarted(file="f", images=("a",), jobs=1, at=0.0)
    return rendered([begun, *told])


def test_what_a_command_said_is_shown_once():
    lines = ["making", "no rule"]
    told = [ImageStarted(name="a", position=1, total=1, at=0.1)]
    told += [ImageEvent(name="a", event=CommandOutput(line=line), at=0.2) for line in lines]
    message = "the command 'make' ended with status 2\n    making\n    no rule"
    failed = ImageFinished(outcome=Outcome(name="a", status="failed", message=message), at=0.3)
    text = page_of(*told, failed)
    assert text.count("no rule") == text.count("making") == 1
    assert "ended with status 2" in text


def test_a_message_of_several_lines_that_no_log_has_is_whole():
    message = "built, but 2 of 2 pushes failed:\n    r/a:1: 403\n    r/b:1: 403"
    failed = ImageFinished(outcome=Outcome(name="a", status="push failed", message=message), at=0.3)
    assert "r/b:1: 403" in page_of(ImageStarted(name="a", position=1, total=1, at=0.1), failed)


def test_an_image_that_was_kept_says_so():
    digest = "sha256:" + "0" * 64
    entry = {
        "inputs": "1" * 64,
        "digest": digest,
        "size": 5,
        "layers": 1,
        "platform": "",
        "manifests": [],
        "driver": "",
    }
    outcome = Outcome(name="a", status="built", digest=digest, size=5, pushed=(f"r/a:1@{digest}",), kept=True)
    text = page_of(ImageKept(name="a", entry=entry, at=0.1), ImageFinished(outcome=outcome, at=0.1))
    assert "1 of 1 image done" in text
    assert ">kept</span>" in text
    assert "nothing that it is made of has changed" in text
    assert f"r/a:1@{digest}" in text
