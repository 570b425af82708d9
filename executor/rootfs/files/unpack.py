"""Layers into directories, as their tar streams pass.

    apply_layer           onto a tree that holds the layers below: whiteouts remove (chroot, difficult layers)
    unpack_overlay_layer  alone, into a directory that overlayfs will stack: whiteouts become character devices
                          0:0, opaque directories get the attribute `<namespace>.overlay.opaque`

Whiteout rules are those of the OCI image spec (layer.md): they hide lower layers only, whatever comes first.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from typing import BinaryIO, Literal, NoReturn, Protocol, TypeAlias

from executor.errors import ImageError, StepError, UnfitError
from executor.image.layer import OPAQUE_WHITEOUT, WHITEOUT_PREFIX, EntryType, LayerEntry
from executor.image.tarread import TarContent, read_entries
from executor.rootfs.files.directories import Directories, Directory, open_isolated, open_resolved
from executor.rootfs.files.treewriter import TreeWriter, is_directory
from executor.rootfs.kernel.namespaces import Privilege, current_privilege

_AUFS_PREFIX = ".wh..wh."
_FULL = (errno.ENOSPC, errno.EDQUOT)
_FAULTS_OF_THE_LAYER = (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.ENOENT, errno.EISDIR, errno.EINVAL)
_NOT_IN_THIS_LAYER = (errno.ENOENT, errno.ELOOP, errno.ENOTDIR)
XattrNamespace = Literal["trusted", "user"]
Entries: TypeAlias = Iterable[tuple[LayerEntry, TarContent]]
"""What `read_entries` yields."""


class NeedsLowerLayersError(Exception):
    """The layer cannot be unpacked alone: it names, or links to, what is only in a layer below. Not for users."""


def apply_layer(stream: BinaryIO, root: str, *, squash: bool = False) -> bool:
    """Apply the layer tar `stream` to the tree at `root`, which holds the layers below it.

    Parents that no layer names are made 0755 and owned by root; links in parents are followed inside the root.
    Returns whether the layer describes the root directory itself. Raises ImageError for a malformed layer or one
    that tries to leave the root, UnfitError when this machine cannot hold it.
    """
    return apply_entries(read_entries(stream), root, squash=squash)


def apply_entries(entries: Entries, root: str, *, squash: bool = False) -> bool:
    """Apply some or all entries of a layer to the tree at `root`; see `apply_layer`."""
    directories = Directories(root, open_resolved)
    try:
        writer = TreeWriter(directories, squash=squash)
        return _unpack(entries, directories, writer, _Applied(directories, writer))
    finally:
        directories.close()


def unpack_overlay_layer(
    stream: BinaryIO, directory: str, *, namespace: XattrNamespace = "trusted", squash: bool = False
) -> bool:
    """Unpack the layer tar `stream` alone into the empty `directory`, in overlayfs's form.

    Returns whether the layer describes the root directory itself. Raises NeedsLowerLayersError when it must be
    applied to a mount of the layers below it instead, and the errors of `apply_layer`.
    """
    directories = Directories(directory, open_isolated)
    try:
        writer = TreeWriter(directories, squash=squash)
        rules = _Isolated(directories, writer, f"{namespace}.overlay.opaque")
        return _unpack(read_entries(stream), directories, writer, rules)
    except ImageError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno in _NOT_IN_THIS_LAYER:
            raise NeedsLowerLayersError from error
        raise
    finally:
        directories.close()


class _Rules(Protocol):
    """What an entry and the two kinds of whiteouts do to the tree."""

    def place(self, entry: LayerEntry, content: TarContent, parent: Directory, name: str) -> None:
        """Make an entry."""

    def hide(self, parent: Directory, name: str) -> None:
        """Hide what lower layers have as `name`."""

    def hide_siblings(self, parent: Directory) -> None:
        """Hide all that lower layers have in `parent`."""


def _unpack(entries: Entries, directories: Directories, writer: TreeWriter, rules: _Rules) -> bool:
    described = False
    for entry, content in entries:
        if not entry.name:
            _check_root(entry)
            writer.describe_root(entry)
            described = True
            continue
        if entry.name.startswith(_AUFS_PREFIX) and entry.name != OPAQUE_WHITEOUT:
            continue  # what aufs kept for itself
        folder, _, name = entry.name.rpartition("/")
        try:
            directories.trim()
            parent = directories.get(folder)
            if not name.startswith(WHITEOUT_PREFIX):
                rules.place(entry, content, parent, name)
            elif name == OPAQUE_WHITEOUT:
                rules.hide_siblings(parent)
            else:
                rules.hide(parent, _hidden_name(entry, name))
        except OSError as error:
            _explain(error, entry)
        except StepError as error:
            raise ImageError(f"the layer has /{entry.name}, which cannot be made: {error.message}") from error
    writer.finish()
    return described


def _check_root(entry: LayerEntry) -> None:
    if entry.type is not EntryType.DIRECTORY:
        raise ImageError("the layer has a root that is not a directory")


def _hidden_name(entry: LayerEntry, name: str) -> str:
    hidden = name.removeprefix(WHITEOUT_PREFIX)
    if hidden in ("", ".", ".."):
        raise ImageError(f"the layer has a whiteout of nothing: /{entry.name}")
    return hidden


def _explain(error: OSError, entry: LayerEntry) -> NoReturn:
    if error.errno in _FULL:
        raise UnfitError(
            f"no space left to unpack /{entry.name}", hint="free some, or name another disk in KRUNNER_HOME"
        ) from error
    if error.errno == errno.EINVAL and current_privilege() is Privilege.USER_NAMESPACE:
        raise UnfitError(
            f"cannot give /{entry.name} to {entry.uid}:{entry.gid}: the user namespace has no such id",
            hint="give this user a larger range in /etc/subuid and /etc/subgid, or build as root",
        ) from error
    if error.errno in _FAULTS_OF_THE_LAYER:
        raise ImageError(f"the layer has /{entry.name}, which cannot be made: {error.strerror}") from error
    raise UnfitError(f"cannot unpack /{entry.name} here: {error.strerror}") from error


class _Applied:
    """A layer onto the layers below it. Its own entries are not hidden by it: `written` has their names by
    directory, a slash after each, until somebody asks.
    """

    def __init__(self, directories: Directories, writer: TreeWriter) -> None:
        self._directories = directories
        self._writer = writer
        self._written: dict[str, bytearray] = {}
        self._asked: dict[str, set[bytes]] = {}
        self._parents: set[str] = {""}

    def place(self, entry: LayerEntry, content: TarContent, parent: Directory, name: str) -> None:
        self._writer.write(entry, content, parent, name)
        path = parent.path
        written = self._written.get(path)
        if written is None:
            written = self._written[path] = bytearray()
        written += name.encode("utf-8", "surrogateescape") + b"/"
        while path not in self._parents:
            self._parents.add(path)
            path = path.rpartition("/")[0]

    def hide(self, parent: Directory, name: str) -> None:
        path = parent.child(name)
        try:
            directory = is_directory(parent, name)
        except FileNotFoundError:
            return
        if path not in self._parents and not self._is_written(parent.path, name):
            self._writer.remove(parent, name)
        elif directory:
            self.hide_siblings(self._directories.get(path))

    def hide_siblings(self, parent: Directory) -> None:
        for name in os.listdir(parent.descriptor):
            self.hide(parent, name)

    def _is_written(self, folder: str, name: str) -> bool:
        asked = self._asked.setdefault(folder, set())
        if written := self._written.get(folder):
            asked.update(bytes(written).split(b"/"))
            written.clear()
        return name.encode("utf-8", "surrogateescape") in asked


class _Isolated:
    """A layer alone: what it hides stays unknown and is written down in overlayfs's way."""

    def __init__(self, directories: Directories, writer: TreeWriter, opaque: str) -> None:
        self._directories = directories
        self._writer = writer
        self._opaque = opaque

    def place(self, entry: LayerEntry, content: TarContent, parent: Directory, name: str) -> None:
        """Make the entry; a directory in place of anything but a directory hides what is below."""
        hides = entry.type is EntryType.DIRECTORY and self._is_other(parent, name)
        self._writer.write(entry, content, parent, name)
        if hides:
            self._set_opaque(self._directories.get(parent.child(name)))

    def _is_other(self, parent: Directory, name: str) -> bool:
        try:
            return not is_directory(parent, name)
        except FileNotFoundError:
            return False

    def hide(self, parent: Directory, name: str) -> None:
        try:
            os.mknod(name, stat.S_IFCHR, 0, dir_fd=parent.descriptor)
        except FileExistsError:
            if is_directory(parent, name):
                self._set_opaque(self._directories.get(parent.child(name)))

    def hide_siblings(self, parent: Directory) -> None:
        if not parent.path:
            raise NeedsLowerLayersError  # overlayfs does not look for the attribute on the root
        self._set_opaque(parent)

    def _set_opaque(self, directory: Directory) -> None:
        os.setxattr(directory.descriptor, self._opaque, b"y")
