"""The scheduler against a pool that the test plays by hand: what no real worker does on demand."""

import errno
import json
import os
import random
import signal
import socket

import pytest

from executor import events
from executor.errors import InternalError, Location
from executor.spec import BuildResult, BuildSpec, OutputSpec, PushSpec, RetryPolicy, WaitingImage
from runner.model import ImageSpec
from runner.planning.plan import PlannedImage, RunPlan
from runner.run.crew import Crew, Patience
from runner.run.pushing import resume
from runner.run.scheduler import RunOptions, Scheduler
from runner.run.workers import Ended, Launched, ZygotePool
from runner.runevents import ImageEvent, ImageFinished, ImageStarted, RunFinished, TimePassed


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
        digest=digest, descriptor={}, config_digest="", size=5, platform="", driver="", seconds=0, pushed=("r:1",)
    )


def succeed(pool, number):
    pool.tell(number, events.BuildSucceeded(result=result(f"sha256:{number}").to_json()))
    pool.end(Ended(number, 0))


def hang(pool, number):
    pass


@pytest.fixture
def run():
    opened: list[ByHand | NoSignals] = []

    def run_script(script, needs=(), signals=(), timeout=0, retry=None, keep=(), **options):
        needs, after = dict(needs), dict(options.pop("after", ()))
        patience = {name: options.pop(name) for name in ("grace", "kill_grace", "tick") if name in options}
        images = tuple(
            PlannedImage(
                image=ImageSpec(
                    name=name,
                    build=BuildSpec(
                        context=".",
                        name=name,
                        output=OutputSpec(destinations=(f"r/{name}:1",), no_push=name not in keep),
                    ),
                    references=(f"r/{name}:1",),
                    location=Location("f"),
                    timeout=timeout,
                    retry=retry or RetryPolicy(),
                ),
                needs=needs.get(name, ()),
                after=after.get(name, ()),
            )
            for name in script
        )
        pool, source, seen = ByHand(script), NoSignals(*signals), []
        opened.extend([pool, source])
        run_options = RunOptions(patience=Patience(**patience), **options)
        report = Scheduler(RunPlan(images=images), pool, source, seen.append, run_options).run()
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


def test_a_family_is_built_one_after_another_whatever_becomes_of_each(run):
    after = {"b": ("a",), "c": ("b",)}
    report, _, seen = run({"a": fail(), "b": succeed, "c": succeed}, after=after, jobs=3)
    assert statuses(report) == {"a": "failed", "b": "built", "c": "built"}
    order = [event for event in seen if isinstance(event, ImageStarted | ImageFinished)]
    assert [isinstance(event, ImageStarted) for event in order] == [True, False] * 3


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


def sending(pool, number):
    pool.tell(number, events.PushStarted(reference="r:1"))


def ending(*numbers):
    def end_them(pool, number):
        for other in (*numbers, number):
            succeed(pool, other)

    return end_them


def test_an_image_that_is_only_being_sent_makes_room_for_another(run):
    script = {"a": sending, "b": hang, "c": ending(1, 2), "d": succeed}
    report, _, seen = run(script, jobs=2)
    assert set(statuses(report).values()) == {"built"}
    ended = next(position for position, e in enumerate(seen) if isinstance(e, ImageFinished))
    assert [e.name for e in seen[:ended] if isinstance(e, ImageStarted)] == ["a", "b", "c"]


def test_one_that_is_built_again_because_its_cached_layer_is_damaged_takes_its_place_again(run):
    stage = events.StageStarted(index=0, name="", base="scratch", position=1, total=1, platform="")

    def again(pool, number):
        pool.tell(number, events.PushStarted(reference="r:1"), stage)
        pool.signal = lambda target, _number: succeed(pool, target)

    _, _, seen = run({"a": again, "b": hang, "c": succeed}, jobs=2, timeout=0.05)
    ended = next(position for position, e in enumerate(seen) if isinstance(e, ImageFinished))
    assert [e.name for e in seen[:ended] if isinstance(e, ImageStarted)] == ["a", "b"]


def test_with_one_job_an_image_is_sent_before_the_next_begins(run):
    def sent_in_the_end(pool, number):
        sending(pool, number)
        pool.signal = lambda target, _number: succeed(pool, target)

    _, _, seen = run({"a": sent_in_the_end, "b": succeed}, jobs=1, timeout=0.05)
    kinds = [type(event) for event in seen if isinstance(event, ImageStarted | ImageFinished)]
    assert kinds == [ImageStarted, ImageFinished] * 2


@pytest.mark.parametrize(("driver", "proven"), [("overlay", "overlay"), ("chroot", "")])
def test_what_one_build_found_to_work_is_not_tried_again_by_the_next(run, driver, proven):
    def choose(pool, number):
        pool.tell(number, events.DriverChosen(driver=driver, reason="the first that works"))
        pool.signal = lambda target, _number: succeed(pool, target)

    _, pool, _ = run({"a": choose, "b": succeed}, timeout=0.05)
    assert [spec.rootfs.proven for spec in pool.launched] == ["", proven]


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


def test_a_launch_for_which_the_machine_has_nothing_left(run):
    def refuse(pool, number):
        raise OSError(errno.EMFILE, "Too many open files")

    report, _, _ = run({"a": refuse, "b": succeed}, {"b": ("a",)})
    assert statuses(report) == {"a": "failed", "b": "skipped"}
    assert (report.outcomes[0].message, report.exit_code) == ("Too many open files", 4)


def test_a_launch_that_fails_leaves_no_descriptor_open(monkeypatch):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pool, pipes = ZygotePool(ours, 0), [os.pipe2(os.O_CLOEXEC)]

    def one_pipe_more(_flags):
        if pipes:
            return pipes.pop()
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, "pipe2", one_pipe_more)
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="Too many"):
        pool.launch(BuildSpec(context="."))
    after = set(os.listdir("/proc/self/fd"))
    ours.close()
    theirs.close()
    assert len(after) == len(before) - 2, "neither the job nor the pipe that there was"


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


def fail(**failure):
    def play(pool, number):
        event = {"kind": "StepError", "message": "no", "hint": "", "exit_code": 1, "retryable": False, **failure}
        pool.tell(number, events.BuildFailed(**event))
        pool.end(Ended(number, event["exit_code"]))

    return play


def in_turn(*plays):
    left = list(plays)

    def play(pool, number):
        left.pop(0)(pool, number)

    return play


temporary = fail(kind="RegistryError", message="503", exit_code=75, retryable=True)
SOON = RetryPolicy(retries=2, initial_wait=0.02, max_wait=0.02)


def test_a_temporary_failure_is_built_again(run):
    report, pool, seen = run(
        {"a": in_turn(temporary, temporary, succeed), "b": succeed}, {"b": ("a",)}, retry=SOON
    )
    assert statuses(report) == {"a": "built", "b": "built"}
    assert [spec.name for spec in pool.launched] == ["a", "a", "a", "b"]
    assert report.outcomes[0].attempts == 3
    retries = [e.event for e in seen if isinstance(e, ImageEvent) and isinstance(e.event, events.RetryScheduled)]
    assert [(retry.attempt, retry.error) for retry in retries] == [(1, "503"), (2, "503")]
    assert all(0 <= retry.wait <= 0.02 for retry in retries)
    assert [e.position for e in seen if isinstance(e, ImageStarted)] == [1, 2]


def test_tries_end(run):
    report, pool, _ = run({"a": temporary, "b": succeed}, {"b": ("a",)}, retry=SOON)
    assert statuses(report) == {"a": "failed", "b": "skipped"}
    assert (len(pool.launched), report.outcomes[0].attempts, report.exit_code) == (3, 3, 75)


@pytest.mark.parametrize("play", [fail(), fail(kind="UnfitError", exit_code=4)])
def test_what_would_fail_again_is_not_tried_again(run, play):
    report, pool, _ = run({"a": play}, retry=SOON)
    assert (statuses(report), len(pool.launched)) == ({"a": "failed"}, 1)


def test_an_image_that_waits_for_another_try_holds_nobody_up(run, monkeypatch):
    monkeypatch.setattr(random, "uniform", lambda _least, longest: longest)
    patient = RetryPolicy(retries=1, initial_wait=0.3, max_wait=0.3)
    report, pool, _ = run({"a": in_turn(temporary, succeed), "b": succeed}, retry=patient)
    assert [spec.name for spec in pool.launched] == ["a", "b", "a"]
    assert statuses(report) == {"a": "built", "b": "built"}


def test_a_signal_ends_the_wait_for_another_try(run):
    forever = RetryPolicy(retries=9, initial_wait=1e6, max_wait=1e6)
    report, _, _ = run({"a": temporary, "b": succeed}, {"b": ("a",)}, signals=(signal.SIGTERM,), retry=forever)
    assert statuses(report) == {"a": "stopped", "b": "skipped"}
    assert report.exit_code == 143


def test_an_image_that_takes_too_long_is_ended(run):
    """First SIGTERM; this one minds SIGKILL only."""
    report, pool, _ = run({"a": dies_of_sigkill, "b": succeed}, timeout=0.05, grace=0.05)
    assert statuses(report) == {"a": "failed", "b": "built"}
    assert pool.signalled == [(1, signal.SIGTERM), (1, signal.SIGKILL)]
    assert report.outcomes[0].message == "not done after 0.05 s, the image's timeout"
    assert report.exit_code == 1


def dies_of_sigkill(pool, number):
    def signalled(target, signal_number):
        pool.signalled.append((target, signal_number))
        if signal_number == signal.SIGKILL:
            pool.end(Ended(target, -signal_number))

    pool.signal = signalled


def test_an_image_that_is_late_to_push_is_built(run):
    def late(pool, number):
        pool.tell(number, events.ImageBuilt(digest="sha256:5", size=7, layers=1))
        dies_of_sigkill(pool, number)

    report, _, _ = run({"a": late}, timeout=0.05, grace=0.01)
    assert [(o.status, o.digest, o.kind) for o in report.outcomes] == [
        ("push failed", "sha256:5", "TimedOutError")
    ]


def pushed(pool, number):
    spec = pool.launched[number - 1]
    pool.tell(number, events.BuildSucceeded(result=result(f"sha256:{spec.name}").to_json()))
    pool.end(Ended(number, 0))


def jobs(pool):
    return [(j.name, j.phase) if isinstance(j, PushSpec) else (j.name, "build") for j in pool.launched]


def test_pushes_at_the_end(run):
    script = {"a": pushed, "b": fail(), "c": pushed, "d": pushed}
    report, pool, seen = run(script, {"c": ("a",)}, keep=("a", "b", "c"), push="end")
    assert jobs(pool) == [
        ("a", "build"),
        ("b", "build"),
        ("c", "build"),
        ("d", "build"),
        ("a", "whole"),
        ("c", "whole"),
    ]
    assert [spec.output.defer for spec in pool.launched[:4]] == [True, True, True, False]
    assert statuses(report) == {"a": "built", "b": "failed", "c": "built", "d": "built"}
    assert report.outcomes[0].pushed == ("r:1",)
    ended = [e.outcome.name for e in seen if isinstance(e, ImageFinished)]
    assert ended[:2] == ["b", "d"]
    assert sorted(ended[2:]) == ["a", "c"]


def test_all_or_nothing_sends_all_content_before_the_first_tag(run):
    report, pool, _ = run({"a": pushed, "b": pushed}, keep="ab", push="all-or-nothing")
    assert jobs(pool)[2:] == [("a", "content"), ("b", "content"), ("a", "whole"), ("b", "whole")]
    assert (statuses(report), report.exit_code) == ({"a": "built", "b": "built"}, 0)


def test_nothing_is_pushed_when_not_all_is_built(run):
    report, pool, _ = run({"a": pushed, "b": fail()}, keep="ab", push="all-or-nothing")
    assert jobs(pool) == [("a", "build"), ("b", "build")]
    assert statuses(report) == {"a": "not pushed", "b": "failed"}
    assert report.outcomes[0].message == "b is not built, and all images are pushed or none"
    assert report.outcomes[0].hint == "`krunner push --resume` pushes what is built"


def test_nothing_is_tagged_when_content_is_missing(run):
    script = {"a": pushed, "b": in_turn(pushed, fail(kind="PushError", message="denied", exit_code=3))}
    report, pool, _ = run(script, keep="ab", push="all-or-nothing")
    assert jobs(pool)[2:] == [("a", "content"), ("b", "content")]
    assert [(o.status, o.message.split(",")[0]) for o in report.outcomes] == [
        ("not pushed", "the content of b could not be sent"),
        ("push failed", "denied"),
    ]
    assert report.exit_code == 3


def lost(pool, _number):
    pool.end(InternalError("the zygote died", hint="restart"))


def no_files(_pool, _number):
    raise OSError(errno.EMFILE, "Too many open files")


@pytest.mark.parametrize("push", ["end", "all-or-nothing"])
def test_what_is_built_stays_so_when_the_machinery_breaks_in_the_pushes(run, push):
    names = "abcdef"  # of which four are pushed at once
    script = {name: in_turn(pushed, lost if name == "a" else hang) for name in names}
    report, _, _ = run(script, keep=names, push=push, jobs=1)
    assert [(o.status, o.message) for o in report.outcomes] == [
        *[("push failed", "the zygote died")] * 4,
        *[("not pushed", "the zygote died")] * 2,
    ]
    assert [o.digest for o in report.outcomes] == [f"sha256:{name}" for name in names]
    assert report.outcomes[-1].hint == "restart; `krunner push --resume` pushes what is built"
    assert report.exit_code == 70


def test_what_is_built_stays_so_when_the_machine_has_nothing_left_for_pushes(run):
    script = {"a": in_turn(pushed, no_files), "b": pushed, "c": pushed}
    report, _, _ = run(script, keep="ab", push="end")
    assert statuses(report) == {"a": "not pushed", "b": "not pushed", "c": "built"}
    assert report.exit_code == 4


def test_pushing_what_waits_is_reported_when_the_machinery_breaks():
    pool, source, seen = ByHand({"a": pushed, "b": no_files, "c": pushed}), NoSignals(), []
    waiting = [
        WaitingImage(keep=name, name=name, digest=f"sha256:{name}", size=1, destinations=()) for name in "abc"
    ]
    crew = Crew(pool, source, seen.append, Patience())
    try:
        report = resume(crew, waiting, "", seen.append)
    finally:
        crew.close()
        pool.close()
        source.close()
    assert [(o.status, o.digest) for o in report.outcomes] == [
        ("push failed", "sha256:a"),
        ("not pushed", "sha256:b"),
        ("not pushed", "sha256:c"),
    ]
    assert report.exit_code == 4
    assert isinstance(seen[-1], RunFinished)


def test_fail_fast_holds_for_pushes_too(run):
    script = {"a": in_turn(pushed, fail(kind="PushError", message="no", exit_code=3)), "b": in_turn(pushed, hang)}
    report, pool, _ = run(script, keep="ab", push="end", fail_fast=True, grace=0.01, kill_grace=0.01)
    assert report.outcomes[0].status == "push failed"
    assert (2 + 2, signal.SIGTERM) in pool.signalled
