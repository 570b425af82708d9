"""Thirty images in one run: what becomes of each, the reports, and what `krunner push --resume` makes up for."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import junitparser
import pytest

from integration.runs.conftest import Ended, Place
from integration.runs.thirtyimages import STATUSES, mend, misbehave, tags
from integration.support.junitschema import faults
from integration.support.programs import run
from tests.support.fake_registry import FakeRegistry


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The run of the list, what it left unpushed, and the two runs that push that."""

    place: Place
    ended: Ended
    waiting: str
    still_forbidden: Ended
    tags: Mapping[str, set[str]]
    resumed: Ended
    tags_then: Mapping[str, set[str]]
    waiting_then: str

    @property
    def reports(self) -> Path:
        """The folder of the reports."""
        return self.place.folder / "krunner-report"

    @property
    def images(self) -> Mapping[str, Mapping[str, Any]]:
        """`images` of result.json."""
        images: Mapping[str, Mapping[str, Any]] = json.loads((self.reports / "result.json").read_text())["images"]
        return images


@pytest.fixture(scope="module", params=["here", "inside"])
def finished(request: pytest.FixtureRequest, failing: FakeRegistry) -> Finished:
    """The list, run to its end, and what it left, pushed once the registry takes it."""
    place: Place = request.getfixturevalue(request.param)
    misbehave(failing)
    ended = place.krunner("builds.yaml")
    waiting = place.krunner("push", "--list").output
    tags_then = tags(failing)
    still_forbidden = place.krunner("push", "--resume")
    mend(failing)
    return Finished(
        place=place,
        ended=ended,
        waiting=waiting,
        still_forbidden=still_forbidden,
        tags=tags_then,
        resumed=place.krunner("push", "--resume"),
        tags_then=tags(failing),
        waiting_then=place.krunner("push", "--list").output,
    )


def test_each_image_ends_as_it_should(finished: Finished) -> None:
    assert {name: image["status"] for name, image in finished.images.items()} == STATUSES, finished.ended.output
    assert len(STATUSES) == 30
    assert finished.ended.status == 1


def test_what_was_to_blame(finished: Finished) -> None:
    said = {name: image["error"]["message"] for name, image in finished.images.items() if image.get("error")}
    assert "exit status 3" in said["broken"] or "status 3" in said["broken"]
    assert "nowhere" in said["lacking"]
    assert said["slow"] == "not done after 1 s, the image's timeout"
    assert said["upon-slow"] == "needs slow, which failed"
    assert "403" in said["forbidden"]
    assert "1 of 3 pushes failed" in said["partly"]


def test_junit(finished: Finished) -> None:
    (suite,) = junitparser.JUnitXml.fromfile(str(finished.reports / "junit.xml"))
    kinds = Counter(type(result).__name__ for case in suite for result in case.result)
    assert (suite.tests, kinds) == (30, {"Failure": 5, "Skipped": 2})
    (flaky,) = (case for case in suite if case.name == "flaky")
    retried = [
        item.get("value") for item in flaky._elem.findall("properties/property") if item.get("name") == "retried"
    ]
    assert len(retried) == 2
    assert "503" in retried[0]


def test_junit_keeps_to_the_schema_of_jenkins(finished: Finished) -> None:
    assert faults(finished.reports / "junit.xml") == []


def test_digests_are_what_the_registry_has(finished: Finished) -> None:
    lines = (finished.reports / "digests.txt").read_text().splitlines()
    built = sum(status == "built" for status in STATUSES.values())
    assert len(lines) == built - 1 + 2  # `local` is not pushed, `partly` is in two places
    for line in (line for line in lines if "/last" in line or "/chain-5" in line):
        name, _, digest = line.partition("@")
        assert (
            run(["skopeo", "inspect", "--tls-verify=false", "--format={{.Digest}}", f"docker://{name}"])
            == f"{digest}\n"
        )


def test_descriptors_are_those_of_the_manifests_in_the_registry(finished: Finished) -> None:
    image = finished.images["chain-5"]
    name = image["image.name"].split(",")[0]
    manifest = run(["skopeo", "inspect", "--tls-verify=false", "--raw", f"docker://{name}"])
    assert image["containerimage.descriptor"] == {
        "mediaType": json.loads(manifest)["mediaType"],
        "digest": image["containerimage.digest"],
        "size": len(manifest.encode()),
    }


def test_what_waits_is_pushed_once_it_is_allowed(finished: Finished) -> None:
    assert sorted(line.split()[0] for line in finished.waiting.splitlines()) == ["forbidden", "partly"]
    assert set(finished.tags) == {"flaky", "partly"}
    assert finished.still_forbidden.status == 3
    assert finished.resumed.status == 0, finished.resumed.output
    assert set(finished.tags_then) == {"flaky", "partly", "forbidden", "forbidden-too"}
    assert finished.waiting_then == "nothing is waiting to be pushed\n"


def test_the_reports_of_the_run_stay_when_the_rest_is_pushed(finished: Finished) -> None:
    document = json.loads((finished.reports / "push" / "result.json").read_text())
    assert {name: image["status"] for name, image in document["images"].items()} == {
        "forbidden": "built",
        "partly": "built",
    }


def test_the_place_makes_no_difference(here: Place, inside: Place) -> None:
    digests = []
    for place in (here, inside):
        document = json.loads((place.folder / "krunner-report" / "result.json").read_text())
        digests.append({name: image["digest"] for name, image in document["images"].items()})
    assert digests[0] == digests[1]
