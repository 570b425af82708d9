"""`make bench`: three workloads by krunner and by buildah, medians as a table.

    quickstart      the three images of examples/quickstart, built and pushed
    ten on debian   ten images, each two steps on one Debian base of about 180 MB, built and pushed
    1 GiB layer     one image with a layer of 1 GiB of random bytes, built and pushed

Every round starts with an empty store and pushes to a repository of its own in a real registry on loopback.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from integration.bench.measure import Measured, measure
from integration.support.bases import BUSYBOX, debian_archive
from integration.support.builders import BIN, ROOT
from integration.support.programs import run
from integration.support.recipes import make_files
from integration.support.registries import serve_registry

_IMAGES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One image of a workload: its context folder and its repository below the round's own."""

    context: Path
    repository: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Images in the order in which they must be built."""

    name: str
    images: Sequence[Image]


class Bench:
    """Prepares the command of one round for each tool; rounds are numbered so that none profits from another."""

    def __init__(self, work: Path, host: str) -> None:
        self.work = work
        self.host = host
        self._numbers: Iterator[int] = itertools.count(1)

    def krunner(self, workload: Workload) -> Sequence[str | Path]:
        """`krunner` on a list with every image of the workload."""
        prefix, folder = self._round()
        builds = [
            {
                "name": image.repository.rpartition("/")[2],
                "context": str(image.context),
                "destinations": [f"{prefix}/{image.repository}:1.0"],
                "args": {"REGISTRY": prefix, "BASE": f"{self.host}/debian", "VERSION": "1.0"},
                "insecure": True,
            }
            for image in workload.images
        ]
        file = folder / "builds.yaml"
        file.write_text(json.dumps({"version": 1, "builds": builds}))  # JSON is YAML
        return ["env", f"KRUNNER_HOME={folder / 'home'}", BIN / "krunner", file]

    def buildah(self, workload: Workload) -> Sequence[str | Path]:
        """A shell script of `buildah bud` and `buildah push`, one after the other."""
        prefix, folder = self._round()
        tool = f"buildah --root {folder}/root --runroot {folder}/run --storage-driver overlay"
        lines = ["set -e"]
        for image in workload.images:
            name = f"{prefix}/{image.repository}:1.0"
            arguments = (
                f"--build-arg REGISTRY={prefix} --build-arg BASE={self.host}/debian --build-arg VERSION=1.0"
            )
            lines += [
                f"{tool} bud -q --isolation chroot --tls-verify=false {arguments} -t {name} {image.context}",
                f"{tool} push -q --tls-verify=false {name}",
            ]
        return ["sh", "-c", "\n".join(lines)]

    def _round(self) -> tuple[str, Path]:
        number = next(self._numbers)
        folder = self.work / f"round-{number}"
        folder.mkdir()
        return f"{self.host}/round-{number}", folder


def quickstart(work: Path) -> Workload:
    """The images of examples/quickstart, in build order."""
    folder = work / "quickstart"
    shutil.copytree(ROOT / "examples" / "quickstart", folder, symlinks=True)
    shutil.copy(BUSYBOX, folder / "base" / "rootfs" / "bin" / "busybox")
    names = ("base", "service", "tool")
    return Workload(
        name="quickstart", images=[Image(context=folder / name, repository=f"quickstart/{name}") for name in names]
    )


def ten_on_debian(work: Path) -> Workload:
    """Ten images, each with a file of its own and a RUN, on one Debian base."""
    dockerfile = "ARG BASE\nFROM $BASE\nCOPY file /srv/file\nRUN sha256sum /srv/file > /srv/sum\n"
    images = []
    for number in range(_IMAGES):
        context = work / "ten" / str(number)
        make_files(context, {"Dockerfile": dockerfile, "file": f"{number}\n" * 1000})
        images.append(Image(context=context, repository=f"image-{number}"))
    return Workload(name=f"{_IMAGES} on debian", images=images)


def one_gigabyte(work: Path) -> Workload:
    """One image whose layer does not compress."""
    context = work / "large"
    make_files(context, {"Dockerfile": "FROM scratch\nCOPY random /random\n"})
    with (context / "random").open("wb") as file:
        for _ in range(1024):
            file.write(os.urandom(1 << 20))
    return Workload(name="1 GiB layer", images=[Image(context=context, repository="large")])


def main() -> None:
    """Measure every workload and print the table."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="a part of a workload's name")
    options = parser.parse_args()
    tools = ["krunner", *(["buildah"] if shutil.which("buildah") else [])]
    with tempfile.TemporaryDirectory(prefix="krunner-bench-", dir="/var/tmp") as scratch:
        work = Path(scratch)
        with serve_registry(work / "registry") as registry:
            source, target = f"docker-archive:{debian_archive()}", f"docker://{registry.host}/debian:latest"
            run(["skopeo", "copy", "--quiet", "--dest-tls-verify=false", source, target])
            bench = Bench(work, registry.host)
            print(
                f"{'workload':16}{'tool':10}{'wall s':>8}{'cpu s':>8}{'peak MB':>9}{'wall ratio':>12}", flush=True
            )
            for make in (quickstart, ten_on_debian, one_gigabyte):
                workload = make(work)
                if options.only in workload.name:
                    _show(bench, workload, tools, options.rounds)


def _show(bench: Bench, workload: Workload, tools: Sequence[str], rounds: int) -> None:
    first: Measured | None = None
    for tool in tools:
        prepare: Callable[[Workload], Sequence[str | Path]] = getattr(bench, tool)
        found = measure(functools.partial(prepare, workload), rounds=rounds)
        first = first or found
        numbers = f"{found.wall:8.2f}{found.cpu:8.2f}{found.peak / 1e6:9.0f}{found.wall / first.wall:12.2f}"
        print(f"{workload.name:16}{tool:10}{numbers}", flush=True)


if __name__ == "__main__":
    main()
