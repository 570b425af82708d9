"""The build context: the directory whose files COPY and ADD may read, and which of them an ignore file hides.

`open_context` makes a directory of whatever `--context` names. Reading the Dockerfile and the ignore file in it is
the caller's; the patterns come in as an `IgnoreRules`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Protocol

from executor.context.archive import newest_file, unpack_context, unpack_standard_input
from executor.context.giturl import is_git_url, parse_context_url
from executor.context.http import Download, download, download_from, without_credentials
from executor.context.objectstores.address import is_object_url
from executor.dataclass import dataclass, replace
from executor.errors import ContextError, context_fault
from executor.events import Noted, Sink


class IgnoreRules(Protocol):
    """An ignore file's patterns. Paths are relative to the context, parted by `/`."""

    def ignores(self, path: str) -> bool:
        """Whether `path` is left out."""

    def may_contain_included(self, directory: str) -> bool:
        """Whether something below an ignored `directory` could be let in again."""


@dataclass(frozen=True, slots=True)
class ContextTree:
    """The directory `path` without what `ignore` hides (None: nothing)."""

    path: str
    ignore: IgnoreRules | None = None


@dataclass(frozen=True, slots=True)
class OpenedContext:
    """The directory `path` with the files of a context, and when those were `made` (seconds), if that is known.

    A commit's time, a download's Last-Modified, else the newest file of an archive; a local folder has none.
    """

    path: str
    made: int | None = None


def open_context(
    url: str,
    *,
    sub_path: str,
    scratch: Callable[[], str],
    sink: Sink,
    keep_git_dir: bool = False,
    commit_times: bool = False,
) -> OpenedContext:
    """A local directory with the files of the context `url`, and in it of the folder `sub_path` if not ''.

    Forms: a directory, `dir://`, `tar://file` (any compression), `tar://stdin`, `git://`, `https://….git#ref:folder`
    and other git URLs (with `keep_git_dir` their .git stays, with `commit_times` files are as old as the commit),
    `http(s)://` of an archive, and for one in an object store `s3://`, `gs://` and Azure's `https://`. `scratch`
    makes an empty directory, which stays until its maker removes it. Raises ContextError when the context cannot
    be had, UnfitError when the disk has no room for it, NotSupportedError for kinds of credentials that are not
    known.
    """
    try:
        fetched = _fetch(url, scratch, sink, keep_git_dir=keep_git_dir, commit_times=commit_times)
    except OSError as error:
        message = f"cannot fetch the context {without_credentials(url)}: {error.strerror or error}"
        raise context_fault(error, message) from error
    folder = _folder(fetched.path, sub_path) if sub_path else fetched.path
    if not os.path.isdir(folder):
        raise ContextError(f"the context {without_credentials(url)} has no folder {sub_path!r}")
    return replace(fetched, path=folder)


def _fetch(
    url: str, scratch: Callable[[], str], sink: Sink, *, keep_git_dir: bool, commit_times: bool
) -> OpenedContext:
    scheme, separator, rest = url.partition("://")
    if is_git_url(url) or scheme == "git":
        from executor.context.git import clone

        source = parse_context_url(url)
        if source.commit_times is not None:
            commit_times = source.commit_times
        source = replace(source, keep_git_dir=keep_git_dir or source.keep_git_dir, commit_times=commit_times)
        checkout = clone(source, scratch(), sink)
        return OpenedContext(checkout.folder, checkout.made)
    if not separator or scheme == "dir":
        return OpenedContext(_directory(rest if separator else url))
    if scheme == "tar":
        directory = scratch()
        if rest == "stdin":
            unpack_standard_input(directory)
        else:
            unpack_context(rest, directory)
        return OpenedContext(directory)
    if is_object_url(url):
        from executor.context.objectstores.opening import object_source

        return _unpacked(download_from(object_source(url, os.environ), scratch(), sink), scratch, sink)
    if scheme in ("http", "https"):
        return _unpacked(download(url, scratch(), sink), scratch, sink)
    raise ContextError(
        f"a context of the unknown kind {scheme}://",
        hint="use a directory, dir://, tar://, tar://stdin, git://, s3://, gs://, http(s):// of an archive",
    )


def _unpacked(fetched: Download, scratch: Callable[[], str], sink: Sink) -> OpenedContext:
    directory = scratch()
    unpack_context(fetched.path, directory, name=fetched.url)
    os.unlink(fetched.path)
    sink(Noted(message=f"unpacked the context {fetched.url}"))
    return OpenedContext(directory, fetched.mtime or newest_file(directory))


def _directory(path: str) -> str:
    absolute = os.path.abspath(path)
    if not os.path.isdir(absolute):
        what = "is not a directory" if os.path.exists(absolute) else "does not exist"
        raise ContextError(f"the context {path} {what}", hint="name the directory with --context")
    return absolute


def _folder(directory: str, sub_path: str) -> str:
    """The folder `sub_path` of the context; links in it do not lead out of the context."""
    folder = os.path.realpath(os.path.join(directory, sub_path.lstrip("/")))
    top = os.path.realpath(directory)
    if os.path.commonpath((top, folder)) != top:
        raise ContextError(f"the folder {sub_path!r} is outside of the context")
    return folder
