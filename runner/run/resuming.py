"""`--resume`: what an earlier run has done of a list, and need not be done again.

An image is kept when it is made of the very inputs that it was made of then (files, Dockerfile, arguments, bases
by digest) and all its destinations still are what was pushed. One that was built but not pushed is only pushed, if
it waits in the store. All others are built: those that have changed, those that build upon an image that is built,
and those that leave files or nothing at all, of which nobody can know whether they are still there.
"""

from __future__ import annotations

from collections.abc import Mapping

from executor.dataclass import dataclass, field, replace
from executor.errors import Error
from runner.executor import Executor
from runner.outcome import Outcome
from runner.planning.plan import PlannedImage, RunPlan, built_upon
from runner.run.earlier import EarlierImage


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumption:
    """By name: images that are `kept`, those that are `built` and wait to be pushed, and what is known of all."""

    kept: Mapping[str, Outcome] = field(default_factory=dict)
    built: Mapping[str, Outcome] = field(default_factory=dict)
    earlier: Mapping[str, EarlierImage] = field(default_factory=dict)


def resumption(plan: RunPlan, earlier: Mapping[str, EarlierImage], executor: Executor, home: str) -> Resumption:
    """What of `plan` is done, by the reports of an `earlier` run, the registries, and the store in `home`."""
    waiting = {(image.keep, image.digest) for image in executor.waiting_images(home)}
    kept: dict[str, Outcome] = {}
    built: dict[str, Outcome] = {}
    digests: dict[str, str] = {}
    for planned in plan.images:
        name, before = planned.image.name, earlier.get(planned.image.name)
        if before is None or not _may_be_kept(planned, before):
            continue
        spec = replace(planned.image.build, local_images=dict(digests))
        outcome = Outcome(name=name, status="built", digest=before.digest, size=before.size)
        try:
            upon = built_upon(plan, planned, executor.base_images)
            if not upon <= kept.keys() | built.keys() or executor.explain(spec).inputs != before.inputs:
                continue
            if (planned.image.keep, before.digest) in waiting:
                built[name] = outcome
                digests.update(dict.fromkeys(planned.image.references, before.digest))
            elif executor.holds(spec, before.digest):
                pushed = tuple(f"{reference}@{before.digest}" for reference in planned.image.references)
                kept[name] = replace(outcome, kept=True, pushed=pushed)
        except Error:  # the build will say it in its turn
            continue
    return Resumption(kept=kept, built=built, earlier=earlier)


def _may_be_kept(planned: PlannedImage, before: EarlierImage) -> bool:
    """Whether enough is known of it, and it went to registries only."""
    output = planned.image.build.output
    files = (
        output.tar_path,
        output.oci_layout_path,
        output.digest_file,
        output.image_name_with_digest_file,
        output.image_name_tag_with_digest_file,
    )
    known = bool(before.inputs and before.digest and output.destinations)
    return known and not output.no_push and not any(files)
