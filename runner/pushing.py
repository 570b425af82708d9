"""Pushes that wait until every image is built: at the end, or only when all of the list can be pushed.

A build that waits has left its image in the store and sent its layers. What is never pushed stays there, for
`krunner push --resume`. Tags of an all-or-nothing list move when all registries have the content of all images.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from executor.spec import PushPhase, PushSpec
from runner.crew import Crew
from runner.model import ImageSpec, PushMode
from runner.outcome import Outcome
from runner.plan import PlannedImage

RESUME = "`krunner push --resume` pushes what is built"
_AT_ONCE = 4


class HeldPushes:
    """The pushes of one run that are held back."""

    def __init__(self, crew: Crew, mode: PushMode) -> None:
        self._crew = crew
        self._mode = mode

    def holds(self, image: ImageSpec, outcome: Outcome) -> bool:
        """True for an image that is built and shall be pushed when the others are built."""
        return self._mode != "each" and outcome.status == "built" and bool(image.build.output.keep)

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
        """Let workers do `phase` for each image; what becomes of it, as each is done."""
        waiting = list(images)
        while waiting or self._crew.size:
            while waiting and self._crew.size < _AT_ONCE and not self._crew.halt:
                image = waiting.pop(0)
                output, home = image.build.output, image.build.rootfs.home
                self._crew.start(image.name, PushSpec(name=image.name, keep=output.keep, home=home, phase=phase))
            if self._crew.halt:
                yield from (_not_pushed(built[image.name], self._crew.halt) for image in waiting)
                waiting.clear()
            if self._crew.size:
                for done in self._crew.wait():
                    yield _merged(built[done.running.name], done.running.outcome(done.ended))


def _merged(built: Outcome, push: Outcome) -> Outcome:
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
        retryable=push.retryable,
    )


def _not_pushed(outcome: Outcome, reason: str) -> Outcome:
    return replace(outcome, status="not pushed", message=reason, hint=RESUME)
