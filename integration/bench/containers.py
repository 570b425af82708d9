"""Containers to build in: a docker daemon for each run, its data a copy of what was prepared once."""

from __future__ import annotations

import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from integration.support import krunner_image
from integration.support.bases import BUSYBOX
from integration.support.builders import Docker, docker_data, running_docker
from integration.support.programs import run

Loading = Callable[[Docker], None]
"""Gives a daemon an image."""


@dataclass(frozen=True, slots=True)
class Containers:
    """Starts daemons that have images already; `folder` holds the data to begin with."""

    folder: Path

    def prepare(self, images: Sequence[Loading]) -> None:
        """Load the images, if there are any."""
        if not images:
            return
        with running_docker(self.folder) as docker:
            for load in images:
                load(docker)

    @contextmanager
    def daemon(self, folder: Path) -> Iterator[Docker]:
        """A new daemon that keeps all in `folder`; what it has read of the images is in the page cache."""
        folder.mkdir()
        run(["cp", "--archive", docker_data(self.folder), docker_data(folder)])
        with running_docker(folder) as docker:
            yield docker


def load_debug_image(docker: Docker) -> None:
    """Load `krunner:debug`, built from this checkout."""
    docker.load(krunner_image.archives() / "krunner-debug.tar")


def load_kaniko_image(docker: Docker, name: str, executor: Path) -> None:
    """Load an image of an executor, a shell, and nothing else, as kaniko's debug image is."""
    with tempfile.NamedTemporaryFile(suffix=".tar") as file:
        with tarfile.open(file.name, "w") as archive:
            archive.add(executor, "kaniko/executor")
            archive.add(BUSYBOX, "busybox/sh")
        environment = ["--change", "ENV PATH=/kaniko:/busybox", "--change", "ENV SSL_CERT_DIR=/kaniko/ssl/certs"]
        docker.run("import", *environment, file.name, name)


def docker_is_here() -> bool:
    """Whether a daemon can be started."""
    return shutil.which("dockerd") is not None
