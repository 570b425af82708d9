"""What an image is made of, as the keys of its steps and as one digest over all that decides its content.

Two builds with the same digest read the same: Dockerfile, build arguments, bases, files, and what the spec asks of
the result. Where images go and how registries are reached is no part of it, and neither are the values of secrets,
times, and what a RUN fetches by itself.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from typing import Any

from executor.build.bases.bases import BaseImages
from executor.build.copying.copysource import is_remote
from executor.build.lookahead.buildcache import BuildCache
from executor.build.lookahead.keywalk import KeyWalk
from executor.build.plan.buildplan import BuildPlan, StagePlan, on_one_line
from executor.build.stages.stage import Build
from executor.cache.key import CacheKey, value_digests
from executor.dataclass import asdict
from executor.dockerfile.instructions import Add
from executor.errors import without_passwords
from executor.events import InputsFound
from executor.spec import BuildSpec

_VERSION = 1


def walked(
    build: Build,
    plan: BuildPlan,
    bases: BaseImages,
    cache: BuildCache | None,
    stages_for: Callable[[int], Iterable[StagePlan]],
) -> KeyWalk | None:
    """The keys of all stages, which `cache` begins to look up; told to the sink when the spec asks for that.

    None when servers would have to be asked only to be able to tell. Raises what `bases.get` raises.
    """
    if cache is None and _reads_the_network(plan):
        return None
    walk = KeyWalk(build, plan, bases, stages_for)
    if cache:
        cache.find_keys(walk, plan)
    else:
        for planned in plan.stages:
            walk.visit(planned)
    if build.spec.tell_inputs:
        build.sink(_found(build.spec, plan, bases, walk))
    return walk


def _found(spec: BuildSpec, plan: BuildPlan, bases: BaseImages, walk: KeyWalk) -> InputsFound:
    """The keys that `walk`, which has visited all stages, found. The digest is '' where one could not be known."""
    steps = {
        step.key.hex: {
            "stage": planned.number,
            "platform": str(planned.platform),
            "instruction": on_one_line(step.step.source),
            "document": shown_document(step.key),
        }
        for planned in plan.stages
        if planned.number in walk.keys
        for step in walk.keys[planned.number].steps
        if step.key
    }
    return InputsFound(inputs=_digest(spec, plan, bases, walk), steps=steps)


def shown_document(key: CacheKey) -> dict[str, Any]:
    """What a key digests, but for passwords in URLs that commands have."""
    return {name: _shown(value) for name, value in json.loads(key.document).items()}


def _shown(value: Any) -> Any:
    """Text by text: between two of them there may be what looks like the end of a password."""
    match value:
        case str():
            return without_passwords(value)
        case list():
            return [_shown(item) for item in value]
        case dict():
            return {_shown(name): _shown(item) for name, item in value.items()}
        case _:
            return value


def _reads_the_network(plan: BuildPlan) -> bool:
    """Whether keys need servers to be asked: a cost that only a build with a cache should have."""
    instructions = (step for planned in plan.stages for step in planned.stage.instructions)
    return any(is_remote(source) for step in instructions if isinstance(step, Add) for source in step.sources)


def _digest(spec: BuildSpec, plan: BuildPlan, bases: BaseImages, walk: KeyWalk) -> str:
    finals = [walk.keys[planned.number].final if planned.number in walk.keys else None for planned in plan.stages]
    if not all(finals):
        return ""
    facts = {
        "version": _VERSION,
        "spec": _facts(spec),
        "instructions": [[step.source for step in planned.stage.instructions] for planned in plan.stages],
        "bases": {f"{name} {platform}": str(bases.get(name, platform).digest) for name, platform in plan.images()},
        "stages": [final.hex for final in finals if final],
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()


def _facts(spec: BuildSpec) -> dict[str, Any]:
    """What the spec asks of the result beyond what the keys have."""
    return {
        "build_args": value_digests(spec.build_args),
        "labels": dict(spec.labels),
        "annotations": dict(spec.annotations),
        "target": spec.target,
        "platforms": list(spec.platforms),
        "reproducible": spec.reproducible,
        "source_date_epoch": spec.source_date_epoch,
        "layers": asdict(spec.layers),
        "image_format": spec.output.image_format,
    }
