"""The list is stopped at twenty moments; after each the next run finds nothing in its way and ends the same.

Every second one is a run that goes on where the one before was stopped.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import replace

import pytest

from integration.runs.conftest import Place
from integration.runs.thirtyimages import STATUSES, misbehave
from integration.support import leftovers
from integration.support.programs import wait_until
from tests.support.fake_registry import FakeRegistry

_ROUNDS = 10
_SKIP = ("--skip=slow", "--skip=upon-slow")  # a second each, and nothing to interrupt
_STATUSES = {name: status for name, status in STATUSES.items() if name not in ("slow", "upon-slow")}


def results(place: Place) -> Mapping[str, Mapping[str, str]]:
    """`images` of the run's result.json."""
    images: Mapping[str, Mapping[str, str]] = json.loads(
        (place.folder / "krunner-report" / "result.json").read_text()
    )["images"]
    return images


def undisturbed(place: Place, failing: FakeRegistry) -> tuple[Mapping[str, str], float]:
    """Run the list to its end: the digests, and the seconds that took."""
    misbehave(failing)
    begin = time.monotonic()
    ended = place.krunner("builds.yaml", *_SKIP)
    seconds = time.monotonic() - begin
    found = results(place)
    assert {name: image["status"] for name, image in found.items()} == _STATUSES, ended.output
    return {name: image["digest"] for name, image in found.items()}, seconds


@pytest.fixture
def killed_place(here: Place) -> Place:
    """A store of its own, so that what is left there is what these runs left."""
    home = f"{here.home}-kills"
    return replace(here, home=home, environment={**here.environment, "KRUNNER_HOME": home})


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
def test_a_run_that_is_stopped_is_no_hindrance(
    killed_place: Place, failing: FakeRegistry, number: signal.Signals
) -> None:
    place = killed_place
    before, seconds = undisturbed(place, failing)
    moments = random.Random(int(number))
    at = [moments.uniform(0.05, seconds) for _ in range(_ROUNDS)]
    for round_, moment in enumerate(at):
        misbehave(failing)
        _stopped(place, number, moment, *(["--resume"] if round_ % 2 else []))
    after, _ = undisturbed(place, failing)
    assert after == before, f"stopped at {at}"
    assert not _unfinished(place)


def test_what_a_stopped_run_has_pushed_is_not_built_again(killed_place: Place, failing: FakeRegistry) -> None:
    place = killed_place
    before, seconds = undisturbed(place, failing)
    misbehave(failing)
    _stopped(place, signal.SIGKILL, 0.7 * seconds)
    found = results(place)
    done = {name for name, image in found.items() if image["status"] == "built" and image["pushed"]}
    built = {name for name, image in found.items() if image["digest"]}  # of these the registries know
    ended = place.krunner("builds.yaml", *_SKIP, "--resume")
    after = results(place)
    assert {name: image["status"] for name, image in after.items()} == _STATUSES, ended.output
    assert {name: image["digest"] for name, image in after.items()} == before
    assert done <= {name for name, image in after.items() if image["kept"]} <= built


def test_workers_end_with_the_process_that_they_were_forked_from(killed_place: Place) -> None:
    place, others = killed_place, leftovers.descendants(os.getpid())
    text = f"FROM {place.environment['BASE']}/busybox\nRUN sleep 100\n"
    builds = [{"name": "long", "context": ".", "dockerfile_inline": text, "no_push": True, "insecure": True}]
    (place.folder / "long.yaml").write_text(json.dumps({"version": 1, "builds": builds}))
    process = subprocess.Popen(
        place.argv("long.yaml", "--report-dir="),
        cwd=place.folder,
        env=place.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_until(lambda: "sleep 100" in leftovers.descendants(process.pid).values(), "the command")
    os.killpg(process.pid, signal.SIGKILL)  # a worker has a session of its own
    process.wait()
    wait_until(lambda: not leftovers.descendants(os.getpid()).keys() - others.keys(), "end of all processes")
    assert not leftovers.mounts(below=place.folder.parent)


def _stopped(place: Place, number: signal.Signals, moment: float, *options: str) -> None:
    """Run the list and stop it after some seconds; nothing of it may be left soon after."""
    others = leftovers.descendants(os.getpid())
    process = subprocess.Popen(
        place.argv("builds.yaml", *_SKIP, *options),
        cwd=place.folder,
        env=place.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    time.sleep(moment)
    process.send_signal(number)
    output, _ = process.communicate(timeout=30)
    assert "Traceback" not in output, output
    if number == signal.SIGTERM:
        under_way = "image 1 of" in output and " images in " not in output
        assert process.returncode in ((128 + number,) if under_way else (1, 128 + number, -number)), output
        if under_way:
            assert {image["status"] for image in results(place).values()} <= {*_STATUSES.values(), "stopped"}
    wait_until(
        lambda: not leftovers.descendants(os.getpid()).keys() - others.keys(),
        f"end of all processes after {moment}",
    )
    assert not leftovers.mounts(below=place.folder.parent)


def _unfinished(place: Place) -> list[str]:
    work = os.path.join(place.home, "work")
    return sorted(os.listdir(work))
