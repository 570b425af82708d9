"""What a Dockerfile builds on, for the runner: which images of a list depend on which."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from executor.build.plan import plan_build
from executor.dockerfile.parser import parse
from executor.errors import ContextError
from executor.image.platform import Platform


def base_images(
    dockerfile_path: str, build_args: Mapping[str, str], target: str, platform: str = ""
) -> tuple[str, ...]:
    """The images that the stages for `target` start from or copy from, as full references, without a build.

    Raises InvalidFileError or UsageError for a Dockerfile or a target that cannot be planned, ContextError when
    the file cannot be read.
    """
    try:
        content = Path(dockerfile_path).read_bytes()
    except OSError as error:
        raise ContextError(f"cannot read {dockerfile_path}: {error.strerror}") from error
    wanted = Platform.parse(platform) if platform else Platform.host()
    plan = plan_build(parse(content, dockerfile_path), target=target, build_args=build_args, platform=wanted)
    return tuple(dict.fromkeys(reference for reference, _ in plan.images()))
