"""Builders behind one shape: the one under test, and two references from Debian.

`docker` is a daemon of our own (own folders, own socket, no network) whose builds go through BuildKit; `buildah`
builds with chroot isolation. All build the same Case and give the same kind of StoredImage back.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from integration.support import recipes
from integration.support.bases import all_archives, base_name
from integration.support.images import StoredImage, read_docker_archive, read_layout
from integration.support.leftovers import unmount_below
from integration.support.programs import ProgramError, run, server
from integration.support.recipes import Node, make_files

ROOT = Path(__file__).parents[2]
BIN = Path(os.environ.get("KRUNNER_BIN", ROOT / ".venv" / "bin"))
OCI_LAYOUT = "oci-layout://"
DOCKER = Path("/usr/bin/docker")  # Debian's client; another on PATH may want a newer daemon


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One build: a Dockerfile, the files of its context, and what is given on the command line.

    `dockerfile_name` is the Dockerfile's path inside the context; by default it lies outside. `equivalent` is a
    Dockerfile of the same meaning in the syntax that Debian's builders know; `newer` says that there is none, or
    that they fail otherwise. `contexts` are named build contexts: files, a `docker-image://` or URL, or
    `oci-layout://BASE`, which is laid out as a layout with that base image. `secrets` are values by id; `ssh`
    gives an agent; `platform` is the one to build for, '' the machine's.
    """

    name: str
    dockerfile: str
    context: Mapping[str, Node] = field(default_factory=dict)
    args: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    target: str = ""
    dockerfile_name: str = ""
    equivalent: str = ""
    newer: bool = False
    contexts: Mapping[str, Mapping[str, Node] | str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    ssh: bool = False
    platform: str = ""

    def at(self, hosts: Mapping[str, str]) -> Case:
        """The case with host names in its Dockerfiles and contexts replaced by real hosts."""

        def located(text: str) -> str:
            for name, host in hosts.items():
                text = text.replace(name, host)
            return text

        contexts = {
            located(name): located(value) if isinstance(value, str) else value
            for name, value in self.contexts.items()
        }
        dockerfile, equivalent = located(self.dockerfile), located(self.equivalent)
        return replace(self, dockerfile=dockerfile, equivalent=equivalent, contexts=contexts)

    def key(self) -> str:
        """A name that changes with everything the case says, and with how its files are made."""
        made_by = Path(recipes.__file__).read_bytes()
        return hashlib.sha256(repr(self).encode() + made_by).hexdigest()[:20]

    def flags(self, folder: Path | str) -> list[str]:
        """The flags that Dockerfile builders spell alike; `folder` is where the builder sees the case laid out."""
        words = [f"--build-arg={name}={value}" for name, value in self.args.items()]
        words += [f"--label={name}={value}" for name, value in self.labels.items()]
        words += [
            f"--build-context={name}={_context_value(name, value, folder)}"
            for name, value in self.contexts.items()
        ]
        words += [f"--secret=id={name},src={folder}/secrets/{name}" for name in self.secrets]
        words += ["--ssh=default"] if self.ssh else []
        words += [f"--platform={self.platform}"] if self.platform else []
        return words + ([f"--target={self.target}"] if self.target else [])


def _context_value(name: str, value: Mapping[str, Node] | str, folder: Path | str) -> str:
    if not isinstance(value, str):
        return f"{folder}/contexts/{name}"
    return f"{OCI_LAYOUT}{folder}/contexts/{name}" if value.startswith(OCI_LAYOUT) else value


class Builder(Protocol):
    """Builds cases. Raises ProgramError when the build fails."""

    def build(self, case: Case, folder: Path, dockerfile: Path) -> StoredImage:
        """Build the case whose context lies in `folder`."""

    def version(self) -> str:
        """What a cached result depends on."""


@contextlib.contextmanager
def laid_out(case: Case, *, below: Path | None = None) -> Iterator[tuple[Path, Path]]:
    """The case's context and its Dockerfile, in a folder with all else that it needs."""
    dockerfile = case.dockerfile
    with tempfile.TemporaryDirectory(prefix="krunner-case-", dir=below) as scratch:
        folder, outside = Path(scratch) / "context", Path(scratch) / "Dockerfile"
        outside.write_bytes(dockerfile.encode())
        make_files(Path(scratch) / "secrets", case.secrets)
        for name, files in case.contexts.items():
            _lay_out_context(Path(scratch) / "contexts" / name, files)
        make_files(
            folder, {**case.context, **({case.dockerfile_name: dockerfile} if case.dockerfile_name else {})}
        )
        yield folder, folder / case.dockerfile_name if case.dockerfile_name else outside


def _lay_out_context(folder: Path, value: Mapping[str, Node] | str) -> None:
    if not isinstance(value, str):
        make_files(folder, value)
    elif value.startswith(OCI_LAYOUT):
        folder.parent.mkdir(exist_ok=True)
        archive = next(one for one in all_archives() if base_name(one) == value.removeprefix(OCI_LAYOUT))
        run(["skopeo", "copy", "--quiet", f"docker-archive:{archive}", f"oci:{folder}:latest"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Docker:
    """A docker daemon of the tests' own; `host` is its socket's address."""

    host: str

    def run(self, *words: str | Path) -> str:
        """Run docker's client and return what it printed. Raises ProgramError when it fails."""
        return run([DOCKER, *words], env={**os.environ, "DOCKER_HOST": self.host, "DOCKER_BUILDKIT": "1"})

    def version(self) -> str:
        """The daemon's version."""
        return self.run("version", "--format", "docker {{.Server.Version}}").strip()

    def load(self, archive: Path) -> None:
        """Give the daemon an image of its own, under the name it has in the archive."""
        self.run("load", "--quiet", "--input", archive)

    def build(self, case: Case, folder: Path, dockerfile: Path) -> StoredImage:
        """Build by BuildKit and read the result from `docker save`."""
        tag = f"case-{case.name}"
        words = ["build", "--quiet", "--network=none", f"--tag={tag}", f"--file={dockerfile}"]
        self.run(*words, *case.flags(folder.parent), folder)
        return self.saved(tag)

    def build_base(self, tag: str, dockerfile: str) -> None:
        """Build a further base image from text alone."""
        with tempfile.TemporaryDirectory() as scratch:
            (Path(scratch) / "Dockerfile").write_text(dockerfile)
            self.run("build", "--quiet", "--network=none", f"--tag={tag}", scratch)

    def saved(self, tag: str, *, above: int = 0) -> StoredImage:
        """An image of the daemon, without the lowest `above` layers."""
        with tempfile.TemporaryDirectory() as scratch:
            archive = Path(scratch) / "image.tar"
            self.run("save", "--output", archive, tag)
            return read_docker_archive(archive, above=above)


@contextlib.contextmanager
def serve_docker(folder: Path) -> Iterator[Docker]:
    """Run a docker daemon that keeps everything below `folder`, which is removed afterwards."""
    try:
        with running_docker(folder) as docker:
            yield docker
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def running_docker(folder: Path) -> Iterator[Docker]:
    """A docker daemon on what an earlier one has left in `folder`, if anything; ended with its containerd."""
    folder.mkdir(parents=True, exist_ok=True)
    socket = folder / "docker.sock"
    docker = Docker(host=f"unix://{socket}")

    def ready() -> bool:
        with contextlib.suppress(ProgramError):
            return bool(socket.exists() and docker.version())
        return False

    argv: list[str | Path] = [
        *("dockerd", "--data-root", docker_data(folder), "--exec-root", folder / "exec"),
        *("--host", docker.host, "--pidfile", folder / "docker.pid", "--config-file", folder / "daemon.json"),
        *("--iptables=false", "--ip6tables=false", "--bridge=none"),
    ]
    (folder / "daemon.json").write_text("{}")
    try:
        with server(argv, log=folder / "dockerd.log", ready=ready):
            yield docker
    finally:
        unmount_below(folder)


def docker_data(folder: Path) -> Path:
    """Where the daemon of `folder` keeps images and containers."""
    return folder / "data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Buildah:
    """Debian's buildah with chroot isolation, its storage below `folder`."""

    folder: Path
    registry: str

    def _run(self, *words: str | Path) -> str:
        storage: list[str | Path] = [
            "--root",
            self.folder / "root",
            "--runroot",
            self.folder / "run",
            "--storage-driver",
            "vfs",
        ]
        return run(["buildah", *storage, *words])

    def version(self) -> str:
        """The program's version."""
        return run(["buildah", "--version"]).strip()

    def build(self, case: Case, folder: Path, dockerfile: Path) -> StoredImage:
        """Build and read the result from an OCI layout."""
        with tempfile.TemporaryDirectory() as scratch:
            words = [
                "bud",
                "--quiet",
                "--isolation=chroot",
                "--layers",
                "--tls-verify=false",
                "--format=docker",
                "--identity-label=false",
            ]
            flags = [*case.flags(folder.parent), f"--file={dockerfile}", f"--tag=case-{case.name}"]
            self._run(*words, *flags, folder)
            self._run("push", "--quiet", "--format=oci", f"case-{case.name}", f"oci:{scratch}/layout:image")
            return read_layout(Path(scratch) / "layout")


@dataclass(frozen=True, slots=True, kw_only=True)
class Executor:
    """The builder under test, with one driver; `home` is its store."""

    driver: str
    home: Path
    registry: str

    def version(self) -> str:
        """Never cached."""
        return ""

    def run(self, *words: str | Path, env: Mapping[str, str] | None = None) -> str:
        """Run `executor` with this driver and home, and the test registry reached by plain HTTP."""
        return run(self.argv(*words), env={**os.environ, "KRUNNER_HOME": str(self.home), **(env or {})})

    def argv(self, *words: str | Path) -> Sequence[str | Path]:
        """The command line that `run` runs."""
        return [BIN / "executor", f"--rootfs={self.driver}", "--insecure", "--insecure-pull", *words]

    def build(self, case: Case, folder: Path, dockerfile: Path) -> StoredImage:
        """Build and read the result from an OCI layout."""
        with tempfile.TemporaryDirectory() as scratch:
            layout = Path(scratch) / "layout"
            words = [f"--context={folder}", f"--dockerfile={dockerfile}", "--no-push"]
            outputs = [f"--destination={self.registry}/case:{case.name}", f"--oci-layout-path={layout}"]
            self.run(*words, *case.flags(folder.parent), *outputs)
            return read_layout(layout)
