"""`make bench`: the workloads by krunner and by every peer that is here, in turn; medians, ratios, memory, phases.

Each run has a clean state: an empty store or storage, and a registry of its own that holds the bases alone. Rounds
go A B A B through the tools, so that a busy machine meets all alike. docs/performance.md says how to read it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from integration.bench.measure import Measured, measure
from integration.bench.peers import Peer, Place, available, load_debug_image
from integration.bench.phases import phases_of
from integration.bench.workloads import WORKLOADS, Workload
from integration.support.bases import busybox_archive, debian_archive, push_archive, push_bases, toolbox_archive
from integration.support.builders import serve_docker
from integration.support.programs import ProgramError
from integration.support.registries import RegistryServer, serve_registry

_OURS = ("krunner", "in-place")
_LOOP = "in-place-loop"
_NOT_CACHED = ("docker",)
"""Peers that keep no layer cache in a registry."""
_LARGE = 1 << 30


def main() -> int:
    """Measure and print; 1 when a run of ours failed."""
    options = _options()
    with contextlib.ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="krunner-bench-", dir="/var/tmp")))
        workloads = {name: make for name, make in WORKLOADS.items() if _wanted(name, options.workloads)}
        bench = Bench(work, every_base="twenty" in workloads)
        docker = stack.enter_context(serve_docker(work / "docker")) if shutil.which("dockerd") else None
        if docker and (_wanted("in-place", options.peers) or _wanted(_LOOP, options.peers)):
            load_debug_image(docker)
        peers = {name: peer for name, peer in available(docker).items() if _wanted(name, options.peers)}
        print(f"tools: {', '.join(peers)}; rounds: {options.rounds}", flush=True)
        for make in workloads.values():
            workload = make(work / "contexts")
            _show(workload, bench.rounds(workload, peers, options.rounds))
        return 1 if bench.failed.intersection(_OURS) else 0


class Bench:
    """Runs workloads below the folder `work`; `failed` names the tools of which a run failed.

    Its registries hold the two bases of most workloads, or every one that there is.
    """

    def __init__(self, work: Path, *, every_base: bool) -> None:
        self._work = work
        self._bases = work / "bases"
        self.failed: set[str] = set()
        with serve_registry(self._bases) as registry:
            for archive in (busybox_archive(), debian_archive()):
                push_archive(archive, registry.host)
            if every_base:
                push_bases(registry.host)
                push_archive(toolbox_archive(), registry.host)

    def rounds(self, workload: Workload, peers: Mapping[str, Peer], rounds: int) -> Mapping[str, list[Measured]]:
        """`rounds` runs of each peer in turn, by peer; one that fails is told of and left out."""
        results: dict[str, list[Measured]] = defaultdict(list)
        for _ in range(rounds):
            for name, peer in peers.items():
                if name in self.failed or name not in _able(workload, peers):
                    continue
                try:
                    found = self._run(workload, peer)
                except ProgramError as error:
                    print(f"{name}: {error}", file=sys.stderr)
                    self.failed.add(name)
                else:
                    results[name].append(found)
        return results

    def _run(self, workload: Workload, peer: Peer) -> Measured:
        """One run; before it one that fills the cache, where the workload has one."""
        with self._registry() as registry:
            cache = f"{registry.host}/cache" if workload.cached else ""
            if workload.cached:
                self._once(workload, peer, registry.host, cache)
            return self._once(workload, peer, registry.host, cache)

    def _once(self, workload: Workload, peer: Peer, host: str, cache: str) -> Measured:
        place = Place(folder=self._folder(), host=host, cache=cache)
        with peer.command(workload, place) as command:
            os.sync()
            found = measure(command)
        if workload.large:
            shutil.rmtree(place.folder, ignore_errors=True)
        return found

    @contextlib.contextmanager
    def _registry(self) -> Iterator[RegistryServer]:
        """A registry that holds the bases alone: its files are links to those that were pushed once."""
        folder = self._folder() / "registry"
        shutil.copytree(self._bases, folder, copy_function=os.link)
        (folder / "config.yml").unlink()
        (folder / "registry.log").unlink()
        with serve_registry(folder) as registry:
            yield registry
        blobs = folder / "docker/registry/v2/blobs"
        if sum(file.stat().st_size for file in blobs.rglob("data")) > _LARGE:
            shutil.rmtree(folder)

    def _folder(self) -> Path:
        """A new folder. It stays to the end unless it is large: after mass deletes ext4 is slow for minutes."""
        return Path(tempfile.mkdtemp(prefix="run-", dir=self._work))


def _show(workload: Workload, results: Mapping[str, Sequence[Measured]]) -> None:
    """A line for each tool: medians, and krunner's time as a part of the tool's."""
    print(
        f"\n{workload.name:14}{'wall s':>9}{'cpu s':>9}{'peak MB':>9}{'krunner is':>12}{'in-place is':>12}",
        flush=True,
    )
    walls = {name: statistics.median(run.wall for run in runs) for name, runs in results.items()}
    for name, runs in results.items():
        cpu = statistics.median(run.cpu for run in runs)
        peak = statistics.median(run.peak for run in runs)
        ratios = "".join(f"{walls[ours] / walls[name]:12.2f}" if ours in walls else f"{'':12}" for ours in _OURS)
        print(f"  {name:12}{walls[name]:9.2f}{cpu:9.2f}{peak / 1e6:9.0f}{ratios}", flush=True)
    for ours in _OURS:
        spent = phases_of(run.output for run in results.get(ours, ()))
        if spent:
            print(
                f"  phases of {ours}: " + ", ".join(f"{phase} {spent[phase]:.2f}" for phase in spent), flush=True
            )


def _able(workload: Workload, peers: Iterable[str]) -> list[str]:
    """The tools of `peers` that the workload is for."""
    if workload.peers:
        return [name for name in peers if name in workload.peers]
    others = (_LOOP, *(_NOT_CACHED if workload.cached else ()))
    return [name for name in peers if name not in others]


def _wanted(name: str, chosen: Sequence[str]) -> bool:
    return not chosen or name in chosen


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--workloads", type=_names, default=(), help=f"of {', '.join(WORKLOADS)}")
    parser.add_argument("--peers", type=_names, default=(), help="of those that are printed first")
    return parser.parse_args()


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(",")))


if __name__ == "__main__":
    sys.exit(main())
