"""report.html: a run on one page that needs nothing else, neither scripts nor the network.

Its policy forbids both. All text of builds is escaped, cut, and freed from control codes; the size is bounded.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterator

from runner.report.criticalpath import Link, critical_path
from runner.report.html.imagedetails import image_details
from runner.report.html.markup import Html, join, tag
from runner.report.html.pagestyle import STYLE
from runner.report.html.pagetables import badge, largest_layers, log_link, slowest_steps
from runner.report.html.timeline import Scale, axis, image_bars, legend, row
from runner.report.imagerecord import ImageRecord
from runner.report.plaintext import page_text
from runner.report.record import RunRecord
from runner.report.style import counted, duration, size

_MOST_ROWS = 120
_MOST_PROBLEMS = 40
_MOST_WARNINGS = 100
_ENOUGH = 700_000  # characters, after which images are listed without details
_TAIL = 18
_TAIL_WIDTH = 300
_MEANINGS = {
    0: "everything is built, and pushed where a destination was given",
    1: "a build failed",
    3: "everything is built, but a push failed",
    4: "the machine is unfit",
    70: "a bug of krunner",
    75: "failures that may pass: run it again",
    130: "stopped by SIGINT",
    143: "stopped by SIGTERM",
}


def page(record: RunRecord) -> bytes:
    """The document, in UTF-8."""
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    title = page_text(f"{record.file or 'krunner'}: {_verdict(record)}", 120)
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", title),
        tag("style", Html(STYLE)),
    )
    body = tag("body", _header(record), tag("main", *_sections(record)), _footer())
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n".encode("utf-8", "replace")


def _sections(record: RunRecord) -> Iterator[Html]:
    now, path = record.seconds, critical_path(record.images, record.seconds)
    yield from _problems(record)
    yield _timeline(record, now, {link.image.name for link in path})
    yield from _path(path, record)
    yield from slowest_steps(record.images.values())
    yield from largest_layers(record.images.values())
    yield from _warnings(record)
    yield _images(record, now)


def _verdict(record: RunRecord) -> str:
    total = len(record.images)
    usable = sum(image.state == "built" for image in record.images.values())
    images = "image" if total == 1 else "images"
    if not record.report:
        return f"{usable} of {total} {images} done, the run has not ended"
    return f"all {total} {images} built" if usable == total else f"{usable} of {total} {images} built"


def _header(record: RunRecord) -> Html:
    code = record.report.exit_code if record.report else None
    meaning = (
        "no end was written: krunner is still at work, or was killed"
        if code is None
        else f"exit code {code}: {_MEANINGS.get(code, 'stopped by a signal')}"
    )
    began = record.started.strftime("%Y-%m-%d %H:%M:%S UTC")
    return tag(
        "header",
        tag("h1", _outcome(code), " ", _capital(_verdict(record))),
        tag(
            "p",
            tag("span", page_text(record.file, 200), class_="name"),
            f" · {began} · {duration(record.seconds)} · {meaning}",
            class_="soft",
        ),
        _tiles(record),
    )


def _outcome(code: int | None) -> Html:
    if code is None:
        return badge("odd", "unfinished")
    return badge("bad", "failure") if code else badge("good", "success")


def _tiles(record: RunRecord) -> Html:
    images = list(record.images.values())
    steps = [step for image in images for stage in image.stages for step in stage.steps]
    cached = sum(step.cached for step in steps)
    states = Counter("kept" if image.is_kept else image.state for image in images)
    others = ", ".join(f"{count} {state}" for state, count in states.items() if state != "built")
    pulled = sum(unpack.size for image in images for _, unpack in image.unpacks if unpack.downloaded)
    sent = sum(blob.size for image in images for _, blob in image.blobs if blob.how == "sent")
    saved = sum(blob.size for image in images for _, blob in image.blobs if blob.how != "sent")
    tiles = (
        ("images", f"{states['built']} built", others or "none failed"),
        ("time", duration(record.seconds), f"up to {record.jobs} at once"),
        ("steps", f"{len(steps)}", f"{cached} from the cache"),
        ("built", size(sum(image.size for image in images)), counted(sum(i.layers for i in images), "layer")),
        ("downloaded", size(pulled), "layers of base images"),
        ("uploaded", size(sent), f"{size(saved)} were there already"),
    )
    shown = (tag("div", tag("dt", name), tag("dd", value, tag("small", note))) for name, value, note in tiles)
    return tag("dl", *shown, class_="tiles")


def _problems(record: RunRecord) -> Iterator[Html]:
    bad = [image for image in record.images.values() if image.outcome and image.outcome.status != "built"]
    if not bad:
        return
    order = ("failed", "push failed", "not pushed", "stopped", "skipped")
    bad.sort(key=lambda image: order.index(image.state) if image.state in order else 0)
    shown = [_problem(image) for image in bad[:_MOST_PROBLEMS]]
    if len(bad) > _MOST_PROBLEMS:
        shown.append(tag("p", f"… and {len(bad) - _MOST_PROBLEMS} more: see the images below.", class_="note"))
    yield tag("section", tag("h2", "What went wrong"), *shown)


def _problem(image: ImageRecord) -> Html:
    outcome = image.outcome
    assert outcome is not None  # noqa: S101  # the caller chose those that have one
    is_odd = outcome.status in ("skipped", "stopped", "not pushed")
    where = f"{outcome.file}:{outcome.line}" if outcome.line else outcome.file
    parts = [
        tag(
            "header",
            tag("h3", page_text(image.name, 100), class_="name"),
            badge("odd" if is_odd else "bad", outcome.status),
            tag("code", page_text(where, 200), class_="soft") if where else Html(""),
            log_link(image, "log") if image.start is not None else Html(""),
        ),
        tag("p", page_text(_unsaid(image, outcome.message), 2000), class_="message"),
    ]
    if outcome.excerpt:
        parts.append(tag("pre", page_text(outcome.excerpt, 2000)))
    if outcome.hint:
        parts.append(tag("p", f"What to do: {page_text(outcome.hint, 600)}", class_="hint"))
    if image.tail and not is_odd:
        parts.append(tag("pre", "\n".join(page_text(line, _TAIL_WIDTH) for line in list(image.tail)[-_TAIL:])))
    return tag("article", *parts, class_="problem odd" if is_odd else "problem")


def _unsaid(image: ImageRecord, message: str) -> str:
    """A message without the lines at its end that the end of the log shows anyway."""
    first, *more = message.split("\n")
    logged = {line.strip() for line in image.tail}
    while more and more[-1].strip() in logged:
        more.pop()
    return "\n".join([first, *more])


def _timeline(record: RunRecord, now: float, on_path: set[str]) -> Html:
    scale = Scale(0.0, max(now, 0.001))
    images = list(record.images.values())
    rows = [_row("", axis(scale), "", "row axis")]
    for image in images[:_MOST_ROWS]:
        bars = image_bars(image, now, on_path=image.name in on_path)
        label = f"{image.name}: {image.state}, {_span(image, now)}"
        rows.append(_row(page_text(image.name, 100), row(bars, scale, page_text(label, 200)), *_ended(image, now)))
    if len(images) > _MOST_ROWS:
        rows.append(tag("p", f"… and {len(images) - _MOST_ROWS} more images", class_="note"))
    note = (
        "Each line is an image; time runs from left to right. In the middle of a line are its instructions, below "
        "them what was pulled and pushed meanwhile. Point at a bar to see what it is."
    )
    return tag("section", tag("h2", "Timeline"), tag("p", note, class_="note"), *rows, legend())


def _row(name: str, picture: Html, time: str, class_: str = "row") -> Html:
    return tag(
        "div",
        tag("span", name, class_="name", title=name),
        picture,
        tag("span", time, class_="time"),
        class_=class_,
    )


def _ended(image: ImageRecord, now: float) -> tuple[str, str]:
    """What is said at the end of an image's line, and its class."""
    if image.state in ("failed", "push failed"):
        return image.state, "row bad"
    return (image.state, "row odd") if image.outcome and image.state != "built" else (_span(image, now), "row")


def _span(image: ImageRecord, now: float) -> str:
    if image.start is None:
        return "kept" if image.is_kept else image.state
    return duration((now if image.end is None else image.end) - image.start)


def _path(path: list[Link], record: RunRecord) -> Iterator[Html]:
    if not path:
        return
    total = sum(link.end - link.start for link in path)
    note = (
        "The run could not be shorter than this chain: each image began when the one above it had ended. A faster "
        "run needs one of these to be faster; all others were built in their shadow."
    )
    items = [_path_item(link, record) for link in path]
    title = tag("h2", f"Critical path: {duration(total)} of {duration(record.seconds)}")
    yield tag("section", title, tag("p", note, class_="note"), tag("ol", *items, class_="path"))


def _path_item(link: Link, record: RunRecord) -> Html:
    why = {
        "last": "the last to end",
        "needed": "the next one is built upon it",
        "busy": f"the next one waited for a place: --jobs {record.jobs}",
    }[link.reason]
    steps = [step for stage in link.image.stages for step in stage.steps]
    longest = max(steps, key=lambda step: step.seconds or 0.0, default=None)
    return tag(
        "li",
        tag("strong", page_text(link.image.name, 100), class_="name"),
        f" {duration(link.end - link.start)} ",
        tag("span", f"· {why}", class_="soft"),
        join(
            tag("br"),
            tag("span", f"longest step, {duration(longest.seconds)}: ", class_="soft"),
            tag("code", page_text(longest.instruction, 160)),
        )
        if longest and longest.seconds
        else Html(""),
        class_=link.reason,
    )


def _warnings(record: RunRecord) -> Iterator[Html]:
    found = [("", message) for message in record.warnings]
    for image in record.images.values():
        for warning in image.warnings:
            place = f"{warning.location}: " if warning.location else ""
            found.append((image.name, f"{place}{warning.message}"))
    if not found:
        return
    items = [
        tag("li", tag("strong", page_text(name, 100)), " " if name else "", page_text(message, 600))
        for name, message in found[:_MOST_WARNINGS]
    ]
    if len(found) > _MOST_WARNINGS:
        items.append(tag("li", f"… and {len(found) - _MOST_WARNINGS} more, in the logs"))
    yield tag("section", tag("h2", f"Warnings ({len(found)})"), tag("ul", *items))


def _images(record: RunRecord, now: float) -> Html:
    parts: list[Html] = []
    length = 0
    for image in record.images.values():
        part = image_details(image, now, brief=length > _ENOUGH)
        length += len(part)
        parts.append(part)
    return tag("section", tag("h2", "Images"), *parts)


def _footer() -> Html:
    files = ("result.json", "junit.xml", "digests.txt")
    links = join(*(join(tag("a", name, href=name), Html(" · ")) for name in files))
    return tag("footer", tag("p", "The same for programs: ", links, "a log of each image in logs/."))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
