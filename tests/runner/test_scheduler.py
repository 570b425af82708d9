"""The scheduler against a pool that the test plays by hand: what no real worker does on demand."""

import json
import os
import signal
import socket

import pytest

from executor import events
from executor.errors import InternalError, Location
from executor.spec import BuildResult, BuildSpec
from runner.model import ImageSpec
from runner.plan import PlannedImage, RunPlan
from runner.runevents import ImageFinished, ImageStarted, RunFinished, TimePassed
from runner.scheduler import RunOptions, Scheduler
from runner.workers import Ended, Launched


class ByHand:
    """A WorkerPool and a SignalSource. `script` maps an image to what happens when it is started."""

    def __init__(self, script):
        self.script = script
        self.launched = []
        self.signalled = []
        self.notices = []
        self.pipes = {}
        self.reader, self.writer = socket.socketpair()

    def fileno(self):
        return self.reader.fileno()

    def launch(self, spec):
        number = len(self.launched) + 1
        self.launched.append(spec)
        event_reader, event_writer = os.pipe2(os.O_NONBLOCK)
        output_reader, output_writer = os.pipe2(os.O_NONBLOCK)
        self.pipes[number] = (event_writer, output_writer)
        self.script[spec.name](self, number)
        return Launched(number, event_reader, output_reader)

    def signal(self, number, signal_number):
        self.signalled.append((number, signal_number))

    def receive(self):
        self.reader.recv(1 << 16)
        notices, self.notices = self.notices, []
        for notice in notices:
            if isinstance(notice, Exception):
                raise notice
        return notices

    def tell(self, number, *told):
        for item in told:
            line = item if isinstance(item, bytes) else json.dumps(events.to_json(item)).encode() + b"\n"
            os.write(self.pipes[number][0], line)

    def end(self, notice):
        self.notices.append(notice)
        self.writer.send(b"x")

    def close(self):
        for fds in self.pipes.values():
            for fd in fds:
                os.close(fd)
        self.reader.close()
        self.writer.close()


class NoSignals:
    def __init__(self, *numbers):
        self.numbers = numbers
        self.reader, self.writer = socket.socketpair()
        if numbers:
            self.writer.send(b"x")

    def fileno(self):
        return self.reader.fileno()

    def read(self):
        self.reader.recv(100)
        return self.numbers

    def close(self):
        self.reader.close()
        self.writer.close()


def result(digest):
    return BuildResult(
        digest=digest, media_type="", config_digest="", size=5, platform="", driver="", seconds=0, pushed=("r:1",)
    )


def succeed(pool, number):
    pool.tell(number, events.BuildSucceeded(result=result(f"sha256:{number}").to_json()))
    pool.end(Ended(number, 0))


def hang(pool, number):
    pass


@pytest.fixture
def run():
    opened = []

    def run_script(script, needs=(), signals=(), **options):
        needs = dict(needs)
        images = tuple(
            PlannedImage(
                image=ImageSpec(
                    name=name,
                    build=BuildSpec(context=".", name=name),
                    references=(f"r/{name}:1",),
                    location=Location("f"),
                ),
                needs=needs.get(name, ()),
            )
            for name in script
        )
        pool, source, seen = ByHand(script), NoSignals(*signals), []
        opened.extend([pool, source])
        report = Scheduler(RunPlan(images=images), pool, source, seen.append, RunOptions(**options)).run()
        assert isinstance(seen[-1], RunFinished)
        assert {e.outcome.name for e in seen if isinstance(e, ImageFinished)} == set(script)
        return report, pool, seen

    yield run_script
    for item in opened:
        item.close()


def statuses(report):
    return {outcome.name: outcome.status for outcome in report.outcomes}


def test_dependents_are_told_of_every_image_built_before(run):
    report, pool, _ = run({"a": succeed, "b": succeed, "c": succeed}, {"c": ("a",)})
    assert statuses(report) == {"a": "built", "b": "built", "c": "built"}
    assert [dict(spec.local_images) for spec in pool.launched] == [
        {},
        {"r/a:1": "sha256:1"},
        {"r/a:1": "sha256:1", "r/b:1": "sha256:2"},
    ]


def test_positions_count_starts(run):
    _, _, seen = run({"a": succeed, "b": succeed})
    assert [(e.name, e.position, e.total) for e in seen if isinstance(e, ImageStarted)] == [
        ("a", 1, 2),
        ("b", 2, 2),
    ]


def test_no_more_than_jobs_at_once_and_only_what_is_ready(run):
    running, most = set(), []

    def start(name):
        def started(pool, number):
            running.add(number)
            most.append(len(running))
            if name == "c":
                for other in sorted(running):
                    running.discard(other)
                    succeed(pool, other)

        return started

    report, pool, _ = run(
        {"a": start("a"), "b": start("b"), "c": start("c"), "d": succeed, "e": succeed}, {"d": ("a",)}, jobs=3
    )
    assert most == [1, 2, 3]
    assert set(statuses(report).values()) == {"built"}
    assert [spec.name for spec in pool.launched] == ["a", "b", "c", "d", "e"]


def test_half_a_line_of_a_killed_worker_is_shown_as_it_is(run):
    def die(pool, number):
        pool.tell(
            number, events.Noted(message="x"), b'{"type": "Noted", "mess', b'\n{"type": "Unknown"}\n[1]\n"x"'
        )
        pool.end(Ended(number, -signal.SIGKILL))

    report, _, seen = run({"a": die})
    assert statuses(report) == {"a": "failed"}
    lines = [event.line for event in seen if type(event).__name__ == "ImageOutput"]
    assert lines == ['{"type": "Noted", "mess', '{"type": "Unknown"}', "[1]", '"x"']


def test_a_process_that_cannot_be_started(run):
    report, _, _ = run({"a": lambda pool, number: pool.end(Ended(number, 1, refusal="Cannot allocate memory"))})
    (outcome,) = report.outcomes
    assert "Cannot allocate memory" in outcome.message
    assert report.exit_code == 4


def test_a_result_of_another_shape_is_a_bug_of_ours(run):
    def lie(pool, number):
        pool.tell(number, events.BuildSucceeded(result={"digest": "x", "surprise": 1}))
        pool.end(Ended(number, 0))

    report, _, _ = run({"a": lie, "b": succeed})
    assert statuses(report) == {"a": "failed", "b": "skipped"}
    assert report.exit_code == 70


def test_the_zygote_is_lost(run):
    def lost(pool, number):
        pool.end(InternalError("the process that starts workers died"))

    report, _, _ = run({"a": hang, "b": lost, "c": succeed}, jobs=2)
    assert statuses(report) == {"a": "failed", "b": "failed", "c": "skipped"}
    assert report.exit_code == 70


def test_a_launch_that_is_refused(run):
    def refuse(pool, number):
        raise InternalError("gone")

    report, _, _ = run({"a": refuse, "b": succeed}, {"b": ("a",)})
    assert statuses(report) == {"a": "failed", "b": "skipped"}


def test_a_signal_before_the_first_event(run):
    report, pool, _ = run({"a": hang, "b": succeed}, signals=(signal.SIGTERM,), grace=0.05, kill_grace=0.05)
    assert statuses(report) == {"a": "failed", "b": "skipped"}
    assert pool.signalled == [(1, signal.SIGTERM), (1, signal.SIGKILL)]
    assert "not even by SIGKILL" in report.outcomes[0].message
    assert report.exit_code == 143


def test_an_image_that_is_ready_in_time_counts_in_spite_of_a_signal(run):
    def finish_on_term(pool, number):
        plain = pool.signal

        def on_signal(target, signal_number):
            plain(target, signal_number)
            succeed(pool, target)

        pool.signal = on_signal

    report, _, _ = run({"a": finish_on_term, "b": succeed}, signals=(signal.SIGINT,))
    assert statuses(report) == {"a": "built", "b": "skipped"}
    assert report.exit_code == 130


def test_time_passes_while_workers_are_silent(run):
    _, _, seen = run({"a": hang}, signals=(signal.SIGTERM,), grace=0.2, kill_grace=0.05, tick=0.02)
    ticks = [event for event in seen if isinstance(event, TimePassed)]
    assert 3 <= len(ticks) <= 13


def test_a_busy_run_is_not_told_more_often(run):
    def chat(pool, number):
        pool.tell(number, *[events.Noted(message="x")] * 50)
        succeed(pool, number)

    _, _, seen = run({"a": chat})
    assert not any(isinstance(event, TimePassed) for event in seen)
