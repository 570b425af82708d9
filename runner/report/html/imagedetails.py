"""One image of report.html: a line that opens to its facts, its own timeline and what it warned of."""

from __future__ import annotations

from collections.abc import Iterator

from runner.report.html.markup import Html, join, tag
from runner.report.html.pagetables import Shade, badge, log_link
from runner.report.html.timeline import Bar, Scale, axis, row, stage_title, step_bars, transfer_bars
from runner.report.imagerecord import ImageRecord, Stage, State
from runner.report.plaintext import page_text
from runner.report.style import counted, duration, size

_MOST_STEPS = 60
_MOST_RETRIES = 10
_MOST_TRANSFERS = 24
_KINDS: dict[State, Shade] = {"built": "good", "failed": "bad", "push failed": "bad", "waiting": "", "running": ""}


def image_details(image: ImageRecord, now: float, *, brief: bool) -> Html:
    """`brief` leaves out the timeline, of a list so long that the page would grow too large."""
    end = now if image.end is None else image.end
    word = "kept" if image.is_kept else "pushed" if image.state == "built" and any(image.pushes) else image.state
    facts = [duration(end - image.start)] if image.start is not None else []
    facts += [f"{counted(image.cached, 'step')} cached"] if image.cached else []
    facts += [size(image.size)] if image.digest else []
    summary = tag(
        "summary",
        tag("strong", page_text(image.name, 100), class_="name"),
        badge(_KINDS.get(image.state, "odd"), word),
        tag("span", " · ".join(facts), class_="time"),
    )
    body = [_facts(image)] if brief else [_facts(image), *_timeline(image, end)]
    return tag("details", summary, tag("div", *body, class_="body"))


def _facts(image: ImageRecord) -> Html:
    rows = [join(tag("dt", name), tag("dd", value)) for name, value in _named_facts(image)]
    return tag("dl", *rows, class_="facts")


def _named_facts(image: ImageRecord) -> Iterator[tuple[str, str]]:
    if image.digest:
        yield "digest", tag("code", image.digest)
        yield "size", f"{size(image.size)} in {counted(image.layers, 'layer')}"
    if image.is_kept:
        yield "kept", "an earlier run has built and pushed it, and nothing that it is made of has changed"
    for name in image.pushed:
        yield "pushed", tag("code", page_text(name, 300))
    if image.outcome and image.outcome.message:
        yield image.outcome.status, page_text(image.outcome.message.split("\n", 1)[0], 300)
    if image.needs:
        yield "builds upon", page_text(", ".join(image.needs), 400)
    if image.driver:
        yield "root filesystem", image.driver
    for attempt in image.attempts:
        yield "earlier try", f"failed after {duration(attempt.seconds)}: {page_text(attempt.message, 300)}"
    for retry in image.retries[:_MOST_RETRIES]:
        yield "tried again", page_text(f"{retry.action}: {retry.error}", 300)
    if image.start is not None:
        yield "log", log_link(image, f"{page_text(image.name, 100)}.log")


def _timeline(image: ImageRecord, end: float) -> Iterator[Html]:
    if image.start is None or not (image.stages or image.transfers or image.pending):
        return
    scale = Scale(image.start, max(end, image.start + 0.001))
    yield _line("", axis(scale), "")
    yield from _transfers(image, end, scale, before=True)
    for stage in image.stages:
        yield tag("p", f"{stage_title(stage)} from {page_text(stage.base, 120)}", class_="stage name")
        yield from _steps(stage, end, scale, failed=image.state in ("failed", "stopped"))
    yield from _transfers(image, end, scale, before=False)


def _steps(stage: Stage, end: float, scale: Scale, *, failed: bool) -> Iterator[Html]:
    for step in stage.steps[:_MOST_STEPS]:
        bars = list(step_bars(stage, step, end, failed=failed))
        time = "cached" if step.cached else "" if step.seconds is None else duration(step.seconds)
        layer = f" · {size(step.layer_size)}" if step.layer_digest else ""
        label = f"{step.position}. {page_text(step.instruction, 160)}"
        yield _line(label, row(bars, scale, page_text(bars[0].title, 200), marked=False), f"{time}{layer}")
    if len(stage.steps) > _MOST_STEPS:
        yield tag("p", f"… and {len(stage.steps) - _MOST_STEPS} more steps", class_="note")


def _transfers(image: ImageRecord, end: float, scale: Scale, *, before: bool) -> Iterator[Html]:
    """What comes in before the stages, what goes out after them."""
    incoming = ("pull", "unpack")
    bars = [bar for bar in transfer_bars(image, end, lane="main") if _is_incoming(bar, incoming) == before]
    if not bars:
        return
    yield tag("p", "pulled and unpacked" if before else "pushed", class_="stage")
    for bar in bars[:_MOST_TRANSFERS]:
        yield _line(
            page_text(bar.title, 160),
            row([bar], scale, page_text(bar.title, 200), marked=False),
            duration(bar.end - bar.start),
        )
    if len(bars) > _MOST_TRANSFERS:
        yield tag("p", f"… and {len(bars) - _MOST_TRANSFERS} more", class_="note")


def _is_incoming(bar: Bar, incoming: tuple[str, ...]) -> bool:
    return bar.kind in incoming or bar.title.startswith(incoming)


def _line(name: str, picture: Html, time: str) -> Html:
    shown = tag("span", name, class_="name", title=name)
    class_ = "row inner" if name else "row inner axis"
    return tag("div", shown, picture, tag("span", time, class_="time"), class_=class_)
