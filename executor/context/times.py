"""When the source was made that a git repository or a URL holds, for SOURCE_DATE_EPOCH: as BuildKit's epoch.go."""

from __future__ import annotations

from collections.abc import Callable

from executor.context.archive import newest_file, unpack_context
from executor.context.giturl import is_git_url, parse_git_url
from executor.context.http import download, without_credentials
from executor.dataclass import replace
from executor.errors import ContextError, context_fault
from executor.events import Sink


def time_made(url: str, scratch: Callable[[], str], sink: Sink) -> int | None:
    """Seconds of the epoch: of the commit, or a download's Last-Modified, else the newest file of its archive.

    None when nothing tells. `scratch` makes an empty directory. Raises ContextError when it cannot be fetched.
    """
    try:
        if is_git_url(url):
            from executor.context.git import clone

            return clone(replace(parse_git_url(url), submodules=False), scratch(), sink).made
        fetched = download(url, scratch(), sink)
    except OSError as error:
        message = f"cannot fetch {without_credentials(url)}: {error.strerror or error}"
        raise context_fault(error, message) from error
    if fetched.mtime:
        return fetched.mtime
    directory = scratch()
    try:
        unpack_context(fetched.path, directory, name=fetched.url)
    except ContextError:  # it is no archive
        return None
    return newest_file(directory) or None
