"""Two hundred small builds in one container leave no more behind than ten."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path

from integration.support.builders import Docker
from integration.support.container import started
from integration.support.outside import differences, look_at, root_of
from integration.support.programs import run

_STEP, _ALL = 10, 200
_SLACK = {"kilobytes": 256, "inodes": 16, "memory": 1000}
"""kB, inodes and kB that are no leak in 190 builds: a directory that grew, a cache of the kernel's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What the container holds: disk and inodes of its own layer, open files and processes, memory in kB."""

    kilobytes: int
    inodes: int
    files: int
    processes: int
    memory: int


def test_many_builds(krunner_images: Docker, work: Path, base_host: str) -> None:
    workspace = work / "many" / "workspace"
    workspace.mkdir(parents=True)
    # a store that keeps nothing: what is left behind elsewhere cannot hide in it
    with started(krunner_images, workspace, "--env=KRUNNER_STORE_SIZE=1kB") as container:
        before = look_at(container)
        root = root_of(container)

        def build(first: int) -> None:
            lines = ["version: 1", "defaults: {insecure: true, no_push: true}", "builds:"]
            for number in range(first, first + _STEP):
                command = "exit 1" if number % 10 == 3 else "(sleep 1000 &); echo > /same"
                dockerfile = f"FROM {base_host}/busybox\nRUN {command}\n"
                (workspace / f"{number}.Dockerfile").write_text(dockerfile)
                lines.append(f"  - {{name: i{number}, context: ., dockerfile: {number}.Dockerfile}}")
            (workspace / "builds.yaml").write_text("\n".join(lines))
            done = container.run("krunner", "-q", "--rootfs=in-place", "builds.yaml")
            assert done.status == 1
            assert "1 failed" in done.output, done.output

        build(0)
        early = state_of(container.docker, container.name, root)
        for first in range(_STEP, _ALL, _STEP):
            build(first)
        late = state_of(container.docker, container.name, root)
        grown = {name: (asdict(early)[name], value) for name, value in asdict(late).items()}
        assert {name: pair for name, pair in grown.items() if pair[1] - pair[0] > _SLACK.get(name, 0)} == {}
        assert differences(look_at(container), before) == {}


def state_of(docker: Docker, name: str, root: bytes) -> State:
    upper = os.fsdecode(root).replace("/merged", "/diff")
    pids = [int(line.split()[0]) for line in docker.run("top", name, "-eo", "pid").splitlines()[1:]]
    return State(
        kilobytes=int(run(["du", "--summarize", "--block-size=1024", upper]).split()[0]),
        inodes=int(run(["du", "--summarize", "--inodes", upper]).split()[0]),
        files=sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids),
        processes=len(pids),
        memory=sum(resident(pid) for pid in pids),
    )


def resident(pid: int) -> int:
    """The memory of a process that is no file's, in kB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))
