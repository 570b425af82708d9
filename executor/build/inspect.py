"""What a Dockerfile builds on, for the runner: which images of a list depend on which."""

from __future__ import annotations

from executor.build.frontend import read_dockerfile
from executor.build.plan import plan_build
from executor.image.platform import Platform
from executor.spec import BuildSpec


def base_images(spec: BuildSpec) -> tuple[str, ...]:
    """The images that the stages of `spec` start from or copy from, as full references, without a build.

    Its Dockerfile is a path that stands for itself. Raises InvalidFileError or UsageError for a Dockerfile or a
    target that cannot be planned, ContextError when the file cannot be read.
    """
    dockerfile = read_dockerfile(spec, spec.context).parsed
    wanted: dict[str, None] = {}
    for platform in spec.platforms or (str(Platform.host()),):
        plan = plan_build(
            dockerfile, target=spec.target, build_args=spec.build_args, platform=Platform.parse(platform)
        )
        wanted |= {reference: None for reference, _ in plan.images()}
    return tuple(wanted)
