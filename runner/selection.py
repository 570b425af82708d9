"""Which images of a plan are built in this run: by name, and by share when several machines divide the list.

An image that is needed is built too, unless it is skipped: then its dependents take it from the registry, as they
take any other base.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from executor.errors import UsageError
from runner.plan import RunPlan

_SHARD = re.compile(r"([0-9]{1,4})/([0-9]{1,4})\Z")


@dataclass(frozen=True, slots=True)
class Shard:
    """The part `index` (from 1) of a list that is divided into `count`."""

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read `2/5`. Raises UsageError."""
        found = _SHARD.match(text)
        shard = cls(*map(int, found.groups())) if found else None
        if shard is None or not 1 <= shard.index <= shard.count:
            raise UsageError(f"--shard {text!r} is no share", hint="write i/n with i from 1 to n, for example 2/5")
        return shard


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """`only` and `skip` are shell patterns of names (`web-*`); no `only` means all images."""

    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    shard: Shard | None = None


def select(plan: RunPlan, selection: Selection) -> RunPlan:
    """The part of `plan` that `selection` wants, in the same order; a shard may be empty.

    Raises UsageError for a pattern that matches no image, and if nothing is left.
    """
    needs = {planned.image.name: planned.needs for planned in plan.images}
    skipped = _matching(selection.skip, needs, "--skip")
    chosen = _matching(selection.only, needs, "--only") if selection.only else set(needs)
    kept = _with_needs(chosen - skipped, needs, skipped)
    if not kept:
        raise UsageError("no image is left to build", hint="--skip counts more than --only")
    if selection.shard:
        kept = _share(selection.shard, [name for name in needs if name in kept], needs)
    images = tuple(
        dataclasses.replace(planned, needs=tuple(name for name in planned.needs if name in kept))
        for planned in plan.images
        if planned.image.name in kept
    )
    return dataclasses.replace(plan, images=images)


def _matching(patterns: Iterable[str], names: Iterable[str], option: str) -> set[str]:
    found: set[str] = set()
    for pattern in patterns:
        matches = {name for name in names if fnmatchcase(name, pattern)}
        if not matches:
            close = difflib.get_close_matches(pattern, list(names), n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"the images are {', '.join(names)}"
            raise UsageError(f"{option} {pattern!r} matches no image", hint=hint)
        found |= matches
    return found


def _with_needs(chosen: set[str], needs: Mapping[str, tuple[str, ...]], skipped: set[str]) -> set[str]:
    kept: set[str] = set()
    waiting = list(chosen)
    while waiting:
        name = waiting.pop()
        kept.add(name)
        waiting += [need for need in needs[name] if need not in kept and need not in skipped]
    return kept


def _share(shard: Shard, names: list[str], needs: Mapping[str, tuple[str, ...]]) -> set[str]:
    """The images of one shard: the largest connected parts are dealt first, each to the shard with the fewest."""
    shares: list[set[str]] = [set() for _ in range(shard.count)]
    for part in sorted(_parts(names, needs), key=len, reverse=True):
        min(shares, key=len).update(part)
    return shares[shard.index - 1]


def _parts(names: list[str], needs: Mapping[str, tuple[str, ...]]) -> list[set[str]]:
    """The images that are connected by needs, in the order of each part's first image: the same every time."""
    parts: list[set[str]] = []
    for name in names:
        part = {name}
        near = {name, *needs[name]}
        for other in [other for other in parts if other & near]:
            parts.remove(other)
            part |= other
        parts.append(part)
    position = {name: number for number, name in enumerate(names)}
    return sorted(parts, key=lambda part: min(position[name] for name in part))
