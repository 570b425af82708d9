"""The tables of report.html: the slowest steps and the largest layers of all images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, TypeAlias
from urllib.parse import quote

from runner.report.html.markup import Html, tag
from runner.report.html.timeline import share, stage_title
from runner.report.imagerecord import ImageRecord, Stage, Step
from runner.report.plaintext import page_text
from runner.report.style import duration, size

Shade: TypeAlias = Literal["good", "bad", "odd", ""]
_ROWS = 10


def badge(kind: Shade, word: str) -> Html:
    """A word in a coloured field."""
    return tag("span", word, class_=f"badge {kind}".rstrip())


def log_link(image: ImageRecord, text: str) -> Html:
    """A link to the image's log, beside the page."""
    return tag("a", text, href=f"logs/{quote(image.name, errors='replace')}.log")


def slowest_steps(images: Iterable[ImageRecord]) -> Iterator[Html]:
    """The steps that took longest, if any took long enough to be of interest."""
    steps = [found for found in _steps(images) if (found[2].seconds or 0.0) >= 0.1]
    steps.sort(key=lambda found: -(found[2].seconds or 0.0))
    if not steps:
        return
    longest = steps[0][2].seconds or 1.0
    rows = [
        tag(
            "tr",
            *_cells(image, stage, step),
            tag("td", duration(step.seconds or 0.0), class_="number"),
            tag("td", share("step", (step.seconds or 0.0) / longest), class_="share"),
        )
        for image, stage, step in steps[:_ROWS]
    ]
    yield _table("Slowest steps", "time", rows)


def largest_layers(images: Iterable[ImageRecord]) -> Iterator[Html]:
    """The steps that made the largest layers, each layer once."""
    steps = {step.layer_digest: (image, stage, step) for image, stage, step in _steps(images) if step.layer_digest}
    largest = sorted(steps.values(), key=lambda found: -found[2].layer_size)[:_ROWS]
    if not largest:
        return
    most = largest[0][2].layer_size or 1
    rows = [
        tag(
            "tr",
            *_cells(image, stage, step),
            tag("td", size(step.layer_size), class_="number"),
            tag("td", share("layer", step.layer_size / most), class_="share"),
        )
        for image, stage, step in largest
    ]
    yield _table("Largest layers", "compressed", rows)


def _steps(images: Iterable[ImageRecord]) -> Iterator[tuple[ImageRecord, Stage, Step]]:
    for image in images:
        for stage in image.stages:
            for step in stage.steps:
                yield image, stage, step


def _cells(image: ImageRecord, stage: Stage, step: Step) -> tuple[Html, Html]:
    place = tag("span", f"{stage_title(stage)}, step {step.position}", class_="soft")
    name = tag("td", tag("strong", page_text(image.name, 60)), tag("br"), place)
    return name, tag("td", tag("code", page_text(step.instruction, 160)))


def _table(title: str, measure: str, rows: list[Html]) -> Html:
    head = tag(
        "tr",
        tag("th", "image"),
        tag("th", "instruction"),
        tag("th", measure, class_="number"),
        tag("th", "", class_="share"),
    )
    table = tag("div", tag("table", tag("thead", head), tag("tbody", *rows)), class_="scroll")
    return tag("section", tag("h2", title), table)
