"""`make bench`: the workloads by krunner and by every peer that is here, in turn; medians, ratios, memory, phases.

Each run has a clean state: a file system made for it, an empty store or storage, and a registry of its own that
holds the bases alone. Rounds go A B A B through the tools, so that a busy machine meets all alike.
docs/performance.md says how to read it.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Mapping, Sequence

from integration.bench.containers import Containers
from integration.bench.disk import FRESH, HERE, disk
from integration.bench.ending import end_on_signals, work_folder
from integration.bench.measure import Measured
from integration.bench.peers import Peer, available
from integration.bench.phases import phases_of
from integration.bench.rounds import Bench, push_to
from integration.bench.table import OURS, table
from integration.bench.versions import machine, said
from integration.bench.workloads import WORKLOADS, warm_up

_SIZE = 8.0


def main() -> int:
    """Measure and print; 1 when a run of ours failed."""
    options = _options()
    begin = time.monotonic()
    end_on_signals()
    with work_folder() as work:
        containers = Containers(work / "docker")
        peers = {name: peer for name, peer in available(containers).items() if _wanted(name, options.peers)}
        bench = Bench(disk=disk(options.disk, work, size=int(options.size * 1e9)), bases=work / "bases")
        _say(*_header(bench, peers, options.rounds))
        workloads = [
            make(work / "contexts") for name, make in WORKLOADS.items() if _wanted(name, options.workloads)
        ]
        push_to(bench.bases, every_base=any(workload.own_list for workload in workloads))
        containers.prepare([peer.image for peer in peers.values() if peer.image])
        for workload in warm_up(work / "warm-up"):
            bench.rounds(workload, peers, 1)
        for workload in workloads:
            results = bench.rounds(workload, peers, options.rounds)
            _say("", *table(workload.name, results), *_phases(results))
        _say("", f"{(time.monotonic() - begin) / 60:.0f} minutes; load {os.getloadavg()[0]:.1f} at the end")
        return 1 if bench.failed.intersection(OURS) else 0


def _header(bench: Bench, peers: Mapping[str, Peer], rounds: int) -> list[str]:
    """What the tables are worth: the machine, the disk, and what was measured."""
    return [
        f"machine: {machine()}",
        f"disk: {bench.disk.described}",
        f"registry: {said('docker-registry', '--version')}",
        *(f"{name}: {peer.version()}" for name, peer in peers.items()),
        f"rounds: {rounds}",
    ]


def _phases(results: Mapping[str, Sequence[Measured]]) -> list[str]:
    """A line for each of ours that told where its time went."""
    spent = {ours: phases_of(run.output for run in results.get(ours, ())) for ours in OURS}
    return [
        f"  phases of {ours}: " + ", ".join(f"{phase} {seconds:.2f}" for phase, seconds in phases.items())
        for ours, phases in spent.items()
        if phases
    ]


def _say(*lines: str) -> None:
    print(*lines, sep="\n", flush=True)


def _wanted(name: str, chosen: Sequence[str]) -> bool:
    return not chosen or name in chosen


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--workloads", type=_names, default=(), help=f"of {', '.join(WORKLOADS)}")
    parser.add_argument("--peers", type=_names, default=(), help="of those that are printed first")
    parser.add_argument(
        "--disk",
        choices=(FRESH, HERE),
        default=FRESH,
        help=f"{FRESH}: a file system of its own for each run; {HERE}: /var/tmp as it is",
    )
    size = "gigabytes of each of these file systems; one and a half times that is taken from /var/tmp"
    parser.add_argument("--size", type=float, default=_SIZE, help=size)
    return parser.parse_args()


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(",")))


if __name__ == "__main__":
    sys.exit(main())
