"""The tools that are compared, each with its command for a workload, and started in a clean state.

krunner, in-place              this checkout: overlay as root; in its debug container with default capabilities
in-place-loop                  the same, a list as a shell loop over one `krunner` an image (the workload twenty)
kaniko, kaniko-fork            KANIKO_EXECUTOR, KANIKO_FORK_EXECUTOR: static executors, put into a container
buildah, docker                on PATH (docker: a new daemon)
buildctl                       on PATH, with a new buildkitd or the daemon that BUILDKIT_HOST names (a unix socket)
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import socket
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from integration.bench.containers import (
    Containers,
    Loading,
    docker_is_here,
    load_debug_image,
    load_kaniko_image,
)
from integration.bench.measure import Command
from integration.bench.versions import checkout, program, said
from integration.bench.workloads import Image, Workload
from integration.support.builders import BIN, DOCKER, Docker, running_docker
from integration.support.programs import run, server


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one run happens: a folder for all that the tool keeps, a registry, a cache repository ('': none)."""

    folder: Path
    host: str
    cache: str = ""

    @property
    def shared(self) -> Path:
        """The part of the folder that containers see: what a tool is told to do, and its report."""
        return self.folder / "shared"

    @property
    def environment(self) -> Mapping[str, str]:
        """What makes a tool on this machine keep its temporary files in the folder."""
        return {"TMPDIR": str(self.folder)}

    @property
    def arguments(self) -> Mapping[str, str]:
        """The build arguments of all workloads."""
        return {"BASE": f"{self.host}/debian:latest", "TINY": f"{self.host}/busybox:latest"}

    def destination(self, image: Image) -> str:
        """The name to push to."""
        return f"{self.host}/out/{image.repository}:1.0"


class Peer(Protocol):
    """A tool."""

    @property
    def image(self) -> Loading | None:
        """Loads the image of the containers that it works in, if it does."""

    def version(self) -> str:
        """What a reader of the table must know of it."""

    def command(self, workload: Workload, place: Place) -> AbstractContextManager[Command]:
        """Start what the tool needs and give the command that builds and pushes."""


@dataclass(frozen=True, slots=True)
class Krunner:
    """`executor` for one image, `krunner` for a list, by the overlay driver."""

    image: Loading | None = None

    def version(self) -> str:
        """See `Peer`."""
        return checkout()

    @contextmanager
    def command(self, workload: Workload, place: Place) -> Iterator[Command]:
        """See `Peer`."""
        home = {"KRUNNER_HOME": str(place.folder / "home"), **place.environment}
        if len(workload.images) == 1:
            yield Command(argv=[BIN / "executor", *_flags(workload.images[0], place), *_EVENTS], env=home)
            return
        with _list_in(workload, place):
            words = [f"--report-dir={place.shared}/report", f"{place.shared}/builds.yaml"]
            yield Command(argv=[BIN / "krunner", "build", *words], env=home)


@dataclass(frozen=True, slots=True)
class InPlace:
    """The same in a new container of `krunner:debug`; `loop`: a list as one `krunner` for each image."""

    containers: Containers
    loop: bool = False
    image: Loading | None = load_debug_image

    def version(self) -> str:
        """See `Peer`."""
        return f"the same in krunner:debug, a container of {said(DOCKER, '--version')}"

    @contextmanager
    def command(self, workload: Workload, place: Place) -> Iterator[Command]:
        """See `Peer`."""
        with self.containers.daemon(place.folder / "docker") as docker, _list_in(workload, place):
            yield _in_container(docker, "krunner:debug", workload, place, self._words(workload, place))

    def _words(self, workload: Workload, place: Place) -> list[str]:
        if len(workload.images) == 1:
            return ["executor", "--rootfs=in-place", *_flags(workload.images[0], place), *_EVENTS]
        words = ["krunner", "build", "--rootfs=in-place", f"--report-dir={place.shared}/report"]
        words.append(f"{place.shared}/builds.yaml")
        if not self.loop:
            return words
        one = f'{shlex.join(words)} --only "$name" || status=1'
        return ["sh", "-c", f"status=0; for name in {' '.join(workload.names)}; do {one}; done; exit $status"]


@contextmanager
def _list_in(workload: Workload, place: Place) -> Iterator[None]:
    """Write the workload's builds.yaml, if it is a list."""
    if workload.own_list:
        with workload.own_list.lay_out(place.shared, place.host):
            yield
        return
    if len(workload.images) > 1:
        (place.shared / "builds.yaml").write_text(_builds_file(workload, place))
    yield


@dataclass(frozen=True, slots=True)
class Kaniko:
    """kaniko's executor in a new container, one image after the other."""

    containers: Containers
    name: str
    executor: Path

    @property
    def image(self) -> Loading:
        """See `Peer`."""
        return partial(load_kaniko_image, name=self.name, executor=self.executor)

    def version(self) -> str:
        """See `Peer`."""
        return f"{program(self.executor, 'version')}, in a container of {said(DOCKER, '--version')}"

    @contextmanager
    def command(self, workload: Workload, place: Place) -> Iterator[Command]:
        """See `Peer`."""
        lines = ["set -e"]
        for image in workload.images:
            flags = [*_flags(image, place), *(["--cleanup"] if len(workload.images) > 1 else [])]
            lines.append(shlex.join(["/kaniko/executor", "--force", "--verbosity=warn", *flags]))
        words = ["/busybox/sh", "-c", "\n".join(lines)]
        with self.containers.daemon(place.folder / "docker") as docker:
            yield _in_container(docker, self.name, workload, place, words)


@dataclass(frozen=True, slots=True)
class Buildah:
    """Debian's buildah, its storage in the run's folder."""

    image: Loading | None = None

    def version(self) -> str:
        """See `Peer`."""
        return said("buildah", "--version")

    @contextmanager
    def command(self, workload: Workload, place: Place) -> Iterator[Command]:
        """See `Peer`."""
        tool = f"buildah --root {place.folder}/root --runroot {place.folder}/run --storage-driver overlay"
        cache = f"--layers --cache-from {place.cache} --cache-to {place.cache}" if place.cache else ""
        arguments = _arguments("--build-arg ", place)
        lines = ["set -e"]
        for image in workload.images:
            name = place.destination(image)
            build = f"bud -q --isolation chroot --tls-verify=false {cache} {arguments}"
            lines += [f"{tool} {build} -t {name} {image.context}", f"{tool} push -q --tls-verify=false {name}"]
        yield Command(argv=["sh", "-c", "\n".join(lines)], env=place.environment)


@dataclass(frozen=True, slots=True)
class Buildctl:
    """BuildKit's client."""

    image: Loading | None = None

    def version(self) -> str:
        """See `Peer`."""
        daemon = shutil.which("buildkitd")
        if not daemon:
            return f"{said('buildctl', '--version')}; the daemon at BUILDKIT_HOST keeps its files where it does"
        return program(Path(daemon), "--version")

    @contextmanager
    def command(self, workload: Workload, place: Place) -> Iterator[Command]:
        """See `Peer`."""
        cache = ""
        if place.cache:
            cache = (
                f"--export-cache type=registry,ref={place.cache}:cache,mode=max,registry.insecure=true"
                f" --import-cache type=registry,ref={place.cache}:cache,registry.insecure=true"
            )
        lines = ["set -e"]
        for image in workload.images:
            output = f"type=image,name={place.destination(image)},push=true,registry.insecure=true"
            lines.append(
                f"buildctl build --progress=plain --frontend=dockerfile.v0 --local context={image.context}"
                f" --local dockerfile={image.context} {_arguments('--opt build-arg:', place)}"
                f" --output {output} {cache}"
            )
        with _buildkit(place) as (address, pid):
            env = {"BUILDKIT_HOST": address, **place.environment}
            yield Command(argv=["sh", "-c", "\n".join(lines)], env=env, daemon=pid)


@dataclass(frozen=True, slots=True)
class DockerBuild:
    """`docker build` and `docker push` by a daemon that has nothing yet."""

    image: Loading | None = None

    def version(self) -> str:
        """See `Peer`."""
        return said(DOCKER, "--version")

    @contextmanager
    def command(self, workload: Workload, place: Place) -> Iterator[Command]:
        """See `Peer`."""
        lines = ["set -e"]
        for image in workload.images:
            name = place.destination(image)
            arguments = _arguments("--build-arg ", place)
            lines += [
                f"{DOCKER} build --quiet --network=none {arguments} -t {name} {image.context}",
                f"{DOCKER} push --quiet {name}",
            ]
        with running_docker(place.folder / "docker") as docker:
            env = {"DOCKER_HOST": docker.host, "DOCKER_BUILDKIT": "1", **place.environment}
            yield Command(argv=["sh", "-c", "\n".join(lines)], env=env, daemon=_daemon_of(docker))


_EVENTS = ("--log-format=json", "--log-timestamp")


def available(containers: Containers) -> dict[str, Peer]:
    """The tools that are here, by name."""
    peers: dict[str, Peer] = {"krunner": Krunner()}
    if docker_is_here():
        peers["in-place"] = InPlace(containers)
        peers["in-place-loop"] = InPlace(containers, loop=True)
        for name, variable in (("kaniko", "KANIKO_EXECUTOR"), ("kaniko-fork", "KANIKO_FORK_EXECUTOR")):
            if os.environ.get(variable):
                peers[name] = Kaniko(containers, f"bench-{name}", Path(os.environ[variable]))
    if shutil.which("buildah"):
        peers["buildah"] = Buildah()
    if shutil.which("buildctl") and (shutil.which("buildkitd") or os.environ.get("BUILDKIT_HOST")):
        peers["buildctl"] = Buildctl()
    if docker_is_here():
        peers["docker"] = DockerBuild()
    return peers


@contextmanager
def _buildkit(place: Place) -> Iterator[tuple[str, int]]:
    """A daemon in a clean state: its address and its process."""
    if not shutil.which("buildkitd"):
        address = os.environ["BUILDKIT_HOST"]
        run(["buildctl", "prune", "--all"])
        yield address, _server_of(address.removeprefix("unix://"))
        return
    folder = place.folder / "buildkit"
    folder.mkdir()
    socket_path = folder / "sock"
    argv: list[str | Path] = ["buildkitd", "--root", folder / "root", "--addr", f"unix://{socket_path}"]
    argv += ["--containerd-worker=false", "--oci-worker-net=host"]
    serving = server(argv, log=folder / "log", ready=lambda: _serves(socket_path), env=place.environment)
    with serving as daemon:
        yield f"unix://{socket_path}", daemon.pid


def _serves(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return path.exists() and client.connect_ex(str(path)) == 0


def _flags(image: Image, place: Place) -> list[str]:
    """What kaniko's executor and ours spell alike."""
    return [
        f"--context={image.context}",
        f"--dockerfile={image.context}/Dockerfile",
        f"--destination={place.destination(image)}",
        *(f"--build-arg={name}={value}" for name, value in place.arguments.items()),
        *("--insecure", "--insecure-pull"),
        *(["--cache=true", "--cache-copy-layers=true", f"--cache-repo={place.cache}"] if place.cache else []),
    ]


def _builds_file(workload: Workload, place: Place) -> str:
    builds = [
        {
            "name": image.repository,
            "context": str(image.context),
            "destinations": [place.destination(image)],
            "args": dict(place.arguments),
            "insecure": True,
        }
        for image in workload.images
    ]
    return json.dumps({"version": 1, "builds": builds})  # JSON is YAML


def _in_container(docker: Docker, image: str, workload: Workload, place: Place, words: Sequence[str]) -> Command:
    """A new container on the host's network that sees the contexts and what is shared of the run's folder.

    It is not removed: deleting many files slows ext4 down for whoever comes next.
    """
    contexts = sorted({f"--volume={image.context}:{image.context}:ro" for image in workload.images})
    identity = place.shared / "container"
    fixed = ("run", "--network=host", "--env=USER=root", "--entrypoint=", f"--cidfile={identity}")
    volumes = (f"--volume={place.shared}:{place.shared}", *contexts)
    argv: list[str | Path] = [DOCKER, *fixed, *volumes, image, *words]
    return Command(
        argv=argv,
        env={"DOCKER_HOST": docker.host},
        daemon=_daemon_of(docker),
        container=identity,
        status=workload.own_list.status if workload.own_list else 0,
    )


def _daemon_of(docker: Docker) -> int:
    return _server_of(docker.host.removeprefix("unix://"))


def _server_of(path: str) -> int:
    """The process that listens on a unix socket."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        credentials = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid: int = struct.unpack("3i", credentials)[0]
    return pid


def _arguments(flag: str, place: Place) -> str:
    return " ".join(f"{flag}{name}={value}" for name, value in place.arguments.items())
