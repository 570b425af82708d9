"""Pushes that wait until every image is built: at the end, or only when all of the list can be pushed.

A build that waits has left its image in the store and sent its layers. What is never pushed stays there, for
`krunner push --resume`. Tags of an all-or-nothing list move when all registries have the content of all images.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from executor.dataclass import replace
from executor.errors import InternalError, UnfitError, machine_faults_explained
from executor.spec import PushPhase, PushSpec, WaitingImage
from runner.model import ImageSpec, PushMode
from runner.outcome import Outcome, RunReport
from runner.planning.plan import PlannedImage
from runner.run.crew import Crew
from runner.runevents import ImageFinished, ImageStarted, RunFinished, RunSink, RunStarted

RESUME = "`krunner push --resume` pushes what is built"
_AT_ONCE = 4


class HeldPushes:
    """The pushes of one run that are held back."""

    def __init__(self, crew: Crew, mode: PushMode) -> None:
        self._crew = crew
        self._mode = mode

    def holds(self, image: ImageSpec, outcome: Outcome) -> bool:
        """True for an image that is built and shall be pushed when the others are built."""
        return self._mode != "each" and outcome.status == "built" and bool(image.keep) and not outcome.kept

    def run(self, planned: Iterable[PlannedImage], outcomes: Mapping[str, Outcome]) -> Iterator[Outcome]:
        """Push what was held back, now that `outcomes` are known; the final outcome of each such image."""
        held = {p.image.name: p.image for p in planned if self.holds(p.image, outcomes[p.image.name])}
        built = {name: outcomes[name] for name in held}
        reason = self._crew.halt or self._obstacle(outcomes.values())
        if reason:
            yield from (_not_pushed(outcome, reason) for outcome in built.values())
        elif self._mode == "end":
            yield from self._phase("whole", list(held.values()), built)
        else:
            yield from self._all_or_nothing(list(held.values()), built)

    def _obstacle(self, outcomes: Iterable[Outcome]) -> str:
        """Why an all-or-nothing list cannot be pushed."""
        if self._mode != "all-or-nothing":
            return ""
        unusable = next((outcome for outcome in outcomes if not outcome.is_usable), None)
        return f"{unusable.name} is not built, and all images are pushed or none" if unusable else ""

    def _all_or_nothing(self, images: Sequence[ImageSpec], built: Mapping[str, Outcome]) -> Iterator[Outcome]:
        sent = list(self._phase("content", images, built))
        lacking = [outcome for outcome in sent if outcome.status != "built"]
        if not lacking:
            yield from self._phase("whole", images, built)
            return
        reason = f"the content of {lacking[0].name} could not be sent, and all images are pushed or none"
        yield from (_not_pushed(out, self._crew.halt or reason) if out.status == "built" else out for out in sent)

    def _phase(
        self, phase: PushPhase, images: Sequence[ImageSpec], built: Mapping[str, Outcome]
    ) -> Iterator[Outcome]:
        jobs = [PushSpec(name=i.name, keep=i.keep, home=i.build.rootfs.home, phase=phase) for i in images]
        return push_all(self._crew, jobs, built)


def push_all(crew: Crew, jobs: Sequence[PushSpec], built: Mapping[str, Outcome]) -> Iterator[Outcome]:
    """Let workers do `jobs`; the outcome of each image, which was `built` before, as it is known."""
    waiting = list(jobs)
    while waiting or crew.size:
        while waiting and crew.size < _AT_ONCE and not crew.halt:
            job = waiting.pop(0)
            crew.start(job.name, job)
        if crew.halt:
            yield from (_not_pushed(built[job.name], crew.halt) for job in waiting)
            waiting.clear()
        if crew.size:
            for done in crew.wait():
                yield merged(built[done.running.name], done.running.outcome(done.ended))


def merged(built: Outcome, push: Outcome) -> Outcome:
    """The outcome of an image that was built before its push came to `push`."""
    seconds = built.seconds + push.seconds
    if push.status == "built":
        return replace(built, pushed=push.pushed, seconds=seconds)
    if push.status == "stopped":
        return replace(_not_pushed(built, push.message), seconds=seconds)
    return replace(
        built,
        status="push failed",
        seconds=seconds,
        kind=push.kind,
        message=push.message,
        hint=push.hint,
        excerpt=push.excerpt,
        retryable=push.retryable,
    )


def broken_off(name: str, error: InternalError | UnfitError, built: Outcome | None = None) -> Outcome:
    """The outcome of an image during whose build, or push after it was `built`, the machinery broke."""
    failed = Outcome(name=name, status="failed", kind=type(error).__name__, message=error.message, hint=error.hint)
    return merged(built, failed) if built else failed


def never_pushed(built: Outcome, error: InternalError | UnfitError) -> Outcome:
    """The outcome of an image whose push was not begun when the machinery broke."""
    hint = f"{error.hint}; {RESUME}" if error.hint else RESUME
    return replace(_not_pushed(built, error.message), kind=type(error).__name__, hint=hint)


def _not_pushed(outcome: Outcome, reason: str) -> Outcome:
    return replace(outcome, status="not pushed", message=reason, hint=RESUME)


def resume(crew: Crew, waiting: Sequence[WaitingImage], home: str, sink: RunSink) -> RunReport:
    """Push what earlier runs have left in the store of `home`, and report it as a run of its own."""
    started = time.monotonic()
    names = Counter(image.name for image in waiting)
    jobs = [
        PushSpec(name=image.name if names[image.name] == 1 else image.keep, keep=image.keep, home=home)
        for image in waiting
    ]
    built = {
        job.name: Outcome(name=job.name, status="built", digest=image.digest, size=image.size)
        for job, image in zip(jobs, waiting, strict=True)
    }
    sink(RunStarted(file="unpushed", images=tuple(built), jobs=_AT_ONCE))
    for position, name in enumerate(built, start=1):
        sink(ImageStarted(name=name, position=position, total=len(built)))
    outcomes: dict[str, Outcome] = {}

    def conclude(outcome: Outcome) -> None:
        outcomes[outcome.name] = outcome
        sink(ImageFinished(outcome=outcome))

    try:
        with machine_faults_explained():
            for outcome in push_all(crew, jobs, built):
                conclude(outcome)
    except (InternalError, UnfitError) as error:
        for running in crew.abandon():
            conclude(broken_off(running.name, error, built[running.name]))
        for name in [name for name in built if name not in outcomes]:
            conclude(never_pushed(built[name], error))
    report = RunReport(
        outcomes=tuple(outcomes[name] for name in built), seconds=time.monotonic() - started, signal=crew.signal
    )
    sink(RunFinished(report=report))
    return report
