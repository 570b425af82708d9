"""ADD: COPY from the build context that also unpacks archives, downloads files and fetches git repositories."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from typing import BinaryIO, cast

from executor.build.copying.copy import (
    CopyRequest,
    Destination,
    copy_source,
    destination_of,
    gives_nothing_away,
    place,
    place_documents,
)
from executor.build.copying.copysource import Found, SourceTree, is_remote
from executor.context.archive import is_archive, open_archive
from executor.context.base import ContextTree
from executor.context.giturl import GitSource, is_git_url, parse_git_url
from executor.context.http import download, file_name
from executor.dataclass import dataclass, replace
from executor.errors import ImageError, StepError
from executor.events import Sink
from executor.image.layer import LayerEntry
from executor.image.tarread import TarContent, read_entries
from executor.removal import remove_tree
from executor.rootfs.files.directories import Directories, open_resolved
from executor.rootfs.files.safepath import resolve
from executor.rootfs.files.treewriter import TreeWriter

_ROOT = (0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddRequest:
    """An ADD: what it shares with COPY, and its own flags.

    `checksum` is a digest for a URL or a commit for a git repository, '' for none. `unpack` None: archives of the
    context are unpacked, downloads are not.
    """

    copy: CopyRequest
    checksum: str = ""
    keep_git_dir: bool | None = None
    unpack: bool | None = None


def add(request: AddRequest, context: ContextTree, root: str, scratch: Callable[[], str], sink: Sink) -> None:
    """Add to the root filesystem at the directory `root`; files become 0:0's, those in archives keep their owner.

    `scratch` gives an empty directory on demand. Raises StepError and ContextError with the instruction's place.
    """
    _check(request)
    adder = _Adder(request, SourceTree.of_context(context), scratch, sink)
    with destination_of(adder.copy, root, scratch) as destination:
        for source in adder.copy.sources:
            adder.add(source, destination)
        place_documents(adder.copy, destination, scratch)


def _check(request: AddRequest) -> None:
    if not request.checksum:
        return
    location = request.copy.location
    if len(request.copy.sources) != 1:
        raise StepError("--checksum cannot be given for several sources", location=location)
    if not is_remote(request.copy.sources[0]):
        raise StepError("--checksum needs a source that is a URL or a git repository", location=location)


class _Adder:
    def __init__(self, request: AddRequest, tree: SourceTree, scratch: Callable[[], str], sink: Sink) -> None:
        self.copy = replace(request.copy, owner=request.copy.owner or _ROOT, attributes=False)
        self._request = request
        self._tree = tree
        self._scratch = scratch
        self._sink = sink

    def add(self, source: str, destination: Destination) -> None:
        """Add what one source names."""
        if is_remote(source):
            folder = self._scratch()
            try:
                fetch = self._add_repository if is_git_url(source) else self._add_download
                fetch(source, folder, destination)
            finally:
                remove_tree(folder)
        elif self._request.unpack is False:
            copy_source(self.copy, self._tree, source, destination)
        else:
            for found in self._tree.find(source):
                self._add_found(found, destination)

    def _add_found(self, found: Found, destination: Destination) -> None:
        if os.path.isfile(found.host) and is_archive(found.host):
            self._unpack(found, destination)
            return
        choose = self._tree.choose(found, (), self.copy.excludes)
        place(found, destination, replace(destination.rules, choose=choose))

    def _add_download(self, url: str, folder: str, destination: Destination) -> None:
        fetched = download(url, folder, self._sink, checksum=self._request.checksum)
        found = Found(f"/{file_name(url)}", fetched.path)
        if self._request.unpack and is_archive(fetched.path):
            self._unpack(found, destination)
        else:
            place(found, destination, destination.rules, contents=False)

    def _add_repository(self, url: str, folder: str, destination: Destination) -> None:
        from executor.context.git import clone

        source = _as_asked(parse_git_url(url), self._request)
        top = clone(source, folder, self._sink).folder
        choose = SourceTree(top).choose(Found("/", top), (), self.copy.excludes)
        place(Found("/", top), destination, replace(destination.rules, choose=choose), contents=False)

    def _unpack(self, found: Found, destination: Destination) -> None:
        """Unpack an archive into the destination, always a directory; links in it lead nowhere outside of that."""
        replace(destination, mode=0o755).make(destination.path)
        directories = Directories(resolve(destination.root, destination.path), open_resolved)
        try:
            with (
                open(found.host, "rb", buffering=0) as file,
                closing(open_archive(cast("BinaryIO", file))) as plain,
            ):
                writer = TreeWriter(directories, squash=gives_nothing_away())
                for entry, content in read_entries(plain):
                    self._write(_owned(entry, self._request.copy.owner), content, directories, writer)
                writer.finish()
        except ImageError as error:
            raise StepError(f"cannot unpack {found.path}: {error.message}") from error
        finally:
            directories.close()

    @staticmethod
    def _write(entry: LayerEntry, content: TarContent, directories: Directories, writer: TreeWriter) -> None:
        if not entry.name:  # an archive's own directory changes nothing about the destination
            return
        folder, _, name = entry.name.rpartition("/")
        directories.trim()
        writer.write(entry, content, directories.get(folder), name)


def _as_asked(source: GitSource, request: AddRequest) -> GitSource:
    """The repository of an ADD with what its flags say. Raises StepError where URL and flags contradict."""
    keep, location = request.keep_git_dir, request.copy.location
    if keep is not None and source.keep_git_dir not in (None, keep):
        raise StepError("--keep-git-dir and keep-git-dir in the URL contradict each other", location=location)
    if request.checksum and source.commit not in ("", request.checksum):
        message = f"--checksum={request.checksum} and the commit {source.commit} in the URL contradict each other"
        raise StepError(message, location=location)
    return replace(
        source,
        keep_git_dir=source.keep_git_dir if keep is None else keep,
        commit=request.checksum or source.commit,
    )


def _owned(entry: LayerEntry, owner: tuple[int, int] | None) -> LayerEntry:
    """The entry with the owner that --chown gives, else its own."""
    return replace(entry, uid=owner[0], gid=owner[1]) if owner else entry
