"""What a Dockerfile builds on, for the runner: which images of a list depend on which."""

from __future__ import annotations

import os
from collections.abc import Collection

from executor.build.plan.buildplan import BuildPlan, render
from executor.build.plan.frontend import STANDARD_INPUT, ignore_matcher, read_dockerfile
from executor.build.plan.namedcontexts import NamedContexts
from executor.build.plan.planner import PlanRequest, plan_build
from executor.context.http import is_http_url
from executor.dockerfile.instructions import Dockerfile, Run
from executor.dockerfile.marking import quoting
from executor.errors import Location
from executor.image.platform import Platform
from executor.spec import BuildSpec


def base_images(spec: BuildSpec) -> tuple[str, ...]:
    """The images that the stages of `spec` start from or copy from, as full references, without a build.

    Of a Dockerfile behind a URL or on standard input nothing is known yet. Raises InvalidFileError or UsageError
    for a Dockerfile or a target that cannot be planned, ContextError when the file cannot be read.
    """
    plan = _plan(spec)
    return tuple(dict.fromkeys(reference for reference, _ in plan.images())) if plan else ()


def stages(spec: BuildSpec, dockerfile: Dockerfile) -> str:
    """The stages of its Dockerfile that `spec` needs, with their steps. Raises what `base_images` raises."""
    return render(_planned(spec, dockerfile))


def required_mounts(spec: BuildSpec) -> tuple[tuple[str, str, Location], ...]:
    """The secrets and agents without which a RUN of `spec` fails: `secret` or `ssh`, the id, the mount's place.

    Raises what `base_images` raises.
    """
    from executor.build.steps.mounts import is_required, secret_name  # no list is read for them when it is built

    plan = _plan(spec)
    steps = [step for planned in plan.stages for step in planned.stage.instructions] if plan else []
    mounts = [mount for step in steps if isinstance(step, Run) for mount in step.mounts if is_required(mount)]
    found: dict[tuple[str, str], Location] = {}
    for mount in mounts:
        name = secret_name(mount) if mount.type == "secret" else mount.get("id") or "default"
        found.setdefault((mount.type, name), mount.location)
    return tuple((kind, name, place) for (kind, name), place in found.items() if kind in ("secret", "ssh"))


def reads_any(spec: BuildSpec, files: Collection[str]) -> bool:
    """Whether one of `files`, real paths of which some may be deleted, is part of what `spec` is built from.

    That is its Dockerfile, its ignore file, and what of its context and its named contexts is not ignored. Raises
    InvalidFileError for an ignore file with faults.
    """
    named = [os.path.realpath(path) for path in spec.build_contexts.values() if "://" not in path]
    if any(_is_below(file, folder) for file in files for folder in named):
        return True
    dockerfile = "" if spec.dockerfile_text is not None else os.path.realpath(spec.dockerfile)
    if "://" in spec.context:
        return dockerfile in files
    context = os.path.realpath(os.path.join(spec.context, spec.context_sub_path))
    ignored = ignore_matcher(dockerfile, context, spec.context_excludes)
    special = {dockerfile, f"{dockerfile}.dockerignore", os.path.join(context, ".dockerignore")}
    return any(
        file in special
        or (_is_below(file, context) and not (ignored and ignored.ignores(os.path.relpath(file, context))))
        for file in files
    )


def _is_below(file: str, folder: str) -> bool:
    return file.startswith(folder.rstrip("/") + "/")


def _plan(spec: BuildSpec) -> BuildPlan | None:
    """The plan, without what only base images can tell; None where the Dockerfile cannot be read yet."""
    if spec.dockerfile_text is None and (spec.dockerfile == STANDARD_INPUT or is_http_url(spec.dockerfile)):
        return None
    return _planned(spec, read_dockerfile(spec, spec.context, str).parsed)


def _planned(spec: BuildSpec, dockerfile: Dockerfile) -> BuildPlan:
    request = PlanRequest(
        target=spec.target,
        build_args=spec.build_args,
        platforms=tuple(map(Platform.parse, spec.platforms)) or (Platform.host(),),
        contexts=NamedContexts.of(spec.build_contexts),
    )
    with quoting(dockerfile):
        return plan_build(dockerfile, request)
