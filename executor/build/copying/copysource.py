"""What COPY and ADD can read: a directory as a tree of its own, without the files that an ignore file hides.

Links are resolved inside the tree, so nothing outside of it is ever read. Patterns are Go's filepath.Match, from
the first path component with a wildcard on; the components before it are plain names.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence

from executor.context.base import ContextTree, IgnoreRules
from executor.context.giturl import is_git_url
from executor.context.http import is_http_url
from executor.dataclass import dataclass
from executor.dockerfile.ignore import IgnoreMatcher
from executor.dockerfile.suggest import did_you_mean
from executor.dockerfile.wildcard import has_wildcards, wildcard_match
from executor.errors import StepError
from executor.rootfs.files.copytree import Choice
from executor.rootfs.files.safepath import inside, resolve

Choose = Callable[[str, bool], Choice]
_MAX_COMPARED = 2000  # names of a directory, when one is looked for that is like a missing one


@dataclass(frozen=True, slots=True)
class Found:
    """A source: its path as it was asked for (clean and absolute in the tree), and where it is on this machine."""

    path: str
    host: str

    @property
    def name(self) -> str:
        """The name it gets in a destination directory, '' for the tree's root."""
        return self.path.rpartition("/")[2]

    @property
    def is_directory(self) -> bool:
        """True when it is a directory, links followed."""
        return stat.S_ISDIR(os.lstat(self.host).st_mode)


def is_remote(source: str) -> bool:
    """True for a source that is a URL or a git repository, not a path."""
    return is_http_url(source) or is_git_url(source)


class SourceTree:
    """The directory `path`; what `ignore` hides is as if it were not there."""

    def __init__(self, path: str, ignore: IgnoreRules | None = None) -> None:
        self._path = path
        self._ignore = ignore

    @classmethod
    def of_context(cls, context: ContextTree) -> SourceTree:
        """The files of a build context."""
        return cls(context.path, context.ignore)

    def find(self, source: str) -> list[Found]:
        """What `source` stands for: one path, or every match of its wildcards (perhaps none) in order.

        Raises StepError when a path without wildcards is not there, or a pattern is malformed.
        """
        path = _clean(source)
        prefix, patterns = _split_pattern(path)
        if not patterns:
            return [self._existing(path)]
        top = self._existing(prefix)
        if not top.is_directory:
            return []
        return [self._existing(match) for match in self._matches(top.host, prefix.rstrip("/"), patterns)]

    def at(self, path: str) -> Found:
        """What `path` names, wildcards not heeded. Raises StepError when it is not there."""
        return self._existing(_clean(path))

    def choose(self, source: Found, includes: Sequence[str], excludes: Sequence[str]) -> Choose | None:
        """Which paths below the directory `source` are copied; None: all. Patterns are relative to it.

        `includes` are those of --parents (none: everything), `excludes` those of --exclude.
        """
        rules: list[Choose] = [_Included(includes)] if includes else []
        if excludes:
            rules.append(_Excluded(excludes))
        if self._ignore:
            rules.append(self._visible_below(source, self._ignore))
        return _strictest(rules) if len(rules) > 1 else next(iter(rules), None)

    def require(self, source: Found, path: str, excludes: Sequence[str]) -> None:
        """Raise StepError unless --parents can copy `path`, which is relative to the directory `source`."""
        host = os.path.join(source.host, path)
        there = resolve(source.host, path, follow_last=False) == host and os.path.lexists(host)
        excluded = bool(excludes) and IgnoreMatcher(excludes, "--exclude").ignores(path)
        if not there or excluded or not self._is_visible(inside(self._path, host)):
            raise self._missing(_clean(f"{source.path}/{path}"))

    def _existing(self, path: str) -> Found:
        host = resolve(self._path, path)
        if not os.path.lexists(host) or not (
            self._is_visible(path) and self._is_visible(inside(self._path, host))
        ):
            raise self._missing(path)
        return Found(path, host)

    def _missing(self, path: str) -> StepError:
        hidden = self._ignore is not None and os.path.lexists(resolve(self._path, path))
        hint = (
            "an ignore file (.dockerignore) leaves it out of the build context" if hidden else self._similar(path)
        )
        return StepError(f'"{path}": not found', hint=hint)

    def _similar(self, path: str) -> str:
        """A hint with the name in the same directory that is most like that of `path`."""
        parent, _, name = path.rstrip("/").rpartition("/")
        try:
            names = os.listdir(resolve(self._path, parent or "/"))
        except OSError:
            return ""
        if len(names) > _MAX_COMPARED:
            return ""
        return did_you_mean(name, (other for other in names if self._is_visible(f"{parent}/{other}")))

    def _matches(self, directory: str, prefix: str, patterns: Sequence[str]) -> Iterator[str]:
        """Paths whose components match `patterns` one by one; links are matched by name and not followed."""
        with os.scandir(directory) as entries:
            found = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries)
        for name, is_directory in found:
            path = f"{prefix}/{name}"
            if not wildcard_match(patterns[0], name) or not self._is_visible(path):
                continue
            if len(patterns) == 1:
                yield path
            elif is_directory:
                yield from self._matches(os.path.join(directory, name), path, patterns[1:])

    def _is_visible(self, path: str) -> bool:
        """Whether `path` is let through: by itself, or as a directory with something in it that is."""
        relative = path.strip("/")
        if not self._ignore or not relative or not self._ignore.ignores(relative):
            return True
        host = os.path.join(self._path, relative)
        if os.path.islink(host) or not os.path.isdir(host) or not self._ignore.may_contain_included(relative):
            return False
        return any(self._is_visible(f"{relative}/{name}") for name in os.listdir(host))

    def _visible_below(self, source: Found, ignore: IgnoreRules) -> Choose:
        top = inside(self._path, source.host).strip("/")

        def choose(path: str, is_directory: bool) -> Choice:
            whole = f"{top}/{path}" if top else path
            if not ignore.ignores(whole):
                return Choice.TAKE
            return Choice.IF_NEEDED if is_directory and ignore.may_contain_included(whole) else Choice.SKIP

        return choose


class _Included:
    """Takes what patterns match, with the directories on the way to it."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._matcher = IgnoreMatcher(patterns, "--parents")
        self._reach = IgnoreMatcher([f"!{pattern}" for pattern in patterns], "--parents")

    def __call__(self, path: str, is_directory: bool) -> Choice:
        if self._matcher.ignores(path):
            return Choice.TAKE
        return Choice.PARENT if is_directory and self._reach.may_contain_included(path) else Choice.SKIP


class _Excluded:
    """Leaves out what patterns match; `!pattern` takes it in again."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._matcher = IgnoreMatcher(patterns, "--exclude")

    def __call__(self, path: str, is_directory: bool) -> Choice:
        if not self._matcher.ignores(path):
            return Choice.TAKE
        return Choice.PARENT if is_directory and self._matcher.may_contain_included(path) else Choice.SKIP


def _strictest(rules: Sequence[Choose]) -> Choose:
    """The strictest of several answers."""

    def choose(path: str, is_directory: bool) -> Choice:
        strictest = Choice.TAKE
        for rule in rules:
            choice = rule(path, is_directory)
            if choice is Choice.SKIP:
                return choice
            if strictest is not Choice.PARENT and choice is not Choice.TAKE:
                strictest = choice
        return strictest

    return choose


def _clean(path: str) -> str:
    return "/" + os.path.normpath("/" + path).lstrip("/")


def _split_pattern(path: str) -> tuple[str, Sequence[str]]:
    """A clean absolute path, divided before its first component with wildcards."""
    parts = path.split("/")
    first = next((at for at, part in enumerate(parts) if has_wildcards(part)), len(parts))
    return "/".join(parts[:first]) or "/", parts[first:]
