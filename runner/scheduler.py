"""Runs a plan: starts workers as images become ready, hears them, and decides what a failure or a signal means.

One thread, one selector. A failed image skips those that need it; the others go on, unless `fail_fast`. A signal
stops new work and ends the workers: first by SIGTERM, after the grace time or a second signal by SIGKILL.
"""

from __future__ import annotations

import selectors
import signal
import time
from dataclasses import dataclass

from executor.errors import InternalError
from runner.outcome import Outcome, RunReport
from runner.plan import PlannedImage, RunPlan
from runner.runevents import ImageFinished, ImageStarted, RunFinished, RunSink, TimePassed
from runner.running import RunningImage
from runner.signals import SignalSource
from runner.workers import Ended, WorkerPool


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """`jobs`: how many images at once. `grace` and `kill_grace`: seconds to end after SIGTERM and SIGKILL.

    `tick`: seconds from one TimePassed event to the next.
    """

    jobs: int = 1
    fail_fast: bool = False
    grace: float = 10.0
    kill_grace: float = 5.0
    tick: float = 5.0


class Scheduler:
    """The state of one run. Used once: `run()`."""

    def __init__(
        self, plan: RunPlan, pool: WorkerPool, signals: SignalSource, sink: RunSink, options: RunOptions
    ) -> None:
        self._pool = pool
        self._signals = signals
        self._sink = sink
        self._options = options
        self._total = len(plan.images)
        self._waiting = list(plan.images)
        self._references = {planned.image.name: planned.image.references for planned in plan.images}
        self._running: dict[int, RunningImage] = {}
        self._outcomes: dict[str, Outcome] = {}
        self._digests: dict[str, str] = {}
        self._halt = ""  # why nothing new is started
        self._signal = 0
        self._kill_at = float("inf")
        self._tick_at = 0.0
        self._killed = False
        self._selector = selectors.DefaultSelector()

    def run(self) -> RunReport:
        """Run to the end, whatever it is; every image has an outcome in the report."""
        started = time.monotonic()
        order = [planned.image.name for planned in self._waiting]
        with self._selector:
            self._selector.register(self._pool, selectors.EVENT_READ)
            self._selector.register(self._signals, selectors.EVENT_READ)
            try:
                self._loop()
            except InternalError as error:
                self._give_up(error)
        outcomes = tuple(self._outcomes[name] for name in order)
        report = RunReport(outcomes=outcomes, seconds=time.monotonic() - started, signal=self._signal)
        self._sink(RunFinished(report=report))
        return report

    def _loop(self) -> None:
        self._tick_at = time.monotonic() + self._options.tick
        self._start_ready()
        while self._running:
            timeout = min(self._kill_at, self._tick_at) - time.monotonic()
            for key, _ in self._selector.select(max(timeout, 0)):
                self._handle(key)
            now = time.monotonic()
            if now >= self._tick_at:
                self._tick_at = now + self._options.tick
                self._sink(TimePassed())
            if now >= self._kill_at:
                self._escalate()
            self._start_ready()

    def _handle(self, key: selectors.SelectorKey) -> None:
        if key.fileobj is self._pool:
            for ended in self._pool.receive():
                self._finish(ended)
        elif key.fileobj is self._signals:
            for number in self._signals.read():
                self._stop(number)
        elif key.data in self._running:
            told, is_open = self._running[key.data].read(key.fd)
            if not is_open:
                self._selector.unregister(key.fd)
            for event in told:
                self._sink(event)

    def _start_ready(self) -> None:
        """Skip what cannot be built any more; start what is ready, in the order of the plan."""
        for planned in list(self._waiting):
            needs = [self._outcomes.get(name) for name in planned.needs]
            failed = next((need for need in needs if need and not need.is_usable), None)
            if self._halt or failed:
                self._skip(planned, self._halt or _cause(failed))
            elif len(self._running) < self._options.jobs and all(needs):
                self._waiting.remove(planned)
                self._start(planned)

    def _skip(self, planned: PlannedImage, cause: str) -> None:
        self._waiting.remove(planned)
        self._conclude(Outcome(name=planned.image.name, status="skipped", message=cause))

    def _start(self, planned: PlannedImage) -> None:
        name = planned.image.name
        position = self._total - len(self._waiting)
        self._sink(ImageStarted(name=name, position=position, total=self._total))
        launched = self._pool.launch(planned.image.with_local_images(self._digests))
        running = RunningImage(name, launched)
        self._running[running.number] = running
        for fd in running.fds:
            self._selector.register(fd, selectors.EVENT_READ, data=running.number)

    def _finish(self, ended: Ended) -> None:
        running = self._running.pop(ended.number)
        for fd in running.fds:
            if fd in self._selector.get_map():
                self._selector.unregister(fd)
        for event in running.close():
            self._sink(event)
        self._conclude(running.outcome(ended))

    def _conclude(self, outcome: Outcome) -> None:
        self._outcomes[outcome.name] = outcome
        if outcome.is_usable:
            self._digests.update(dict.fromkeys(self._references[outcome.name], outcome.digest))
        self._sink(ImageFinished(outcome=outcome))
        if self._options.fail_fast and outcome.status in ("failed", "push failed") and not self._halt:
            self._end_workers(f"{outcome.name} failed and --fail-fast is set")

    def _stop(self, number: int) -> None:
        if self._signal:
            self._escalate()
            return
        self._signal = number
        self._end_workers(f"stopped by {signal.Signals(number).name}")

    def _end_workers(self, cause: str) -> None:
        self._halt = self._halt or cause
        self._kill_at = min(self._kill_at, time.monotonic() + self._options.grace)
        for running in self._running.values():
            running.halted = True
            self._pool.signal(running.number, signal.SIGTERM)

    def _escalate(self) -> None:
        """SIGTERM was not enough: SIGKILL; and when even that does not end a worker, go on without it."""
        if self._killed and time.monotonic() >= self._kill_at:
            raise InternalError("a worker cannot be ended, not even by SIGKILL")
        if not self._killed:
            self._killed = True
            self._kill_at = time.monotonic() + self._options.kill_grace
            for number in self._running:
                self._pool.signal(number, signal.SIGKILL)

    def _give_up(self, error: InternalError) -> None:
        """The machinery itself is broken: what ran has failed, what waited is skipped."""
        for number in list(self._running):
            running = self._running.pop(number)
            for event in running.close():
                self._sink(event)
            self._conclude(_broken(running.name, error))
        for planned in list(self._waiting):
            self._skip(planned, error.message)
        for name in self._references.keys() - self._outcomes.keys():
            self._conclude(_broken(name, error))


def _broken(name: str, error: InternalError) -> Outcome:
    return Outcome(name=name, status="failed", kind=type(error).__name__, message=error.message, hint=error.hint)


def _cause(outcome: Outcome | None) -> str:
    """Why a dependent is skipped: the image that is to blame, also when that was skipped for another's sake."""
    if outcome is None:
        return ""
    return outcome.message if outcome.status == "skipped" else f"needs {outcome.name}, which failed"
