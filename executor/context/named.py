"""The files of a named build context (`--build-context NAME=VALUE`): a directory, a git repository, or a URL."""

from __future__ import annotations

import os
from collections.abc import Callable

from executor.context.giturl import is_git_url, parse_git_url
from executor.context.http import download, is_http_url, without_credentials
from executor.dataclass import dataclass
from executor.errors import ContextError, context_fault
from executor.events import Sink

_DOWNLOADED = "context"
"""What BuildKit calls the file that an http(s) URL gives; it is not unpacked."""


@dataclass(frozen=True, slots=True)
class NamedFiles:
    """A directory; `is_local` tells that it is the user's own, in which an ignore file counts."""

    path: str
    is_local: bool


def fetch_named_context(name: str, value: str, scratch: Callable[[], str], sink: Sink) -> NamedFiles:
    """Give a directory with the files of `value`; `scratch` makes an empty one.

    Raises ContextError, which names the context, when they cannot be had, and UnfitError when the disk has no room
    for them.
    """
    try:
        if is_git_url(value):
            from executor.context.git import clone

            return NamedFiles(clone(parse_git_url(value), scratch(), sink).folder, is_local=False)
        if is_http_url(value):
            return NamedFiles(_downloaded(value, scratch(), sink), is_local=False)
    except OSError as error:
        message = f"cannot fetch {without_credentials(value)} ({name}): {error.strerror or error}"
        raise context_fault(error, message) from error
    return NamedFiles(_directory(name, value.removeprefix("dir://")), is_local=True)


def _downloaded(url: str, folder: str, sink: Sink) -> str:
    fetched = download(url, folder, sink)
    os.rename(fetched.path, os.path.join(folder, _DOWNLOADED))
    return folder


def _directory(name: str, path: str) -> str:
    absolute = os.path.abspath(path)
    if not os.path.isdir(absolute):
        what = "is not a directory" if os.path.exists(absolute) else "does not exist"
        raise ContextError(
            f"the build context {name} ({path}) {what}",
            hint="give a directory, docker-image://REFERENCE, oci-layout://PATH, a git repository or a URL",
        )
    return absolute
