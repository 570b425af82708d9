"""The list in a container that may mount nothing, where an image is in place of `/` while it is killed.

At twenty random moments the runner is asked to stop, or killed, or a worker is killed. Each time the container is
then what it was, looked at from outside, and nothing of the run is left in it. The seed is printed; KRUNNER_SEED
repeats it.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from integration.runs.thirtyimages import LIST, STATUSES, misbehave
from integration.support.builders import Docker
from integration.support.container import Container, started
from integration.support.inhabitants import Inhabitants, signalled
from integration.support.outside import Seen, differences, look_at
from integration.support.programs import stop, wait_until
from tests.support.fake_registry import FakeRegistry

_SKIP = ("--skip=slow", "--skip=upon-slow")  # a second each, and nothing to interrupt
_STATUSES = {name: status for name, status in STATUSES.items() if name not in ("slow", "upon-slow")}
_EXITS = {"runner asked": (1, 143), "runner killed": (137,), "worker killed": (1,)}


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A container with the list as its workspace; what was seen of it before, and what an undisturbed run gave."""

    container: Container
    inhabitants: Inhabitants
    words: tuple[str, ...]
    environment: Mapping[str, str]
    before: Seen
    digests: Mapping[str, str]
    seconds: float

    def images(self) -> Mapping[str, Mapping[str, str]]:
        """`images` of the last run's result.json."""
        return images(self.container.workspace)

    def in_the_way(self) -> list[str]:
        """What is not as before the first run: files, processes, journals."""
        found = [str(name) for name in differences(look_at(self.container), self.before)]
        found += [f"process {each.line}" for each in self.inhabitants.of("krunner", "sleep 1000")]
        left = self.container.run("/busybox/ls", "/kaniko/takeover").output.split()
        return found + [name for name in left if name not in ("lock", "own.data", "own.files", "own.last")]


def images(folder: Path) -> Mapping[str, Mapping[str, str]]:
    document = json.loads((folder / "krunner-report" / "result.json").read_text())
    return document["images"]  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def failing() -> Iterator[FakeRegistry]:
    with FakeRegistry() as registry:
        yield registry


@pytest.fixture(scope="module")
def world(krunner_images: Docker, work: Path, base_host: str, failing: FakeRegistry) -> Iterator[World]:
    folder = work / "runs" / "killed-inside"
    shutil.copytree(LIST, folder)
    environment = {"BASE": base_host, "PUSH": failing.host}
    words = ("krunner", "--rootfs=in-place", "builds.yaml", *_SKIP)
    with started(krunner_images, folder) as container:
        before = look_at(container)
        assert container.run(*words, env=environment).status == 1  # bases are now in the store
        misbehave(failing)
        begin = time.monotonic()
        done = container.run(*words, env=environment)
        seconds = time.monotonic() - begin
        found = images(folder)
        assert {name: image["status"] for name, image in found.items()} == _STATUSES, done.output
        yield World(
            container=container,
            inhabitants=Inhabitants(container),
            words=words,
            environment=environment,
            before=before,
            digests={name: image["digest"] for name, image in found.items()},
            seconds=seconds,
        )


@pytest.fixture(scope="module")
def moments() -> list[float]:
    """Parts of a run's time, from a seed that is shown when a test fails."""
    seed = int(os.environ.get("KRUNNER_SEED") or random.SystemRandom().randrange(10**9))
    print(f"KRUNNER_SEED={seed}")
    numbers = random.Random(seed)
    return [numbers.uniform(0.01, 0.9) for _ in range(20)]


@pytest.mark.parametrize("number", range(20))
def test_nothing_is_in_the_way_afterwards(
    world: World, failing: FakeRegistry, moments: list[float], number: int
) -> None:
    kind, moment = tuple(_EXITS)[number % 3], moments[number] * world.seconds
    told = f"{kind} after {moment:.3f} of {world.seconds:.1f} s; moments {moments}"
    misbehave(failing)
    _disturbed(world, kind, moment, told)
    wait_until(lambda: not world.in_the_way(), f"{told}: {world.in_the_way()}", seconds=30)


def test_the_next_run_ends_the_same(world: World, failing: FakeRegistry) -> None:
    misbehave(failing)
    done = world.container.run(*world.words, env=world.environment)
    assert done.status == 1
    assert {name: image["digest"] for name, image in world.images().items()} == world.digests
    assert world.in_the_way() == []
    assert world.container.run("/busybox/ls", "/kaniko/store/work").output == ""


def _disturbed(world: World, kind: str, moment: float, told: str) -> None:
    """Run the list, do `kind` to it after some seconds, and wait for its end."""
    options = ("--fail-fast",) if kind == "worker killed" else ()
    process = subprocess.Popen(
        world.container.argv(*world.words, *options, env=world.environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        time.sleep(moment)
        runner = world.inhabitants.of("/kaniko/krunner")
        if kind == "worker killed":
            zygote = [each.pid for each in runner if each.parent == runner[0].pid] if runner else []
            victims = [each.pid for each in runner if each.parent in zygote]
        else:
            victims = [each.pid for each in runner[:1]]
        number = signal.SIGTERM if kind == "runner asked" else signal.SIGKILL
        victims = [pid for pid in victims[:1] if signalled(pid, number)]
        output, _ = process.communicate(timeout=40)
    finally:
        stop(process)
    assert "Traceback" not in output, f"{told}\n{output}"
    assert process.returncode in _EXITS[kind] or not victims, f"{told}\n{output}"
    if kind == "worker killed":
        ends = {image["status"] for image in world.images().values()}
        assert ends <= {*_STATUSES.values(), "stopped"}, told
