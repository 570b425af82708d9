"""Stages side by side: each begins as soon as those that it builds on or copies from are done.

The first failure ends all: commands of the other stages are killed, their other work ends before the next step.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import pairwise
from typing import Self

from executor.build.plan.buildplan import StageBase, StagePlan
from executor.rootfs.base import AbandonedError


class GiveUp:
    """Set once, when stages under way are of no more use. A context manager."""

    def __init__(self) -> None:
        self.descriptor = os.eventfd(0, os.EFD_CLOEXEC)
        """Readable once it is set, for what waits for a command."""
        self._is_set = False

    def set(self) -> None:
        """Ask everything that checks, and every command that runs, to end."""
        self._is_set = True
        os.eventfd_write(self.descriptor, 1)

    def check(self) -> None:
        """Raise AbandonedError once it is set."""
        if self._is_set:
            raise AbandonedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        os.close(self.descriptor)


def needs(planned: StagePlan) -> frozenset[int]:
    """The numbers of the stages that `planned` builds on or takes files from."""
    return frozenset(base.number for base in (planned.base, *planned.sources) if isinstance(base, StageBase))


def is_chain(stages: Sequence[StagePlan]) -> bool:
    """True when every stage has to wait for the one before it: nothing can be done side by side."""
    behind: dict[int, frozenset[int]] = {}
    for planned in stages:
        behind[planned.number] = needs(planned).union(*(behind.get(number, ()) for number in needs(planned)))
    return all(before.number in behind[after.number] for before, after in pairwise(stages))


def run_side_by_side(
    stages: Sequence[StagePlan], work: Callable[[StagePlan], object], give_up: GiveUp, *, threads: int
) -> None:
    """Call `work` for every stage, up to `threads` at once. `stages` has those that are needed before the others.

    Raises what the first failing one raised, or what a signal handler raises here, when all of them have ended.
    """
    waiting = {planned.number: planned for planned in stages}
    running: dict[Future[object], int] = {}
    with ThreadPoolExecutor(threads, "stage") as pool:
        try:
            while waiting or running:
                for planned in _ready(waiting, running):
                    running[pool.submit(work, planned)] = waiting.pop(planned.number).number
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    del running[future]
                    future.result()
        except BaseException:
            give_up.set()
            raise


def _ready(waiting: Mapping[int, StagePlan], running: Mapping[Future[object], int]) -> list[StagePlan]:
    """The stages all of whose needs are done, which is what neither waits nor runs."""
    unfinished = {*waiting, *running.values()}
    return [planned for planned in waiting.values() if unfinished.isdisjoint(needs(planned))]
