"""Which images have changed since a commit, by git: a file of their context, their Dockerfile, their ignore file.

What counts is the difference between the working tree, with files that git does not know yet, and the commit where
the histories of HEAD and of the reference part. An image also changes with the builds files its entry comes from.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Collection, Mapping
from typing import TypeAlias

from executor.errors import UsageError
from executor.spec import BuildSpec
from runner.planning.plan import RunPlan

ReadsAny: TypeAlias = Callable[[BuildSpec, Collection[str]], bool]
"""Whether a build reads one of the files, given by their real paths."""

_SHALLOW_HINT = "fetch more of the history: GIT_DEPTH: 0 in GitLab, fetch-depth: 0 with actions/checkout"


def changed_images(plan: RunPlan, files: Collection[str], reads_any: ReadsAny) -> set[str]:
    """The names of the images that the changed `files`, real paths, are part of."""
    changed = set(files)
    return {
        planned.image.name
        for planned in plan.images
        if changed.intersection(planned.image.files) or reads_any(planned.image.build, changed)
    }


def changed_files(folder: str, reference: str, environment: Mapping[str, str]) -> tuple[str, ...]:
    """The real paths of what has changed in the repository of `folder`, deleted files too.

    `reference` is a commit, branch or tag; '' for what a merge request is compared with, else for origin/HEAD.
    Raises UsageError where there is no git, no repository, or no such commit.
    """
    root = _git(
        folder, "rev-parse", "--show-toplevel", hint="--changed compares the files of a repository"
    ).strip()
    asked = reference or _usual_reference(environment)
    hint = "" if reference else "name one: --changed=main"
    commit = _git(root, "rev-parse", "--verify", "--quiet", f"{asked}^{{commit}}", what=asked, hint=hint).strip()
    base = _git(
        root, "merge-base", commit, "HEAD", what=f"where {asked} and HEAD part", hint=_SHALLOW_HINT
    ).strip()
    known = _git(root, "diff", "--name-only", "--no-renames", "--no-ext-diff", "-z", base, "--")
    new = _git(root, "ls-files", "--others", "--exclude-standard", "-z")
    real = os.path.realpath(root)
    return tuple(os.path.join(real, name) for name in f"{known}{new}".split("\0") if name)


def _usual_reference(environment: Mapping[str, str]) -> str:
    """What CI servers say a merge request is compared with."""
    if base := environment.get("CI_MERGE_REQUEST_DIFF_BASE_SHA"):
        return base
    if branch := environment.get("GITHUB_BASE_REF"):
        return f"origin/{branch}"
    return "origin/HEAD"


def _git(folder: str, *words: str, what: str = "", hint: str = "") -> str:
    try:
        done = subprocess.run(["git", "-C", folder, *words], capture_output=True, check=False)
    except FileNotFoundError:
        raise UsageError("--changed needs git, which is not installed", hint="install it, or use --only") from None
    if done.returncode:
        said = os.fsdecode(done.stderr).strip().removeprefix("fatal: ").partition("\n")[0]
        missing = f"git does not know {what}" if what else ""
        raise UsageError(f"--changed: {said or missing}", hint=hint)
    return os.fsdecode(done.stdout)
