"""A run as JUnit XML, which CI servers show as test results: a test case an image, as Ant and Surefire write it.

    testsuites > testsuite (the file) > testcase (an image) > properties, then failure, error or skipped

An image that failed to build or to push is a failure; a bug of ours, an unfit machine, and an image that was
stopped or never finished are errors. Attempts before the last are what Surefire writes for tests run again: a
flakyFailure where the image was built in the end, else a rerunFailure.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from xml.etree import ElementTree as ET

from executor.errors import described
from runner.outcome import Outcome
from runner.report.imagerecord import ImageRecord
from runner.report.plaintext import xml_text
from runner.report.record import RunRecord
from runner.report.style import duration

_ERRORS = frozenset({"InternalError", "UnfitError"})
_PLURALS = {"failure": "failures", "error": "errors", "skipped": "skipped"}


def junit(record: RunRecord) -> bytes:
    """The document, in UTF-8. Images that have not ended are errors, as they are if it is never written again."""
    suite = ET.Element("testsuite", name=xml_text(record.file), timestamp=record.started.isoformat("T", "seconds"))
    group = re.sub(r"[^A-Za-z0-9_-]", "_", os.path.splitext(os.path.basename(record.file))[0]).strip("_") or "list"
    for image in record.images.values():
        suite.append(_test_case(image, f"krunner.{group}"))
    root = ET.Element("testsuites", name="krunner")
    _count(suite, suite, ("failure", "error", "skipped"))
    _count(root, suite, ("failure", "error"))  # Jenkins' schema knows no sum of those that were skipped
    for element in (root, suite):
        element.set("time", f"{record.seconds:.3f}")
    root.append(suite)
    ET.indent(root)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _count(element: ET.Element, suite: ET.Element, kinds: tuple[str, ...]) -> None:
    element.set("tests", str(len(suite)))
    for kind in kinds:
        element.set(_PLURALS[kind], str(len(suite.findall(f"testcase/{kind}"))))


def _test_case(image: ImageRecord, group: str) -> ET.Element:
    seconds = image.outcome.seconds if image.outcome else 0.0
    case = ET.Element("testcase", classname=group, name=image.name, time=f"{seconds:.3f}")
    properties = ET.SubElement(case, "properties")
    for name, value in _properties(image):
        ET.SubElement(properties, "property", name=xml_text(name), value=xml_text(value))
    if not image.outcome:
        ET.SubElement(case, "error", type="Unfinished", message="the run ended before this image was finished")
    elif image.outcome.status != "built":
        case.append(_problem(image, image.outcome))
    case.extend(_earlier_attempts(image))
    return case


def _earlier_attempts(image: ImageRecord) -> Iterator[ET.Element]:
    """Jenkins and others show the case as flaky; those who do not know the elements skip them."""
    tag = "flakyFailure" if image.outcome and image.outcome.is_usable else "rerunFailure"
    for attempt in image.attempts:
        message = xml_text(attempt.message)
        again = ET.Element(tag, type=attempt.kind, message=message.split("\n", 1)[0])
        ET.SubElement(again, "stackTrace").text = message
        yield again


def _properties(image: ImageRecord) -> Iterator[tuple[str, str]]:
    yield "status", image.state
    if image.is_kept:
        yield "kept", "built and pushed by an earlier run"
    if image.digest:
        yield "digest", image.digest
        yield "size", str(image.size)
    for name in image.pushed:
        yield "pushed", name
    for stage in image.stages:
        title = f"stage {stage.index} ({stage.name})" if stage.name else f"stage {stage.index}"
        count = f"{len(stage.steps)} step{'' if len(stage.steps) == 1 else 's'}"
        cached = f", {stage.cached} cached" if stage.cached else ""
        yield title, f"{count}{cached} in {duration(stage.seconds)}, from {stage.base}"
    if image.attempts:
        yield "attempts", str(len(image.attempts) + 1)
    if image.retries:
        yield "retries", str(len(image.retries))
    for retry in image.retries:
        yield "retried", f"{retry.action}: {retry.error}"
    for warning in image.warnings:
        yield "warning", f"{warning.location}: {warning.message}" if warning.location else warning.message


def _problem(image: ImageRecord, outcome: Outcome) -> ET.Element:
    message = xml_text(outcome.message)
    first_line = message.split("\n", 1)[0]
    if outcome.status == "skipped":
        return ET.Element("skipped", message=first_line)
    is_error = outcome.status == "stopped" or outcome.kind in _ERRORS
    problem = ET.Element("error" if is_error else "failure", type=outcome.kind or "Error", message=first_line)
    said = described(outcome.message, outcome.excerpt, outcome.hint, indent="")
    tail = "".join(f"\n    {line}" for line in image.tail)
    log = f"\n\nthe end of the log:{tail}" if tail else ""
    problem.text = xml_text(f"{said}{log}\n")
    return problem
