"""Makes the entries of a layer in a directory tree: the hot loop of unpacking.

Every call works on a descriptor of the parent directory and never follows a link in the last component, so nothing
a layer says can reach outside of the root. Directories get their times last.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from executor.errors import ImageError
from executor.image.layer import EntryType, LayerEntry
from executor.image.tarread import TarContent
from executor.removal import remove
from executor.rootfs.files.directories import Directories, Directory
from executor.rootfs.kernel.namespaces import Privilege, current_privilege

_CHUNK = 256 * 1024
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NODES = {
    EntryType.CHARACTER_DEVICE: stat.S_IFCHR,
    EntryType.BLOCK_DEVICE: stat.S_IFBLK,
    EntryType.FIFO: stat.S_IFIFO,
}
OVERLAY_XATTRS = ("trusted.overlay.", "user.overlay.")
_PRIVILEGED_XATTRS = ("trusted.", "security.", "system.")


class TreeWriter:
    """Writes entries below the root of `directories`.

    `squash` is for processes that may not give files away: owners are not set, device nodes are left out,
    privileged attributes too, and what is written stays readable and writable for its owner.
    """

    def __init__(self, directories: Directories, *, squash: bool = False) -> None:
        self._directories = directories
        self._squash = squash
        self._owner = (os.geteuid(), os.getegid())
        masked = umask()
        self._explicit_bits = 0o7000 | (0o777 if masked is None else masked)
        self._directory_times: dict[str, int] = {}

    def write(self, entry: LayerEntry, content: TarContent, parent: Directory, name: str) -> None:
        """Make `entry` as `name` in `parent`, in place of what is there (a directory is kept for a directory)."""
        make = self._make_directory if entry.type is EntryType.DIRECTORY else self._make
        try:
            make(entry, content, parent, name)
        except FileExistsError:
            if entry.type is EntryType.DIRECTORY and is_directory(parent, name):
                self._change_directory(entry, parent, name)
            else:
                self.remove(parent, name)
                make(entry, content, parent, name)

    def describe_root(self, entry: LayerEntry) -> None:
        """Give the root the owner, mode, attributes and time of `entry`."""
        root = self._directories.root.descriptor
        _strip_xattrs(root)
        self._describe(entry, root)
        self._directory_times[""] = entry.mtime_ns

    def remove(self, parent: Directory, name: str) -> None:
        """Remove `name` and all below it."""
        mode = os.lstat(name, dir_fd=parent.descriptor).st_mode
        if not stat.S_ISDIR(mode):
            os.unlink(name, dir_fd=parent.descriptor)
            if not stat.S_ISLNK(mode):
                return  # no path leads through it
        else:
            remove(f"/proc/self/fd/{parent.descriptor}/{name}")
            gone = parent.child(name)
            for path in [path for path in self._directory_times if f"{path}/".startswith(f"{gone}/")]:
                del self._directory_times[path]
        self._directories.stale = True

    def finish(self) -> None:
        """Set the times of directories, now that nothing is made in them any more."""
        for path, mtime in sorted(self._directory_times.items()):
            self._directories.trim()
            parent, _, name = path.rpartition("/")
            descriptor = self._directories.get(parent).descriptor
            os.utime(name or ".", ns=(mtime, mtime), dir_fd=descriptor, follow_symlinks=False)

    def _make(self, entry: LayerEntry, content: TarContent, parent: Directory, name: str) -> None:
        kind = entry.type
        if kind is EntryType.FILE:
            self._make_file(entry, content, parent, name)
        elif kind is EntryType.HARDLINK:
            self._make_hardlink(entry, parent, name)
        elif kind is EntryType.SYMLINK:
            os.symlink(entry.link, name, dir_fd=parent.descriptor)
            self._describe_node(entry, parent, name)
        else:
            self._make_node(entry, parent, name)

    def _make_file(self, entry: LayerEntry, content: TarContent, parent: Directory, name: str) -> None:
        mode = self._mode(entry)
        descriptor = os.open(name, _CREATE, mode & 0o777, dir_fd=parent.descriptor)
        try:
            while content.left:
                _write_all(descriptor, content.read(_CHUNK))
            owned = not self._squash and (parent.inherits_group or (entry.uid, entry.gid) != self._owner)
            if owned:
                os.fchown(descriptor, entry.uid, entry.gid)
            if mode & self._explicit_bits:
                os.fchmod(descriptor, mode)
            if entry.xattrs:
                self._set_xattrs(descriptor, entry.xattrs)
            os.utime(descriptor, ns=(entry.mtime_ns, entry.mtime_ns))
        finally:
            os.close(descriptor)

    def _make_directory(self, entry: LayerEntry, _content: TarContent, parent: Directory, name: str) -> None:
        mode = self._mode(entry)
        os.mkdir(name, mode & 0o777, dir_fd=parent.descriptor)
        plain = (entry.uid, entry.gid) == self._owner and not mode & self._explicit_bits and not entry.xattrs
        if not plain or parent.inherits_group:
            self._open_and_describe(entry, parent, name)
        self._directory_times[parent.child(name)] = entry.mtime_ns

    def _change_directory(self, entry: LayerEntry, parent: Directory, name: str) -> None:
        """A directory entry for one that exists: its content stays, all else becomes the entry's."""
        self._open_and_describe(entry, parent, name, strip=True)
        self._directory_times[parent.child(name)] = entry.mtime_ns
        self._directories.stale = True  # its setgid bit may be another now

    def _open_and_describe(self, entry: LayerEntry, parent: Directory, name: str, *, strip: bool = False) -> None:
        descriptor = os.open(name, _OPEN_DIRECTORY, dir_fd=parent.descriptor)
        try:
            if strip:
                _strip_xattrs(descriptor)
            self._describe(entry, descriptor)
        finally:
            os.close(descriptor)

    def _describe(self, entry: LayerEntry, descriptor: int) -> None:
        if not self._squash:
            os.fchown(descriptor, entry.uid, entry.gid)
        os.fchmod(descriptor, self._mode(entry))
        self._set_xattrs(descriptor, entry.xattrs)

    def _make_hardlink(self, entry: LayerEntry, parent: Directory, name: str) -> None:
        folder, _, target = entry.link.rpartition("/")
        source = self._directories.get(folder)
        if (source.descriptor, target) == (parent.descriptor, name):
            raise ImageError(f"the layer has /{entry.name} as a hard link to itself")
        try:
            os.link(
                target,
                name,
                src_dir_fd=source.descriptor,
                dst_dir_fd=parent.descriptor,
                follow_symlinks=False,
            )
        except PermissionError:
            raise ImageError(f"the layer links /{entry.name} to the directory /{entry.link}") from None

    def _make_node(self, entry: LayerEntry, parent: Directory, name: str) -> None:
        mode = self._mode(entry)
        try:
            os.mknod(name, _NODES[entry.type] | mode, os.makedev(*entry.device), dir_fd=parent.descriptor)
        except PermissionError:
            if entry.type is not EntryType.FIFO and current_privilege() is not Privilege.ROOT:
                return  # as containerd does in a user namespace: the image keeps it, this tree cannot
            raise
        self._describe_node(entry, parent, name)

    def _describe_node(self, entry: LayerEntry, parent: Directory, name: str) -> None:
        descriptor = parent.descriptor
        if not self._squash and (parent.inherits_group or (entry.uid, entry.gid) != self._owner):
            os.chown(name, entry.uid, entry.gid, dir_fd=descriptor, follow_symlinks=False)
        if entry.type is not EntryType.SYMLINK:
            os.chmod(name, self._mode(entry), dir_fd=descriptor)
        for attribute, value in entry.xattrs.items():
            self._set_xattr(f"/proc/self/fd/{descriptor}/{name}", attribute, value, follow=False)
        os.utime(name, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=descriptor, follow_symlinks=False)

    def _mode(self, entry: LayerEntry) -> int:
        if not self._squash:
            return entry.mode
        return entry.mode | (0o700 if entry.type is EntryType.DIRECTORY else 0o600)

    def _set_xattrs(self, descriptor: int, xattrs: Mapping[str, bytes]) -> None:
        for attribute, value in xattrs.items():
            self._set_xattr(descriptor, attribute, value)

    def _set_xattr(self, target: int | str, attribute: str, value: bytes, *, follow: bool = True) -> None:
        """Set an attribute where the file system can hold it (as containerd); overlay's own are never taken."""
        if attribute.startswith(OVERLAY_XATTRS) or (self._squash and attribute.startswith(_PRIVILEGED_XATTRS)):
            return
        try:
            os.setxattr(target, attribute, value, follow_symlinks=follow)
        except OSError as error:
            if error.errno != errno.ENOTSUP:
                raise


def is_directory(parent: Directory, name: str) -> bool:
    """True when `name` in `parent` is a directory and no link to one."""
    return stat.S_ISDIR(os.lstat(name, dir_fd=parent.descriptor).st_mode)


def _write_all(descriptor: int, data: bytes) -> None:
    written = os.write(descriptor, data)
    while written < len(data):
        written += os.write(descriptor, data[written:])


def _strip_xattrs(descriptor: int) -> None:
    try:
        names = os.listxattr(descriptor)
    except OSError:
        return
    for name in names:
        if not name.startswith((*OVERLAY_XATTRS, "system.", "security.selinux")):
            os.removexattr(descriptor, name)


def umask(root: str = "/") -> int | None:
    """This process's umask, read without changing it: other threads may make files. None where /proc is not there.

    `root` is another than `/` in tests only.
    """
    try:
        status = Path(root, "proc/self/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    match = re.search(r"^Umask:\s*([0-7]+)", status, re.MULTILINE)
    return int(match[1], 8) if match else None
