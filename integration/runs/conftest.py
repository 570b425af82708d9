"""krunner on a list, on this machine by overlayfs or in a container that may mount nothing."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from integration.runs.thirtyimages import LIST
from integration.support.builders import BIN, Docker
from integration.support.container import Container, started
from tests.support.fake_registry import FakeRegistry


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The exit status of a command, and all it printed."""

    status: int
    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Somewhere with a list in `folder`, and its store in `home`. `argv` is the command line that runs it."""

    folder: Path
    home: str
    environment: dict[str, str]
    argv: Callable[..., list[str]]

    def krunner(self, *words: str) -> Ended:
        """Run krunner in the folder."""
        done = subprocess.run(
            self.argv(*words),
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=200,
            check=False,
        )
        return Ended(status=done.returncode, output=done.stdout)


@pytest.fixture(scope="module")
def failing() -> Iterator[FakeRegistry]:
    """The registry that fails."""
    with FakeRegistry() as registry:
        yield registry


@pytest.fixture(scope="module")
def here(request: pytest.FixtureRequest, work: Path, base_host: str, failing: FakeRegistry) -> Place:
    """This machine, with overlayfs."""
    own = work / "runs" / request.module.__name__.rpartition(".")[2]
    folder, home = own / "here", own / "home"
    shutil.copytree(LIST, folder)
    environment = {"BASE": base_host, "PUSH": failing.host, "KRUNNER_HOME": str(home), "PATH": "/usr/bin:/bin"}
    return Place(
        folder=folder,
        home=str(home),
        environment=environment,
        argv=lambda *words: [str(BIN / "krunner"), *words],
    )


@pytest.fixture(scope="module")
def inside(
    request: pytest.FixtureRequest, krunner_images: Docker, work: Path, base_host: str, failing: FakeRegistry
) -> Iterator[Place]:
    """A container of krunner:debug with default capabilities."""
    folder = work / "runs" / request.module.__name__.rpartition(".")[2] / "inside"
    shutil.copytree(LIST, folder)
    with started(krunner_images, folder) as container:
        variables = {"BASE": base_host, "PUSH": failing.host}
        yield Place(
            folder=folder,
            home="/kaniko/store",
            environment={"PATH": "/usr/bin:/bin"},
            argv=_argv_inside(container, variables),
        )


def _argv_inside(container: Container, variables: dict[str, str]) -> Callable[..., list[str]]:
    def argv(*words: str) -> list[str]:
        return container.argv("krunner", *words, env=variables)

    return argv
