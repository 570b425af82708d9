"""What FROM builds upon, and by which variables."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from executor.dockerfile.expansion import expand_from, expand_word_at
from executor.dockerfile.instructions import Dockerfile, From, Stage
from executor.dockerfile.lint.finding import BaseFacts, Finding
from executor.dockerfile.lint.lookups import Lookups
from executor.dockerfile.stages import global_variables, stage_by_name
from executor.dockerfile.suggest import nearest
from executor.errors import Error, UsageError
from executor.image.platform import Platform
from executor.image.reference import Reference

_ANY = "\0"  # what no Dockerfile holds
PLATFORM_NAMES = frozenset(
    f"{side}{part}" for side in ("TARGET", "BUILD") for part in ("PLATFORM", "OS", "ARCH", "VARIANT")
) | {"TARGETSTAGE"}


def parents(dockerfile: Dockerfile) -> dict[int, int]:
    """The stages that others build upon, by index: with the defaults of the ARGs, and for this machine."""
    host = Platform.host()
    values = {"PLATFORM": str(host), "OS": host.os, "ARCH": host.architecture, "VARIANT": host.variant}
    arguments = {f"{side}{part}": value for side in ("TARGET", "BUILD") for part, value in values.items()}
    found: dict[int, int] = {}
    for stage in dockerfile.stages:
        with contextlib.suppress(Error):  # the build says it
            variables = global_variables(dockerfile, {}, arguments)
            image = expand_from(stage.base, variables, escape=dockerfile.directives.escape).image
            if parent := stage_by_name(dockerfile, image, stage.index):
                found[stage.index] = parent.index
    return found


def platforms(dockerfile: Dockerfile) -> Iterator[Finding]:
    """RedundantTargetPlatform, FromPlatformFlagConstDisallowed."""
    for stage in dockerfile.stages:
        written = stage.base.platform
        if written and _is_target(stage.base, dockerfile.directives.escape):
            message = f"--platform={written} is the default"
            yield Finding("RedundantTargetPlatform", stage.base, message, "leave it out")
        elif written and "$" not in written and not _says(stage.name, written):
            message = f"--platform={written} is constant"
            hint = "leave it out, or use $BUILDPLATFORM; or name the stage after the platform"
            yield Finding("FromPlatformFlagConstDisallowed", stage.base, message, hint)


def _is_target(base: From, escape: str) -> bool:
    """Whether --platform becomes TARGETPLATFORM as it is, and depends on nothing else."""
    target = Lookups(TARGETPLATFORM=_ANY)
    with contextlib.suppress(Error):  # the build says it
        return expand_word_at(base.platform, target, base, escape) == _ANY and list(target.names) == [
            "TARGETPLATFORM"
        ]
    return False


def arguments(dockerfile: Dockerfile) -> Iterator[Finding]:
    """UndefinedArgInFrom."""
    declared = {name for arg in dockerfile.global_args for name, _ in arg.entries}
    for stage in dockerfile.stages:
        for name in Lookups.of_base(stage.base, dockerfile.directives.escape):
            if name not in declared | PLATFORM_NAMES:
                near = nearest(name, declared | PLATFORM_NAMES)
                hint = f"did you mean {near}?" if near else f"write ARG {name}=… before the first FROM"
                message = f"the argument {name} of FROM is not declared"
                yield Finding("UndefinedArgInFrom", stage.base, message, hint)


def defaults(dockerfile: Dockerfile) -> Iterator[Finding]:
    """InvalidDefaultArgInFrom."""
    try:
        platform_values = dict.fromkeys(PLATFORM_NAMES, "x")
        variables = global_variables(dockerfile, {}, platform_values)
    except Error:
        return  # the build says it
    for stage in dockerfile.stages:
        if "$" in stage.base.image and not _names_an_image(dockerfile, stage, variables):
            message = f"with the defaults of the ARGs, {stage.base.image} names no image"
            yield Finding("InvalidDefaultArgInFrom", stage.base, message, "give the ARG a default")


def other_platforms(dockerfile: Dockerfile, known: Mapping[int, BaseFacts]) -> Iterator[Finding]:
    """InvalidBaseImagePlatform."""
    for stage in dockerfile.stages:
        facts = known.get(stage.index)
        if facts and facts.wanted != facts.had:
            message = f"the base image is of the platform {facts.had}, not of {facts.wanted}"
            hint = "build on an image that has that platform, or say by --platform that this one is meant"
            yield Finding("InvalidBaseImagePlatform", stage.base, message, hint)


def _names_an_image(dockerfile: Dockerfile, stage: Stage, variables: Mapping[str, str]) -> bool:
    try:
        image = expand_from(stage.base, variables, escape=dockerfile.directives.escape).image
        if not stage_by_name(dockerfile, image, stage.index):
            Reference.parse(image)
    except UsageError:
        return False
    except Error:
        return True  # of another kind: the build says it
    return True


def _says(stage_name: str, platform: str) -> bool:
    """Whether the stage's name has the operating system or the architecture in it."""
    try:
        parsed = Platform.parse(platform)
    except Error:
        return True  # the build says it
    return parsed.os in stage_name or parsed.architecture in stage_name
