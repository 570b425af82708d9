"""Runs a plan: starts workers as images become ready, and decides what a failure or a signal means.

A failed image skips those that need it; the others go on, unless `fail_fast`. A build that failed for a reason
that may pass begins again as often as its image's `retry` says. Pushes that wait for the list are in pushing.py.
"""

from __future__ import annotations

import random
import time

from executor.dataclass import dataclass, field, replace
from executor.errors import InternalError, UnfitError, machine_faults_explained
from executor.events import RetryScheduled
from executor.spec import Job, PushPhase, PushSpec, RetryPolicy
from runner.model import ImageSpec, PushMode
from runner.outcome import Outcome, RunReport, Status
from runner.planning.plan import PlannedImage, RunPlan
from runner.run.crew import Crew, Done, Patience
from runner.run.pushing import HeldPushes, broken_off, merged, never_pushed
from runner.run.resuming import Resumption
from runner.run.signals import SignalSource
from runner.run.workers import WorkerPool
from runner.runevents import ImageEvent, ImageFinished, ImageKept, ImageStarted, RunFinished, RunSink


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """`jobs`: how many images are built at once (see `Crew.has_room`). `push`: whether pushes wait for the list.

    See `Patience`, `Resumption`.
    """

    jobs: int = 1
    fail_fast: bool = False
    push: PushMode = "each"
    patience: Patience = field(default_factory=Patience)
    resumption: Resumption = field(default_factory=Resumption)


class Scheduler:
    """The state of one run. Used once: `run()`."""

    def __init__(
        self, plan: RunPlan, pool: WorkerPool, signals: SignalSource, sink: RunSink, options: RunOptions
    ) -> None:
        self._sink = sink
        self._options = options
        self._planned = {planned.image.name: planned for planned in plan.images}
        self._waiting = list(plan.images)
        self._begun: dict[str, int] = {}  # how often
        self._not_before: dict[str, float] = {}  # by time.monotonic()
        self._outcomes: dict[str, Outcome] = {}
        self._held: set[str] = set()  # built, and to be pushed
        self._digests: dict[str, str] = {}
        self._crew = Crew(pool, signals, sink, options.patience)
        self._pushes = HeldPushes(self._crew, options.push)

    def run(self) -> RunReport:
        """Run to the end, whatever it is; every image has an outcome in the report."""
        started = time.monotonic()
        try:
            with machine_faults_explained():
                self._keep()
                self._build()
                for outcome in self._pushes.run(self._planned.values(), self._outcomes):
                    self._conclude(outcome)
        except (InternalError, UnfitError) as error:
            self._give_up(error)
        finally:
            self._crew.close()
        outcomes = tuple(self._outcomes[name] for name in self._planned)
        report = RunReport(outcomes=outcomes, seconds=time.monotonic() - started, signal=self._crew.signal)
        self._sink(RunFinished(report=report))
        return report

    def _keep(self) -> None:
        """What an earlier run has done is known before anything is begun."""
        for planned in list(self._waiting):
            kept = self._options.resumption.kept.get(planned.image.name)
            if kept:
                self._waiting.remove(planned)
                self._sink(ImageKept(name=kept.name, entry=self._options.resumption.earlier[kept.name].entry))
                self._conclude(kept)

    def _build(self) -> None:
        self._start_ready()
        while self._crew.size or self._waiting:
            now = time.monotonic()
            next_try = min((due for due in self._not_before.values() if due > now), default=float("inf"))
            for done in self._crew.wait(next_try):
                self._finish(done)
            self._start_ready()

    def _start_ready(self) -> None:
        """Skip what cannot be built any more; start what is ready, in the order of the plan."""
        for planned in list(self._waiting):
            needs = [self._outcomes.get(name) for name in planned.needs]
            failed = next((need for need in needs if need and not need.is_usable), None)
            if self._crew.halt or failed:
                self._waiting.remove(planned)
                self._skip(planned, self._crew.halt or _cause(failed))
            elif self._crew.has_room(self._options.jobs) and all(needs) and self._is_due(planned):
                self._waiting.remove(planned)
                self._start(planned)

    def _is_due(self, planned: PlannedImage) -> bool:
        """Whether those before it in its family have ended, and so has its wait for another try."""
        if not self._outcomes.keys() >= set(planned.after):
            return False
        return self._not_before.get(planned.image.name, 0.0) <= time.monotonic()

    def _skip(self, planned: PlannedImage, cause: str) -> None:
        """One that waits for another try has failed before."""
        name = planned.image.name
        status: Status = "stopped" if name in self._begun else "skipped"
        self._conclude(Outcome(name=name, status=status, message=cause, attempts=max(self._begun.get(name, 0), 1)))

    def _start(self, planned: PlannedImage) -> None:
        image = planned.image
        self._not_before.pop(image.name, None)
        if image.name not in self._begun:
            self._begun[image.name] = 0
            self._sink(ImageStarted(name=image.name, position=len(self._begun), total=len(self._planned)))
        self._begun[image.name] += 1
        self._crew.start(image.name, self._job(image), timeout=image.timeout)

    def _job(self, image: ImageSpec) -> Job:
        """Its build; of an image that an earlier run has built, the push (its tags may have to wait)."""
        if image.name not in self._options.resumption.built:
            return image.job(
                self._digests, self._options.push, beside=self._options.jobs > 1, proven=self._crew.proven
            )
        entry = self._options.resumption.earlier[image.name].entry
        self._sink(ImageKept(name=image.name, entry=entry))
        phase: PushPhase = "whole" if self._options.push == "each" else "content"
        return PushSpec(name=image.name, keep=image.keep, home=image.build.rootfs.home, phase=phase)

    def _finish(self, done: Done) -> None:
        attempts = self._begun[done.running.name]
        outcome = done.running.outcome(done.ended)
        built = self._options.resumption.built.get(outcome.name)
        outcome = replace(merged(built, outcome) if built else outcome, attempts=attempts)
        policy = self._planned[outcome.name].image.retry
        if outcome.status == "failed" and outcome.retryable and attempts <= policy.retries and not self._crew.halt:
            self._try_again(outcome, policy)
        elif self._pushes.holds(self._planned[outcome.name].image, outcome):
            self._outcomes[outcome.name] = outcome
            self._held.add(outcome.name)
            self._provide(outcome)
        else:
            self._conclude(outcome)

    def _try_again(self, outcome: Outcome, policy: RetryPolicy) -> None:
        """Begin again after a wait: exponential backoff with full jitter."""
        name, longest = outcome.name, min(policy.initial_wait * 2 ** (outcome.attempts - 1), policy.max_wait)
        wait = random.uniform(0, longest)  # noqa: S311 - jitter is no secret
        self._not_before[name] = time.monotonic() + wait
        self._waiting = [p for p in self._planned.values() if p in self._waiting or p.image.name == name]
        event = RetryScheduled(
            action=f"build {name}", error=outcome.message, attempt=outcome.attempts, wait=round(wait, 3)
        )
        self._sink(ImageEvent(name=name, event=event))

    def _conclude(self, outcome: Outcome) -> None:
        self._outcomes[outcome.name] = outcome
        self._held.discard(outcome.name)
        self._provide(outcome)
        self._sink(ImageFinished(outcome=outcome))
        if self._options.fail_fast and outcome.status in ("failed", "push failed") and not self._crew.halt:
            self._crew.end(f"{outcome.name} failed and --fail-fast is set")

    def _provide(self, outcome: Outcome) -> None:
        """Let later images build upon this one."""
        if outcome.is_usable and not outcome.kept:  # what is kept is pulled: the store may be a new one
            references = self._planned[outcome.name].image.references
            self._digests.update(dict.fromkeys(references, outcome.digest))

    def _give_up(self, error: InternalError | UnfitError) -> None:
        """The machinery is broken, or lacks what it needs: what ran has failed, what waited is skipped.

        What is built stays so, with its push failed or never begun.
        """
        for running in self._crew.abandon():
            self._conclude(self._broken(running.name, error))
        for planned in self._waiting:
            self._skip(planned, error.message)
        for name in self._planned.keys() - self._outcomes.keys():
            self._conclude(self._broken(name, error))
        for name in [name for name in self._planned if name in self._held]:
            self._conclude(never_pushed(self._outcomes[name], error))

    def _broken(self, name: str, error: InternalError | UnfitError) -> Outcome:
        built = self._outcomes[name] if name in self._held else self._options.resumption.built.get(name)
        return broken_off(name, error, built)


def _cause(outcome: Outcome | None) -> str:
    """Why a dependent is skipped: the image that is to blame, also when that was skipped for another's sake."""
    if outcome is None:
        return ""
    return outcome.message if outcome.status == "skipped" else f"needs {outcome.name}, which failed"
