"""Runs of workloads by tools, each in a clean state, round by round."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from integration.bench.disk import Disk
from integration.bench.measure import Measured, measure
from integration.bench.peers import Peer, Place
from integration.bench.workloads import Workload
from integration.support.bases import busybox_archive, debian_archive, push_archive, push_bases, toolbox_archive
from integration.support.programs import ProgramError
from integration.support.registries import RegistryServer, serve_registry

LOOP = "in-place-loop"
_NOT_CACHED = ("docker",)
"""Peers that keep no layer cache in a registry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Runs on a disk, with what a registry has in `bases`. `failed` are the tools of which a run failed."""

    disk: Disk
    bases: Path
    failed: set[str] = field(default_factory=set)

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
        with self.disk.for_builder(large=workload.large) as folder:
            place = Place(folder=folder, host=host, cache=cache)
            place.shared.mkdir()
            with peer.command(workload, place) as command:
                os.sync()
                return measure(command)

    @contextlib.contextmanager
    def _registry(self) -> Iterator[RegistryServer]:
        """A registry that holds the bases alone."""
        with self.disk.for_registry() as folder:
            shutil.copytree(self.bases, folder, copy_function=_link_or_copy, dirs_exist_ok=True)
            with serve_registry(folder) as registry:
                yield registry


def push_to(bases: Path, *, every_base: bool) -> None:
    """Fill a registry's folder with the two bases of most workloads, or every one that there is."""
    with serve_registry(bases) as registry:
        for archive in (busybox_archive(), debian_archive()):
            push_archive(archive, registry.host)
        if every_base:
            push_bases(registry.host)
            push_archive(toolbox_archive(), registry.host)
    for file in ("config.yml", "registry.log"):  # of this server
        (bases / file).unlink()


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        shutil.copy2(source, target)


def _able(workload: Workload, peers: Iterable[str]) -> list[str]:
    """The tools of `peers` that the workload is for."""
    if workload.peers:
        return [name for name in peers if name in workload.peers]
    others = (LOOP, *(_NOT_CACHED if workload.cached else ()))
    return [name for name in peers if name not in others]
