"""The cases of the differential suite, a module per part of the Dockerfile language."""

from __future__ import annotations

from collections.abc import Mapping

from integration.differential.cases import (
    add,
    addsources,
    arguments,
    config,
    contexts,
    copy,
    copyflags,
    expansion,
    heredoc,
    heredocforms,
    ignore,
    mountoptions,
    mounts,
    platforms,
    practice,
    reading,
    run,
    settings,
    stages,
    variables,
)
from integration.support.builders import Case

GROUPS: Mapping[str, tuple[Case, ...]] = {
    "stages": stages.CASES,
    "variables": variables.CASES,
    "run": run.CASES,
    "mounts": mounts.CASES,
    "copy": copy.CASES,
    "add": add.CASES,
    "ignore": ignore.CASES,
    "config": config.CASES,
    "heredoc": heredoc.CASES,
    "heredocforms": heredocforms.CASES,
    "copyflags": copyflags.CASES,
    "addsources": addsources.CASES,
    "mountoptions": mountoptions.CASES,
    "expansion": expansion.CASES,
    "arguments": arguments.CASES,
    "settings": settings.CASES,
    "reading": reading.CASES,
    "contexts": contexts.CASES,
    "platforms": platforms.CASES,
    "practice": practice.CASES,
}
"""Module → its cases; the results of BuildKit are recorded in a file for each."""

CASES = tuple(case for cases in GROUPS.values() for case in cases)
