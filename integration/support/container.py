"""A container of krunner:debug as CI systems have it: default capabilities, doing nothing, exec'd into."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from integration.support.builders import DOCKER, Case, Docker
from integration.support.images import StoredImage, read_layout
from integration.support.programs import ProgramError

Listing: TypeAlias = Mapping[str, tuple[object, ...]]
_OURS = ("kaniko/store", "kaniko/takeover")
"""The folders that builds leave something in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exec:
    """How a command in a container ended; `output` is all it printed."""

    status: int
    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A running container whose /workspace is the folder `workspace`. A Builder, by the in-place driver."""

    docker: Docker
    name: str
    workspace: Path

    def argv(self, *words: str | Path, env: Mapping[str, str] | None = None) -> list[str]:
        """The command line that runs a command in the container."""
        variables = [f"--env={name}={value}" for name, value in (env or {}).items()]
        return [*self._exec(*variables), *map(str, words)]

    def interactive(self, *words: str | Path, env: Mapping[str, str] | None = None) -> list[str]:
        """The command line that runs a command in the container and passes its standard input on."""
        variables = [f"--env={name}={value}" for name, value in (env or {}).items()]
        return [*self._exec("--interactive", *variables), *map(str, words)]

    def _exec(self, *options: str) -> list[str]:
        return [str(DOCKER), "--host", self.docker.host, "exec", *options, self.name]

    def run(self, *words: str | Path, env: Mapping[str, str] | None = None) -> Exec:
        """Run a command in the container to its end."""
        done = subprocess.run(
            self.argv(*words, env=env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=100,
            check=False,
        )
        return Exec(status=done.returncode, output=done.stdout)

    def listing(self) -> Listing:
        """Everything in the container's root but for mounts and the store, as seen from outside."""
        with tempfile.NamedTemporaryFile(dir=self.workspace.parent) as file:
            self.docker.run("export", "--output", file.name, self.name)
            with tarfile.open(file.name) as archive:
                return {
                    entry.name: (
                        entry.type,
                        entry.mode,
                        entry.uid,
                        entry.gid,
                        entry.size,
                        entry.mtime,
                        entry.linkname,
                    )
                    for entry in archive
                    if not entry.name.startswith(_OURS) and entry.name not in ("kaniko", "etc")
                }

    def processes(self) -> list[str]:
        """The commands that run in the container."""
        return self.docker.run("top", self.name, "-eo", "pid,args").splitlines()[1:]

    def version(self) -> str:
        """Never cached."""
        return ""

    def executor(self, *words: str | Path) -> tuple[str | Path, ...]:
        """The command line of a build in place."""
        return "executor", "--rootfs=in-place", "--insecure", "--insecure-pull", *words

    def build(self, case: Case, folder: Path, dockerfile: Path) -> StoredImage:
        """Build and read the result from an OCI layout."""
        with tempfile.TemporaryDirectory(dir=self.workspace) as name:
            inside = f"/workspace/{os.path.basename(name)}"
            subprocess.run(["cp", "--archive", f"{folder.parent}/.", name], check=True)
            file = f"{inside}/context/{case.dockerfile_name}" if case.dockerfile_name else f"{inside}/Dockerfile"
            words = [f"--context={inside}/context", f"--dockerfile={file}", "--no-push"]
            outputs = ["--destination=registry.test/case", f"--oci-layout-path={inside}/layout"]
            done = self.run(*self.executor(*words, *case.flags(inside), *outputs))
            if done.status != 0:
                raise ProgramError(f"{case.name} ended with {done.status}\n{done.output}")
            return read_layout(Path(name) / "layout")


@contextlib.contextmanager
def started(docker: Docker, workspace: Path, *options: str, init: bool = True) -> Iterator[Container]:
    """A container that sleeps; removed afterwards. Without `init` the sleep itself is process 1."""
    words = ["run", "--detach", f"--init={init}".lower(), "--network=host", f"--volume={workspace}:/workspace"]
    words += options
    name = docker.run(*words, "--entrypoint=sleep", "krunner:debug", "86400").strip()
    try:
        yield Container(docker=docker, name=name, workspace=workspace)
    finally:
        docker.run("rm", "--force", name)
