"""The tools that are compared, each with its command for a workload and a way to a clean state.

krunner, in-place              this checkout: overlay as root; in its debug container with default capabilities
in-place-loop                  the same, a list as a shell loop over one `krunner` an image (the workload twenty)
kaniko, kaniko-fork            KANIKO_EXECUTOR, KANIKO_FORK_EXECUTOR: static executors, put into a container
buildah, docker                on PATH (docker: a daemon of the benchmark's own)
buildctl                       on PATH, with the daemon that BUILDKIT_HOST names (a unix socket)
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import socket
import struct
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from integration.bench.measure import Command
from integration.bench.workloads import Image, Workload
from integration.support import krunner_image
from integration.support.bases import BUSYBOX
from integration.support.builders import BIN, DOCKER, Docker
from integration.support.programs import run, server


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one run happens: an empty folder for the tool's state, a registry, a cache repository ('': none)."""

    folder: Path
    host: str
    cache: str = ""

    @property
    def arguments(self) -> Mapping[str, str]:
        """The build arguments of all workloads."""
        return {"BASE": f"{self.host}/debian:latest", "TINY": f"{self.host}/busybox:latest"}

    def destination(self, image: Image) -> str:
        """The name to push to."""
        return f"{self.host}/out/{image.repository}:1.0"


class Peer(Protocol):
    """A tool."""

    def command(self, workload: Workload, place: Place) -> AbstractContextManager[Command]:
        """Bring the tool into a clean state and give the command that builds and pushes."""


class Krunner:
    """`executor` for one image, `krunner` for a list, by the overlay driver."""

    @contextmanager
    def command(self, workload: Workload, place: Place) -> Iterator[Command]:
        """See `Peer`."""
        home = {"KRUNNER_HOME": str(place.folder / "home")}
        if len(workload.images) == 1:
            yield Command(argv=[BIN / "executor", *_flags(workload.images[0], place), *_EVENTS], env=home)
            return
        file = place.folder / "builds.yaml"
        file.write_text(_builds_file(workload, place))
        report = f"--report-dir={place.folder / 'report'}"
        yield Command(argv=[BIN / "krunner", "build", report, file], env=home)


@dataclass(frozen=True, slots=True)
class InPlace:
    """The same in a new container of `krunner:debug`; `loop`: a list as one `krunner` for each image."""

    docker: Docker
    loop: bool = False

    @contextmanager
    def command(self, workload: Workload, place: Place) -> Iterator[Command]:
        """See `Peer`."""
        if len(workload.images) == 1:
            words = ["executor", "--rootfs=in-place", *_flags(workload.images[0], place), *_EVENTS]
            yield _in_container(self.docker, "krunner:debug", workload, place, words)
            return
        with _list_in(workload, place):
            words = ["krunner", "build", "--rootfs=in-place", f"--report-dir={place.folder}/report"]
            words.append(f"{place.folder}/builds.yaml")
            if self.loop:
                one = f'{shlex.join(words)} --only "$name" || status=1'
                words = [
                    "sh",
                    "-c",
                    f"status=0; for name in {' '.join(workload.names)}; do {one}; done; exit $status",
                ]
            yield _in_container(self.docker, "krunner:debug", workload, place, words)


@contextmanager
def _list_in(workload: Workload, place: Place) -> Iterator[None]:
    """Write the workload's builds.yaml into the run's folder."""
    if workload.own_list:
        with workload.own_list.lay_out(place.folder, place.host):
            yield
        return
    (place.folder / "builds.yaml").write_text(_builds_file(workload, place))
    yield


@dataclass(frozen=True, slots=True)
class Kaniko:
    """kaniko's executor in a new container of `image`, one image after the other."""

    docker: Docker
    image: str

    @contextmanager
    def command(self, workload: Workload, place: Place) -> Iterator[Command]:
        """See `Peer`."""
        lines = ["set -e"]
        for image in workload.images:
            flags = [*_flags(image, place), *(["--cleanup"] if len(workload.images) > 1 else [])]
            lines.append(shlex.join(["/kaniko/executor", "--force", "--verbosity=warn", *flags]))
        words = ["/busybox/sh", "-c", "\n".join(lines)]
        yield _in_container(self.docker, self.image, workload, place, words)


class Buildah:
    """Debian's buildah, its storage in the run's folder."""

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
        yield Command(argv=["sh", "-c", "\n".join(lines)], env={})


class Buildctl:
    """BuildKit's client."""

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
        with _buildkit(place.folder / "buildkit") as (address, pid):
            yield Command(argv=["sh", "-c", "\n".join(lines)], env={"BUILDKIT_HOST": address}, daemon=pid)


@dataclass(frozen=True, slots=True)
class DockerBuild:
    """`docker build` and `docker push` by the daemon `docker`, whose images and cache are removed before."""

    docker: Docker
    pid: int

    @contextmanager
    def command(self, workload: Workload, place: Place) -> Iterator[Command]:
        """See `Peer`."""
        self.docker.run("builder", "prune", "--all", "--force")
        for name in self.docker.run("image", "ls", "--format={{.Repository}}:{{.Tag}}").split():
            if name.startswith(place.host.partition(":")[0]):
                self.docker.run("image", "rm", "--force", name)
        lines = ["set -e"]
        for image in workload.images:
            name = place.destination(image)
            arguments = _arguments("--build-arg ", place)
            lines += [
                f"{DOCKER} build --quiet --network=none {arguments} -t {name} {image.context}",
                f"{DOCKER} push --quiet {name}",
            ]
        env = {"DOCKER_HOST": self.docker.host, "DOCKER_BUILDKIT": "1"}
        yield Command(argv=["sh", "-c", "\n".join(lines)], env=env, daemon=self.pid)


_EVENTS = ("--log-format=json", "--log-timestamp")


def available(docker: Docker | None) -> dict[str, Peer]:
    """The tools that are here, by name; `docker` is the benchmark's daemon."""
    peers: dict[str, Peer] = {"krunner": Krunner()}
    if docker:
        peers["in-place"] = InPlace(docker)
        peers["in-place-loop"] = InPlace(docker, loop=True)
        for name, variable in (("kaniko", "KANIKO_EXECUTOR"), ("kaniko-fork", "KANIKO_FORK_EXECUTOR")):
            if os.environ.get(variable):
                peers[name] = Kaniko(docker, _kaniko_image(docker, name, Path(os.environ[variable])))
    if shutil.which("buildah"):
        peers["buildah"] = Buildah()
    if shutil.which("buildctl") and (shutil.which("buildkitd") or os.environ.get("BUILDKIT_HOST")):
        peers["buildctl"] = Buildctl()
    if docker:
        peers["docker"] = DockerBuild(docker, _daemon_of(docker))
    return peers


def load_debug_image(docker: Docker) -> None:
    """Give the daemon `krunner:debug`, built from this checkout."""
    docker.load(krunner_image.archives() / "krunner-debug.tar")


@contextmanager
def _buildkit(folder: Path) -> Iterator[tuple[str, int]]:
    """A daemon in a clean state: its address and its process."""
    if not shutil.which("buildkitd"):
        address = os.environ["BUILDKIT_HOST"]
        run(["buildctl", "prune", "--all"])
        yield address, _server_of(address.removeprefix("unix://"))
        return
    folder.mkdir()
    socket_path = folder / "sock"
    argv: list[str | Path] = ["buildkitd", "--root", folder / "root", "--addr", f"unix://{socket_path}"]
    options = ["--containerd-worker=false", "--oci-worker-net=host"]
    with server([*argv, *options], log=folder / "log", ready=lambda: _serves(socket_path)) as daemon:
        yield f"unix://{socket_path}", daemon.pid


def _serves(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return path.exists() and client.connect_ex(str(path)) == 0


def _kaniko_image(docker: Docker, name: str, executor: Path) -> str:
    """An image of the executor, a shell, and nothing else, as kaniko's debug image is."""
    with tempfile.NamedTemporaryFile(suffix=".tar") as file:
        with tarfile.open(file.name, "w") as archive:
            archive.add(executor, "kaniko/executor")
            archive.add(BUSYBOX, "busybox/sh")
        environment = ["--change", "ENV PATH=/kaniko:/busybox", "--change", "ENV SSL_CERT_DIR=/kaniko/ssl/certs"]
        docker.run("import", *environment, file.name, f"bench-{name}")
    return f"bench-{name}"


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
    """A new container on the host's network that sees the contexts and the run's folder.

    It is removed with the daemon only: deleting many files slows ext4 down for whoever comes next.
    """
    contexts = sorted({f"--volume={image.context}:{image.context}:ro" for image in workload.images})
    identity = place.folder / "container"
    fixed = ("run", "--network=host", "--env=USER=root", "--entrypoint=", f"--cidfile={identity}")
    volumes = (f"--volume={place.folder}:{place.folder}", *contexts)
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
