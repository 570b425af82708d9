"""One image as data, grown event by event. Starts are in seconds since the run began, as the record tells them.

Mutable on purpose: only `note` changes it, and what reads it copies nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeAlias

from executor import events
from executor.dataclass import dataclass, field
from runner.outcome import Outcome, Status
from runner.report.lines import log_lines

State: TypeAlias = Literal["waiting", "running"] | Status
TransferEvent: TypeAlias = events.PullFinished | events.LayerUnpacked | events.BlobPushed | events.PushFinished
TAIL_LINES = 50
_LONGEST_TAIL_LINE = 2000  # characters; a line of a progress bar can be megabytes


@dataclass(slots=True, kw_only=True)
class Step:
    """An instruction. `seconds` is None until it is done; its layer took `layer_seconds`, up to `layer_end`.

    That is within the step, or later when the layer is a large one. `cached`: the layer cache had its result.
    """

    position: int
    instruction: str
    start: float
    seconds: float | None = None
    layer_digest: str = ""
    layer_size: int = 0
    layer_seconds: float = 0.0
    layer_end: float = 0.0
    cached: bool = False

    @property
    def own_seconds(self) -> float:
        """What it took, without the writing of its layer as far as it waited for that."""
        seconds = self.seconds or 0.0
        return max(seconds - self.layer_seconds, 0.0) if self.layer_end <= self.start + seconds else seconds


@dataclass(slots=True, kw_only=True)
class Stage:
    """A stage with the steps that were begun. `platform` is '' where a worker does not tell it."""

    index: int
    name: str
    base: str
    platform: str = ""
    start: float = 0.0
    steps: list[Step] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """What its finished steps took together."""
        return sum(step.seconds or 0.0 for step in self.steps)

    @property
    def cached(self) -> int:
        """How many of its steps the layer cache had."""
        return sum(step.cached for step in self.steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedAttempt:
    """A build of the image that failed for a time and was begun again."""

    start: float
    seconds: float
    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class Transfer:
    """What came or went, and when it began."""

    start: float
    event: TransferEvent


@dataclass(slots=True, kw_only=True)
class ImageRecord:
    """What is known of one image. `start` is None while it waits, `end` until it has an outcome.

    `inputs` digests what it is made of. `result` is the executor's BuildResult as JSON. Stages and transfers are
    of the latest attempt, `attempts` the ones before. `pending` maps what is being pulled and pushed to when that
    began.
    """

    name: str
    needs: tuple[str, ...] = ()
    start: float | None = None
    end: float | None = None
    outcome: Outcome | None = None
    inputs: str = ""
    digest: str = ""
    size: int = 0
    layers: int = 0
    driver: str = ""
    result: dict[str, Any] = field(default_factory=dict)
    stages: list[Stage] = field(default_factory=list)
    transfers: list[Transfer] = field(default_factory=list)
    pending: dict[tuple[Literal["pull", "push"], str], float] = field(default_factory=dict)
    attempts: list[FailedAttempt] = field(default_factory=list)
    retries: list[events.RetryScheduled] = field(default_factory=list)
    warnings: list[events.Warned] = field(default_factory=list)
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL_LINES))
    _attempt_start: float | None = None
    _failure: events.BuildFailed | None = None

    @property
    def state(self) -> State:
        """How far it is; at the end the status of its outcome."""
        if self.outcome:
            return self.outcome.status
        return "waiting" if self.start is None else "running"

    @property
    def is_kept(self) -> bool:
        """Whether an earlier run has built and pushed it, and this one had nothing to do."""
        return self.outcome is not None and self.outcome.kept

    @property
    def pulls(self) -> Iterator[tuple[float, events.PullFinished]]:
        """The bases, each with when that began."""
        return ((item.start, item.event) for item in self.transfers if isinstance(item.event, events.PullFinished))

    @property
    def unpacks(self) -> Iterator[tuple[float, events.LayerUnpacked]]:
        """The layers of bases that a root filesystem needed."""
        return (
            (item.start, item.event) for item in self.transfers if isinstance(item.event, events.LayerUnpacked)
        )

    @property
    def blobs(self) -> Iterator[tuple[float, events.BlobPushed]]:
        """What repositories were given, piece by piece."""
        return ((item.start, item.event) for item in self.transfers if isinstance(item.event, events.BlobPushed))

    @property
    def pushes(self) -> Iterator[tuple[float, events.PushFinished]]:
        """The destinations that have the image."""
        return ((item.start, item.event) for item in self.transfers if isinstance(item.event, events.PushFinished))

    @property
    def pushed(self) -> tuple[str, ...]:
        """The `repository:tag@digest` names that registries hold by now, also of an image that failed later."""
        kept = self.outcome.pushed if self.outcome and self.outcome.kept else ()
        return tuple(f"{push.reference}@{push.digest}" for _, push in self.pushes) or kept

    @property
    def cached(self) -> int:
        """How many steps the layer cache had."""
        return sum(stage.cached for stage in self.stages)

    def remember(self, text: str) -> None:
        """A line of the log, for the tail."""
        self.tail.extend(line[:_LONGEST_TAIL_LINE] for line in text.splitlines() or [""])

    def note(self, event: events.Event, now: float) -> None:
        """Take in one event of its build, which happened at `now`."""
        for line in log_lines(event):
            if not line.detail:
                self.remember(line.text)
        self._note_attempt(event, now)
        self._note_transfer(event, now)
        self._note_step(event, now)
        match event:
            case events.RetryScheduled():
                self.retries.append(event)
            case events.Warned():
                self.warnings.append(event)
            case events.DriverChosen():
                self.driver = event.driver
            case events.ImageBuilt():
                self.digest, self.size, self.layers = event.digest, event.size, event.layers
            case events.BuildSucceeded():
                self.result = dict(event.result)
            case events.InputsFound():
                self.inputs = event.inputs
            case _:
                pass

    def note_kept(self, entry: Mapping[str, Any]) -> None:
        """Take over what an earlier run's result.json says of the image that it has built."""
        self.inputs, self.digest = str(entry["inputs"]), str(entry["digest"])
        self.size, self.layers = int(entry["size"]), int(entry["layers"])
        self.result = {name: entry[name] for name in ("platform", "manifests", "driver")}
        self.result["config_digest"] = entry.get("containerimage.config.digest", "")
        self.result["descriptor"] = entry.get("containerimage.descriptor", {})

    def _note_attempt(self, event: events.Event, now: float) -> None:
        """A build that is to be begun again has failed; of the next attempt all is told anew."""
        match event:
            case events.BuildStarted():
                self._attempt_start, self._failure = now, None
            case events.BuildFailed():
                self._failure = event
            case events.RetryScheduled() if event.action == f"build {self.name}":
                start = now if self._attempt_start is None else self._attempt_start
                kind = self._failure.kind if self._failure else "Error"
                self.attempts.append(
                    FailedAttempt(start=start, seconds=now - start, kind=kind, message=event.error)
                )
                for told in (self.stages, self.transfers, self.pending):
                    told.clear()
            case _:
                pass

    def _note_transfer(self, event: events.Event, now: float) -> None:
        match event:
            case events.PullStarted():
                self.pending["pull", event.reference] = now
            case events.PushStarted():
                self.pending["push", event.reference] = now
            case events.PullFinished() | events.PushFinished():
                kind: Literal["pull", "push"] = "pull" if isinstance(event, events.PullFinished) else "push"
                self.pending.pop((kind, event.reference), None)
                self.transfers.append(Transfer(max(now - event.seconds, 0.0), event))
            case events.LayerUnpacked() | events.BlobPushed():
                self.transfers.append(Transfer(max(now - event.seconds, 0.0), event))
            case _:
                pass

    def _note_step(self, event: events.Event, now: float) -> None:
        match event:
            case events.StageStarted():
                stage = Stage(
                    index=event.index, name=event.name, base=event.base, platform=event.platform, start=now
                )
                self.stages.append(stage)
            case events.StepStarted():
                step = Step(position=event.position, instruction=event.instruction, start=now)
                self._stage(event.stage, event.platform).steps.append(step)
            case events.LayerWritten():
                for step in self._stage(event.stage, event.platform).steps:
                    if step.position == event.position:
                        step.layer_digest, step.layer_size = event.digest, event.size
                        step.layer_seconds, step.layer_end = event.seconds, now
            case events.StepFinished():
                for step in self._stage(event.stage, event.platform).steps:
                    if step.position == event.position:
                        step.seconds = event.seconds
                        if event.layer_digest:
                            step.layer_digest, step.layer_size = event.layer_digest, event.layer_size
                        step.cached = event.cached
            case _:
                pass

    def _stage(self, index: int, platform: str) -> Stage:
        """The stage that a step belongs to; made up when a worker does not tell of its stages."""
        for stage in self.stages:
            if (stage.index, stage.platform) == (index, platform):
                return stage
        self.stages.append(Stage(index=index, name="", base="", platform=platform))
        return self.stages[-1]
