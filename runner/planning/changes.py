"""Which images have changed since a commit, by git: a file of their context, their Dockerfile, their ignore file.

What counts is the difference between the working tree, with files that git does not know yet, and the commit where
the histories of HEAD and of the reference part. An image also changes with the builds files its entry comes from.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TypeAlias

from executor.errors import UsageError
from executor.spec import BuildSpec
from runner.planning.plan import RunPlan

ReadsAny: TypeAlias = Callable[[BuildSpec, Collection[str]], bool]
"""Whether a build reads one of the files, given by their real paths."""

_SHALLOW_HINT = "fetch more of the history: GIT_DEPTH: 0 in GitLab, fetch-depth: 0 with actions/checkout"
_REFERENCE_HINT = "name one, for example --changed=origin/main"


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
    ).rstrip("\n")
    asked = reference or _usual_reference(environment)
    commit = _commit(root, asked, hint="" if reference else _REFERENCE_HINT)
    base = _git(
        root, "merge-base", commit, "HEAD", what=f"where {asked} and HEAD part", hint=_SHALLOW_HINT
    ).strip()
    known = _names(root, "diff", "--name-only", "--no-renames", "--no-ext-diff", "-z", base, "--")
    new = _names(root, "ls-files", "--others", "--exclude-standard", "-z")
    real = os.path.realpath(root)
    return tuple(file for name in (*known, *new) for file in _files(os.path.join(real, name)))


def _usual_reference(environment: Mapping[str, str]) -> str:
    """What CI servers say a merge request is compared with: GitLab, GitHub, Jenkins."""
    if base := environment.get("CI_MERGE_REQUEST_DIFF_BASE_SHA"):
        return base
    branch = environment.get("GITHUB_BASE_REF") or environment.get("CHANGE_TARGET") or "HEAD"
    return f"origin/{branch}"


def _commit(root: str, asked: str, hint: str) -> str:
    """The id of the commit that `asked` means. A clone that lacks part of the history may lack the commit."""
    is_shallow = _git(root, "rev-parse", "--is-shallow-repository").strip() == "true"
    words = ("rev-parse", "--verify", "--quiet", f"{asked}^{{commit}}")
    return _git(root, *words, what=asked, hint=_SHALLOW_HINT if is_shallow else hint).strip()


def _files(path: str) -> Iterator[str]:
    """What git names: a file, or a folder that is a repository of its own (a submodule), with all of its files."""
    yield path
    if os.path.isdir(path) and not os.path.islink(path):
        for name in _names(path, "ls-files", "--cached", "--others", "--exclude-standard", "-z"):
            yield os.path.join(path, name)


def _names(folder: str, *words: str) -> list[str]:
    """The names that a command of git lists with `-z`."""
    return [name for name in _git(folder, *words).split("\0") if name]


def _git(folder: str, *words: str, what: str = "", hint: str = "") -> str:
    """What a command of git prints. Raises UsageError when it fails: git does not know `what`."""
    try:
        done = subprocess.run(["git", "-C", folder, *words], capture_output=True, check=False)
    except FileNotFoundError:
        raise UsageError("--changed needs git, which is not installed", hint="install it, or use --only") from None
    if done.returncode:
        said, _, advice = os.fsdecode(done.stderr).strip().removeprefix("fatal: ").partition("\n")
        if "safe.directory" in advice:  # it belongs to another user, and git's last line is what allows it
            hint = f"if you trust it: {advice.splitlines()[-1].strip()}"
        missing = f"git does not know {what}" if what else ""
        raise UsageError(f"--changed: {said or missing}", hint=hint)
    return os.fsdecode(done.stdout)
