"""Runs as their events tell them, made up by a fixed recipe: thirty images, failures, hostile names."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from executor import events
from runner.outcome import Outcome, RunReport
from runner.runevents import (
    ImageEvent,
    ImageFinished,
    ImageOutput,
    ImageStarted,
    RunEvent,
    RunFinished,
    RunStarted,
    RunWarned,
)

STARTED = datetime(2026, 11, 24, 9, 30, 12, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script>\"'&\u202egnp.exe\x1b[31m\x00\udc80"
STEPS = (
    "COPY requirements.txt /app/",
    "RUN pip install --no-cache-dir -r requirements.txt",
    "COPY . /app",
    "RUN make -j4 all && strip /app/bin/server",
    "RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates curl git openssh-client",
    "USER 1000",
    'ENTRYPOINT ["/app/bin/server"]',
)


def digest(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


@dataclass
class Recorder:
    """Makes the events of one run; each image is told of at its own times."""

    seed: int = 7
    told: list[RunEvent] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def image(self, name: str, start: float, *, total: int, scale: float = 1.0, fate: str = "built") -> float:
        """An image from `start` on; its end."""
        at = start
        self.told.append(ImageStarted(name=name, position=len(self.outcomes) + 1, total=total, at=at))

        def tell(event: events.Event, wait: float = 0.0) -> None:
            nonlocal at
            at += wait
            self.told.append(ImageEvent(name=name, event=event, at=at))

        tell(events.BuildStarted(name=name, dockerfile="Dockerfile", context="."), 0.02)
        tell(events.DriverChosen(driver="overlay", reason="a small overlay could be mounted"), 0.01)
        self._pull(tell, scale)
        failed = self._stages(tell, name, scale, fate)
        if failed is None:
            failed = self._push(tell, name, scale, fate)
        if failed:
            tell(failed)
        self._end(name, at - start, failed, at)
        return at

    def _pull(self, tell, scale: float) -> None:
        tell(events.PullStarted(reference="registry.example/debian:12-slim"), 0.01)
        wait = self.random.uniform(0.2, 0.5) * scale
        tell(
            events.PullFinished(
                reference="registry.example/debian:12-slim",
                digest=digest("debian"),
                layers=2,
                size=4096,
                seconds=wait,
            ),
            wait,
        )
        for number in range(2):
            wait = self.random.uniform(0.3, 1.2) * scale
            tell(
                events.LayerUnpacked(
                    digest=digest(f"base{number}"),
                    size=28_300_000 - number * 20_000_000,
                    downloaded=True,
                    seconds=wait,
                ),
                wait,
            )

    def _stages(self, tell, name: str, scale: float, fate: str) -> events.BuildFailed | None:
        for index, (stage, base) in enumerate(
            (("build", "registry.example/debian:12-slim"), ("", "stage 0 (build)"))
        ):
            tell(
                events.StageStarted(
                    index=index, name=stage, base=base, position=index + 1, total=2, platform="linux/amd64"
                )
            )
            for position, text in enumerate(STEPS, start=1):
                place = {"stage": index, "position": position, "instruction": text, "platform": "linux/amd64"}
                tell(events.StepStarted(**place, total=len(STEPS)))
                if index and position == 4 and fate == "failed":
                    for number in range(40):
                        tell(events.CommandOutput(line=f"src/server.c:{number}: error: 'x' undeclared", stage=1))
                    return events.BuildFailed(
                        kind="RunError",
                        message="the command '/bin/sh -c make -j4 all' ended with status 2",
                        hint="",
                        exit_code=2,
                        retryable=False,
                        file=f"images/{name}/Dockerfile",
                        line=14,
                        excerpt=" 14 | >>> RUN make -j4 all",
                    )
                cached = self.random.random() < 0.3
                wait = 0.01 if cached or "RUN" not in text else self.random.uniform(0.2, 3.0) * scale
                layer = digest(f"{name}{index}{position}") if text.startswith(("RUN", "COPY")) else ""
                size = int(self.random.lognormvariate(14, 2)) if layer else 0
                if layer and not cached:
                    tell(
                        events.LayerWritten(
                            stage=index,
                            position=position,
                            digest=layer,
                            size=size,
                            seconds=wait / 5,
                            platform="linux/amd64",
                        ),
                        wait,
                    )
                tell(
                    events.StepFinished(**place, seconds=wait, layer_digest=layer, layer_size=size, cached=cached),
                    wait if cached or not layer else 0.0,
                )
        if self.random.random() < 0.3:
            tell(
                events.Warned(
                    message="the stage name 'Build' should be lowercase", location=f"images/{name}/Dockerfile:1"
                )
            )
        tell(events.ImageBuilt(digest=digest(name), size=90_000_000, layers=6), 0.01)
        return None

    def _push(self, tell, name: str, scale: float, fate: str) -> events.BuildFailed | None:
        reference = f"registry.example/team/{name}:1.4.2"
        tell(events.PushStarted(reference=reference))
        if fate == "push failed":
            tell(
                events.RetryScheduled(
                    action=f"push {reference}", error="503 Service Unavailable", attempt=1, wait=1.5
                ),
                0.4,
            )
            return events.BuildFailed(
                kind="PushError",
                message=f"built, but not pushed to {reference}: 403 Forbidden",
                hint="give the robot account push rights for team/*",
                exit_code=3,
                retryable=False,
            )
        for number, how in enumerate(("sent", "mounted", "sent")):
            wait = self.random.uniform(0.05, 0.8) * scale
            tell(
                events.BlobPushed(
                    repository=f"registry.example/team/{name}",
                    digest=digest(f"{name}{number}"),
                    size=9_000_000,
                    how=how,
                    seconds=wait,
                ),
                wait,
            )
        tell(
            events.PushFinished(
                reference=reference,
                digest=digest(name),
                sent=2,
                mounted=1,
                existing=0,
                size=18_000_000,
                seconds=1.2 * scale,
            ),
            0.2,
        )
        tell(
            events.BuildSucceeded(
                result={"digest": digest(name), "config_digest": digest("c"), "platform": "linux/amd64"}
            )
        )
        return None

    def _end(self, name: str, seconds: float, failed: events.BuildFailed | None, at: float) -> None:
        status = "built" if failed is None else "push failed" if failed.kind == "PushError" else "failed"
        known = {"digest": digest(name), "size": 90_000_000} if status != "failed" else {}
        fields = (
            {}
            if failed is None
            else {key: getattr(failed, key) for key in ("kind", "message", "hint", "file", "line")}
        )
        outcome = Outcome(name=name, status=status, seconds=seconds, **known, **fields)
        self.outcomes.append(outcome)
        self.told.append(ImageFinished(outcome=outcome, at=at))

    def skip(self, name: str, cause: str, at: float) -> None:
        outcome = Outcome(name=name, status="skipped", message=cause)
        self.outcomes.append(outcome)
        self.told.append(ImageFinished(outcome=outcome, at=at))

    def run(
        self,
        names: tuple[str, ...],
        needs: dict[str, tuple[str, ...]],
        *,
        jobs: int,
        file: str,
        ended: bool = True,
    ) -> list[RunEvent]:
        begun = RunStarted(file=file, images=names, jobs=jobs, needs=needs, time=STARTED, at=0.0)
        told = sorted(self.told, key=lambda event: event.at)
        if not ended:
            return [begun, *told]
        end = told[-1].at if told else 0.0
        return [
            begun,
            *told,
            RunFinished(report=RunReport(outcomes=tuple(self.outcomes), seconds=end + 0.05), at=end + 0.05),
        ]


def thirty(*, failures: bool = True) -> list[RunEvent]:
    """Thirty images on two bases, two at once: with failures, pushes that are refused, and what is skipped."""
    recorder = Recorder()
    names = ("base", "runtime", *(f"service-{number:02}" for number in range(1, 29)))
    needs: dict[str, tuple[str, ...]] = {
        name: ("base" if index % 2 else "runtime",) for index, name in enumerate(names[2:])
    }
    needs["runtime"] = ("base",)
    free = [recorder.image("base", 0.1, total=30, scale=1.5)] * 2
    free[1] = recorder.image("runtime", free[0] + 0.02, total=30)
    for name in names[2:]:
        fate = (
            {"service-07": "failed", "service-12": "push failed", "service-19": "failed"}.get(name, "built")
            if failures
            else "built"
        )
        if failures and name in ("service-20", "service-21"):
            needs[name] = ("service-19",)
            recorder.skip(name, "needs service-19, which failed", max(free))
            continue
        place = min(range(2), key=lambda index: free[index])
        free[place] = recorder.image(name, free[place] + 0.01, total=30, scale=0.6, fate=fate)
    return recorder.run(names, needs, jobs=2, file="images/builds.yaml")


def small(*, ended: bool = True) -> list[RunEvent]:
    """Three images in a chain; without an end, the last is still built."""
    recorder = Recorder(seed=3)
    end = recorder.image("base", 0.1, total=3)
    end = recorder.image("python", end + 0.01, total=3)
    recorder.image("web", end + 0.01, total=3)
    if not ended:
        last = max(
            index
            for index, event in enumerate(recorder.told)
            if isinstance(event, ImageEvent) and isinstance(event.event, events.StepStarted)
        )
        recorder.told = recorder.told[: last + 1]
    return recorder.run(
        ("base", "python", "web"),
        {"python": ("base",), "web": ("python",)},
        jobs=1,
        file="builds.yaml",
        ended=ended,
    )


def hostile() -> list[RunEvent]:
    """Everything that a build can say is hostile."""
    name = HOSTILE
    place = {"stage": 0, "position": 1, "instruction": HOSTILE * 40, "platform": HOSTILE}
    failed = Outcome(
        name=name, status="failed", kind=HOSTILE, message=HOSTILE * 100, hint=HOSTILE, file=HOSTILE, line=3
    )
    told = [
        events.PullStarted(reference=HOSTILE),
        events.StageStarted(index=0, name=HOSTILE, base=HOSTILE, position=1, total=1, platform=HOSTILE),
        events.StepStarted(**place, total=1),
        events.CommandOutput(line=HOSTILE * 1000),
        events.Warned(message=HOSTILE, location=HOSTILE),
        events.RetryScheduled(action=HOSTILE, error=HOSTILE, attempt=1, wait=1),
        events.PushStarted(reference=HOSTILE),
    ]
    return [
        RunStarted(file=HOSTILE, images=(name,), jobs=1, needs={name: (HOSTILE,)}, time=STARTED, at=0.0),
        RunWarned(message=HOSTILE, at=0.1),
        ImageStarted(name=name, position=1, total=1, at=0.2),
        *(ImageEvent(name=name, event=event, at=0.3) for event in told),
        ImageOutput(name=name, line=HOSTILE, at=0.4),
        ImageFinished(outcome=failed, at=2.0),
        RunFinished(report=RunReport(outcomes=(failed,), seconds=2.1), at=2.1),
    ]


def many(count: int) -> Iterator[RunEvent]:
    """A list of `count` images, one after the other."""
    recorder = Recorder()
    names = tuple(f"image-{number:04}" for number in range(count))
    end = 0.0
    for name in names:
        end = recorder.image(
            name, end + 0.01, total=count, scale=0.1, fate="failed" if name.endswith("7") else "built"
        )
    yield from recorder.run(names, {}, jobs=1, file="builds.yaml")
