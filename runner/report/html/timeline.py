"""Bars along a run's time, as SVG that stretches with the page: places are in percent, so text keeps its size."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Literal, TypeAlias

from executor.dataclass import dataclass
from runner.report.html.markup import Html, tag
from runner.report.imagerecord import ImageRecord, Stage, Step
from runner.report.plaintext import page_text
from runner.report.style import duration, size

Kind: TypeAlias = Literal["span", "path", "pull", "unpack", "step", "layer", "cached", "push", "failed"]
_COLOURS: dict[Kind, str] = {
    "span": "#e4e8ee",
    "path": "#d5dcf7",
    "pull": "#4e79a7",
    "unpack": "#76b7b2",
    "step": "#e8a33d",
    "layer": "#b97a1c",
    "cached": "#98a2b3",
    "push": "#4f9d56",
    "failed": "#cf3f4b",
}  # for readers that keep style sheets out, as Jenkins does; the page's own style has them too
_ROW_HEIGHT = 26
_STEPS_OF_A_TICK = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600)
_SHOWN_TEXT = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A piece of work from `start` to `end`, in seconds. `title` is shown when pointed at."""

    kind: Kind
    start: float
    end: float
    title: str
    lane: Literal["main", "thin", "whole"] = "main"


@dataclass(frozen=True, slots=True)
class Scale:
    """The time from `start` to `end`, in seconds, and where its marks are."""

    start: float
    end: float

    @property
    def marks(self) -> list[float]:
        """Some five round times within."""
        length = max(self.end - self.start, 0.001)
        if length < 4:
            step = next(step for step in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0) if length / step <= 7)
        else:
            step = next(
                (step for step in _STEPS_OF_A_TICK if length / step <= 7), math.ceil(length / 6 / 3600) * 3600
            )
        first = math.ceil(self.start / step)
        return [round(count * step, 3) for count in range(first, math.floor(self.end / step) + 1)]

    def percent(self, seconds: float) -> float:
        """Where a moment is, from 0 to 100."""
        length = max(self.end - self.start, 0.001)
        return min(max(0.0, (seconds - self.start) / length * 100), 100.0)  # 0.0 first: it wins over -0.0


def axis(scale: Scale) -> Html:
    """The times at the marks."""
    texts = [
        tag("text", _clock(mark), x=f"{scale.percent(mark):.2f}%", y="14", class_=_side(scale.percent(mark)))
        for mark in scale.marks
    ]
    return tag("svg", *texts, class_="axis", width="100%", height="20", aria_hidden="true")


def row(bars: Iterable[Bar], scale: Scale, label: str, *, marked: bool = True) -> Html:
    """A line of bars. `label` says in words what it shows, for those who do not see it."""
    marks = [_mark(scale.percent(mark)) for mark in scale.marks] if marked else []
    shown = [_rect(bar, scale) for bar in bars]
    return tag("svg", *marks, *shown, width="100%", height=_ROW_HEIGHT, role="img", aria_label=label)


def share(kind: Kind, part: float) -> Html:
    """A single bar, `part` (0 to 1) of the width."""
    bar = Bar(kind=kind, start=0.0, end=part, title="")
    return tag("svg", _rect(bar, Scale(0.0, 1.0)), width="100%", height=_ROW_HEIGHT, aria_hidden="true")


def image_bars(image: ImageRecord, now: float, *, on_path: bool) -> Iterator[Bar]:
    """One image in one line: steps in the middle, what is pulled and pushed below."""
    if image.start is None:
        return
    end = now if image.end is None else image.end
    title = f"{page_text(image.name, 80)}: {duration(end - image.start)}"
    yield Bar(kind="path" if on_path else "span", start=image.start, end=end, title=title, lane="whole")
    for attempt in image.attempts:
        failed_at = attempt.start + attempt.seconds
        yield Bar(kind="failed", start=failed_at - 0.05, end=failed_at, title=f"failed: {attempt.message[:200]}")
    for stage in image.stages:
        for step in stage.steps:
            yield from step_bars(stage, step, end, failed=image.state in ("failed", "stopped"))
    yield from transfer_bars(image, end, lane="thin")


def step_bars(stage: Stage, step: Step, end: float, *, failed: bool) -> Iterator[Bar]:
    """An instruction, and within it the writing of its layer. One without an end goes on until `end`."""
    title = f"{stage_title(stage)}, step {step.position}: {page_text(step.instruction, _SHOWN_TEXT)}"
    if step.seconds is None:
        yield Bar(kind="failed" if failed else "step", start=step.start, end=end, title=title)
        return
    until = step.start + step.seconds
    title = f"{title} ({'cached' if step.cached else duration(step.seconds)})"
    yield Bar(kind="cached" if step.cached else "step", start=step.start, end=until, title=title)
    if step.layer_seconds:
        what = f"layer of {size(step.layer_size)} written in {duration(step.layer_seconds)}"
        yield Bar(kind="layer", start=step.layer_end - step.layer_seconds, end=step.layer_end, title=what)


def transfer_bars(image: ImageRecord, end: float, *, lane: Literal["main", "thin"]) -> Iterator[Bar]:
    """Pulls, unpacking, uploads and pushes."""
    for start, pull in image.pulls:
        title = f"pull {pull.reference} ({duration(pull.seconds)})"
        yield Bar(kind="pull", start=start, end=start + pull.seconds, title=title, lane=lane)
    for start, unpack in image.unpacks:
        verb = "fetch and unpack" if unpack.downloaded else "unpack"
        title = f"{verb} a layer of {size(unpack.size)} ({duration(unpack.seconds)})"
        yield Bar(kind="unpack", start=start, end=start + unpack.seconds, title=title, lane=lane)
    for start, blob in image.blobs:
        title = f"{blob.how}: {size(blob.size)} for {blob.repository} ({duration(blob.seconds)})"
        yield Bar(kind="push", start=start, end=start + blob.seconds, title=title, lane=lane)
    for start, push in image.pushes:
        title = f"push {push.reference} ({duration(push.seconds)})"
        yield Bar(kind="push", start=start, end=start + push.seconds, title=title, lane=lane)
    failed = image.state in ("failed", "push failed", "stopped")
    for (kind, reference), start in image.pending.items():
        yield Bar(kind="failed" if failed else kind, start=start, end=end, title=f"{kind} {reference}", lane=lane)


def stage_title(stage: Stage) -> str:
    """`stage 1 (build)`, with the platform if it is known."""
    name = f" ({page_text(stage.name, 40)})" if stage.name else ""
    platform = f" for {stage.platform}" if stage.platform else ""
    return f"stage {stage.index}{name}{platform}"


def legend() -> Html:
    """What the colours mean."""
    words: tuple[tuple[Kind, str], ...] = (
        ("step", "instruction"),
        ("layer", "writing its layer"),
        ("cached", "from the cache"),
        ("pull", "pull"),
        ("unpack", "unpack a base layer"),
        ("push", "push"),
        ("failed", "failed"),
        ("path", "on the critical path"),
    )
    return tag("p", *(tag("span", _swatch(kind), word) for kind, word in words), class_="legend")


def _swatch(kind: Kind) -> Html:
    box = tag("rect", width="12", height="12", rx="2", class_=kind, fill=_COLOURS[kind])
    return tag("svg", box, width="12", height="12", aria_hidden="true")


def _rect(bar: Bar, scale: Scale) -> Html:
    left, right = scale.percent(bar.start), scale.percent(bar.end)
    top, tall = {"main": (5, 12), "thin": (18, 4), "whole": (2, 22)}[bar.lane]
    return tag(
        "rect",
        tag("title", page_text(bar.title, 300)) if bar.title else Html(""),
        x=f"{left:.3f}%",
        width=f"{max(right - left, 0.15):.3f}%",
        y=top,
        height=tall,
        rx=3 if bar.lane == "whole" else 1,
        class_=bar.kind,
        fill=_COLOURS[bar.kind],
    )


def _mark(percent: float) -> Html:
    place = f"{percent:.2f}%"
    return tag("line", x1=place, x2=place, y1=0, y2=_ROW_HEIGHT, class_="mark", stroke="#ccd2da")


def _side(percent: float) -> str:
    """Times at the edges stay within the picture."""
    return "first" if percent < 4 else "last" if percent > 96 else "middle"


def _clock(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:g} s"
    whole = round(seconds)
    shown = f"{whole // 60}:{whole % 60:02}"
    return shown if whole < 3600 else f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
