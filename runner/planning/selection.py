"""Which images of a plan are built in this run: by name, by change, by share when machines divide the list.

An image that is needed is built too, unless it is skipped: then its dependents take it from the registry, as they
take any other base.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterable, Mapping
from fnmatch import fnmatchcase

from executor.dataclass import dataclass, field, replace
from executor.errors import UsageError
from runner.planning.plan import PlannedImage, RunPlan, in_families
from runner.suggest import did_you_mean

_DEFAULT_GROUP = "default"
_UNTIMED = ("waiting", "running", "skipped")
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
            raise UsageError(
                f"--shard {text!r} is not a share", hint="write i/n with i from 1 to n, for example 2/5"
            )
        return shard


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """`only` and `skip` are groups and patterns of names (`web-*`); no `only` means the group `default`, or all.

    `since` asks for what has changed since a commit of git ('' for the usual one), None for all. `seconds` is how
    long images took before, for shards of equal length.
    """

    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    shard: Shard | None = None
    since: str | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)


def select(plan: RunPlan, selection: Selection, changed: Collection[str] | None = None) -> RunPlan:
    """The part of `plan` that `selection` wants, in the same order; a shard may be empty.

    With `changed`, the names of images whose files have changed, only these and what builds upon them; nothing if
    nothing has changed. Raises UsageError for a pattern that matches no image, and if no image can be left.
    """
    needs = {planned.image.name: planned.needs for planned in plan.images}
    skipped = _matching(selection.skip, plan, "--skip")
    chosen = _chosen(plan, selection) - skipped
    absent = set(skipped)
    if changed is not None:
        affected = _with_dependents(set(changed), needs)
        chosen &= affected
        absent |= {planned.image.name for planned in plan.images if _is_pushed(planned)} - affected
    kept = _with_needs(chosen, needs, absent)
    if not kept and changed is None:
        raise UsageError("no image is left to build", hint="--skip counts more than --only")
    _check_available(plan, kept, skipped)
    if selection.shard:
        kept = _share(selection, [planned for planned in plan.images if planned.image.name in kept])
    images = (
        replace(planned, needs=tuple(name for name in planned.needs if name in kept), after=())
        for planned in plan.images
        if planned.image.name in kept
    )
    return replace(plan, images=tuple(in_families(images)))


def read_seconds(path: str) -> dict[str, float]:
    """How long each image took, by the `result.json` of an earlier run. Raises UsageError."""
    try:
        with open(path, "rb") as stream:
            document = json.load(stream)
        images = document["images"].items()
        return {
            name: float(image["seconds"])
            for name, image in images
            if image["status"] not in _UNTIMED and not image.get("kept")
        }
    except OSError as error:
        raise UsageError(f"--timings {path}: {os.strerror(error.errno or 0)}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        hint = "name the result.json in the --report-dir of an earlier run"
        raise UsageError(f"--timings {path} is not a report of krunner", hint=hint) from error


def _chosen(plan: RunPlan, selection: Selection) -> set[str]:
    if selection.only:
        return _matching(selection.only, plan, "--only")
    names = {planned.image.name for planned in plan.images}
    return set(plan.groups.get(_DEFAULT_GROUP, names))


def _matching(patterns: Iterable[str], plan: RunPlan, option: str) -> set[str]:
    names = [planned.image.name for planned in plan.images]
    found: set[str] = set()
    for pattern in patterns:
        matches = {name for name in names if fnmatchcase(name, pattern)} | set(plan.groups.get(pattern, ()))
        if not matches:
            hint = did_you_mean(pattern, [*names, *plan.groups], f"the images are {', '.join(names)}")
            raise UsageError(f"{option} {pattern!r} matches no image", hint=hint)
        found |= matches
    return found


def _with_needs(chosen: set[str], needs: Mapping[str, tuple[str, ...]], absent: set[str]) -> set[str]:
    kept: set[str] = set()
    waiting = list(chosen)
    while waiting:
        name = waiting.pop()
        kept.add(name)
        waiting += [need for need in needs[name] if need not in kept and need not in absent]
    return kept


def _with_dependents(changed: set[str], needs: Mapping[str, tuple[str, ...]]) -> set[str]:
    """The changed images and all that are built upon them. An image comes after those it needs."""
    affected = set(changed)
    for name, wanted in needs.items():
        if affected.intersection(wanted):
            affected.add(name)
    return affected


def _is_pushed(planned: PlannedImage) -> bool:
    """Whether the image is in a registry, so that those who need it can do without building it again."""
    return not planned.image.build.output.no_push


def _check_available(plan: RunPlan, kept: set[str], skipped: set[str]) -> None:
    """What is skipped is pulled by those that need it: it must have a name in a registry."""
    nameless = {
        f"docker-image://{planned.image.references[0]}": planned.image.name
        for planned in plan.images
        if planned.image.name in skipped
        and planned.image.references
        and not planned.image.build.output.destinations
    }
    for planned in plan.images:
        for context in planned.image.build.build_contexts.values() if planned.image.name in kept else ():
            if context in nameless:
                raise UsageError(
                    f"--skip {nameless[context]!r}: {planned.image.name} needs it, and no registry has it",
                    hint="give it `destinations`, or skip both",
                )


def _share(selection: Selection, images: list[PlannedImage]) -> set[str]:
    """The images of one shard: the longest connected parts are dealt first, each to the shard with the least.

    An image of which no time is known counts as the middle of the others.
    """
    shard = selection.shard or Shard(1, 1)
    import statistics

    usual = statistics.median(selection.seconds.values()) if selection.seconds else 1.0
    weights = {planned.image.name: selection.seconds.get(planned.image.name, usual) for planned in images}
    shares: list[set[str]] = [set() for _ in range(shard.count)]
    loads = [0.0] * shard.count
    parts = [(sum(weights[name] for name in part), part) for part in _parts(images)]
    for weight, part in sorted(parts, key=lambda pair: -pair[0]):
        least = loads.index(min(loads))
        shares[least] |= part
        loads[least] += weight
    return shares[shard.index - 1]


def _parts(images: list[PlannedImage]) -> list[set[str]]:
    """The images that are connected by needs or family, in the order of each part's first: always the same."""
    names = [planned.image.name for planned in images]
    parts: list[set[str]] = []
    for planned in images:
        part = {planned.image.name}
        near = {planned.image.name, *planned.needs, *planned.after}
        for other in [other for other in parts if other & near]:
            parts.remove(other)
            part |= other
        parts.append(part)
    position = {name: number for number, name in enumerate(names)}
    return sorted(parts, key=lambda part: min(position[name] for name in part))
