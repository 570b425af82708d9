"""Copies a file or a tree into a root with `cp -a` semantics, as COPY and ADD need them.

What happens to owners, modes, times, links and to what is already there follows BuildKit's copier (copy/copy.go
of tonistiigi/fsutil). Work goes directory by directory from a list: depth costs neither stack nor descriptors.
"""

from __future__ import annotations

import enum
import errno
import os
import stat
from collections.abc import Callable
from typing import Self

from executor.dataclass import dataclass, field
from executor.removal import remove
from executor.rootfs.files.filecontent import copy_content

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_DRIVERS_OWN = ("trusted.overlay.", "user.overlay.")
_REFUSED_ATTRIBUTE = frozenset({errno.ENOTSUP, errno.EPERM, errno.EACCES, errno.EINVAL})


class Choice(enum.Enum):
    """What becomes of a path below the source. For what is not a directory, all but TAKE mean SKIP."""

    TAKE = enum.auto()
    SKIP = enum.auto()
    IF_NEEDED = enum.auto()  # a directory that is copied as soon as something inside of it is
    PARENT = enum.auto()  # the same, and one that exists in the target keeps its owner


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyRules:
    """How a copy differs from its source.

    `owner` is (uid, gid), None to keep the source's. `mode` takes the source's st_mode and gives the permission
    bits, None keeps the source's. `choose` takes a path relative to the source and whether it is a directory.
    `replace` lets what is copied take the place of something of another type; without `attributes` extended ones
    are left out.
    """

    owner: tuple[int, int] | None = None
    mode: Callable[[int], int] | None = None
    choose: Callable[[str, bool], Choice] | None = None
    replace: bool = False
    attributes: bool = True


def copy_tree(source: str, target: str, rules: CopyRules) -> None:
    """Copy `source` (not followed when it is a link) to `target`, whose parent directory exists.

    A file replaces a file or a link, never a directory. A directory at `target` keeps its owner and mode, those
    below it take the source's. Hard links among what is copied are kept, sockets are left out. Raises OSError when
    something in the target is in the way or a file system refuses; file names in it may be those of this machine.
    """
    info = os.lstat(source)
    copier = _Copier(rules)
    if stat.S_ISDIR(info.st_mode):
        copier.copy_directories(_Directory(source, target, info))
        return
    place = _Directory(os.path.dirname(source), os.path.dirname(target), info, made=True)
    with _Descriptors(place) as descriptors:
        copier.copy_node(_Node(os.path.basename(source), os.path.basename(target), info, place), descriptors)


@dataclass(slots=True)
class _Directory:
    """A directory to copy. `made`: it is there in the target; `fresh`: by this copy, so nothing else is in it."""

    source: str
    target: str
    info: os.stat_result
    path: str = ""
    parent: _Directory | None = None
    choice: Choice = Choice.TAKE
    made: bool = False
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class _Node:
    """What is not a directory: its name in the source and in the target, and where it is."""

    name: str
    target_name: str
    info: os.stat_result
    place: _Directory

    @property
    def source(self) -> str:
        return os.path.join(self.place.source, self.name)

    @property
    def target(self) -> str:
        return os.path.join(self.place.target, self.target_name)


class _Descriptors:
    """The descriptors of a directory in the source and, from its first use on, in the target."""

    def __init__(self, place: _Directory) -> None:
        self._place = place
        self._target = -1

    def __enter__(self) -> Self:
        self.source = os.open(self._place.source, _DIRECTORY)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.source)
        if self._target >= 0:
            os.close(self._target)

    @property
    def target(self) -> int:
        if self._target < 0:
            self._target = os.open(self._place.target, _DIRECTORY)
        return self._target


@dataclass(slots=True)
class _Copier:
    rules: CopyRules
    links: dict[tuple[int, int], str] = field(default_factory=dict)
    times: list[_Directory] = field(default_factory=list)

    def copy_directories(self, top: _Directory) -> None:
        """Copy `top` and all below it; directories get their times last, when nothing touches them any more."""
        self._make(top)
        waiting = [top]
        while waiting:
            waiting += self._copy_entries(waiting.pop())
        for place in reversed(self.times):
            os.utime(place.target, ns=(place.info.st_atime_ns, place.info.st_mtime_ns))

    def _copy_entries(self, place: _Directory) -> list[_Directory]:
        """Copy what is in a directory but for its own directories; these are returned."""
        below: list[_Directory] = []
        with _Descriptors(place) as descriptors:
            for name in sorted(os.listdir(descriptors.source)):  # entries of scandir would keep what stat says
                info = os.lstat(name, dir_fd=descriptors.source)
                is_directory = stat.S_ISDIR(info.st_mode)
                path = f"{place.path}/{name}" if place.path else name
                choice = self.rules.choose(path, is_directory) if self.rules.choose else Choice.TAKE
                if is_directory and choice is not Choice.SKIP:
                    below.append(_below(place, name, info, choice))
                elif choice is Choice.TAKE:
                    self._make(place)
                    self.copy_node(_Node(name, name, info, place), descriptors)
        for directory in below:
            if directory.choice is Choice.TAKE:
                self._make(directory)
        return below

    def _make(self, place: _Directory) -> None:
        """See that a directory, and those above that waited for it, are in the target."""
        if place.made:
            return
        if place.parent:
            self._make(place.parent)
        place.made = True
        place.fresh = self._make_or_find(place)
        if place.fresh or (place.parent and place.choice is not Choice.PARENT):
            self._describe(place.source, place.target, place.info)
        elif place.parent:
            os.chmod(place.target, stat.S_IMODE(place.info.st_mode))
            return
        self.times.append(place)

    def _make_or_find(self, place: _Directory) -> bool:
        """True when the directory was made, False when there was one."""
        try:
            os.mkdir(place.target, 0o700)
        except FileExistsError:
            if stat.S_ISDIR(os.lstat(place.target).st_mode):
                return False
            if not self.rules.replace:
                what = "a directory cannot be copied over what is no directory"
                raise NotADirectoryError(errno.ENOTDIR, what, place.target) from None
            os.unlink(place.target)
            os.mkdir(place.target, 0o700)
        return True

    def copy_node(self, node: _Node, descriptors: _Descriptors) -> None:
        """Copy a file, link, fifo or device over whatever has its name in the target."""
        kind = stat.S_IFMT(node.info.st_mode)
        if kind == stat.S_IFSOCK:
            return
        if not node.place.fresh:
            self._clear(node, descriptors.target)
        if kind != stat.S_IFDIR and self._linked(node, descriptors.target):
            return
        if kind == stat.S_IFREG:
            self._copy_file(node, descriptors)
            return
        if kind == stat.S_IFLNK:
            link = os.readlink(node.name, dir_fd=descriptors.source)
            os.symlink(link, node.target_name, dir_fd=descriptors.target)
        else:
            os.mknod(node.target_name, kind | 0o600, node.info.st_rdev, dir_fd=descriptors.target)
        self._describe(node.source, node.target, node.info)
        times = (node.info.st_atime_ns, node.info.st_mtime_ns)
        os.utime(node.target_name, ns=times, dir_fd=descriptors.target, follow_symlinks=False)

    def _clear(self, node: _Node, target: int) -> None:
        try:
            found = os.stat(node.target_name, dir_fd=target, follow_symlinks=False)
        except FileNotFoundError:
            return
        if not stat.S_ISDIR(found.st_mode):
            os.unlink(node.target_name, dir_fd=target)
        elif self.rules.replace:
            remove(f"/proc/self/fd/{target}/{node.target_name}")
        else:
            raise IsADirectoryError(errno.EISDIR, "a directory cannot be replaced by a file", node.target)

    def _linked(self, node: _Node, target: int) -> bool:
        """True when the file is another name of one copied before, and was linked to it."""
        if node.info.st_nlink < 2 or not stat.S_ISREG(node.info.st_mode):
            return False
        first = self.links.setdefault((node.info.st_dev, node.info.st_ino), node.target)
        if first == node.target:
            return False
        os.link(first, node.target_name, dst_dir_fd=target, follow_symlinks=False)
        return True

    def _copy_file(self, node: _Node, descriptors: _Descriptors) -> None:
        info = node.info
        source = os.open(node.name, _READ, dir_fd=descriptors.source)
        try:
            target = os.open(node.target_name, _CREATE, 0o600, dir_fd=descriptors.target)
            try:
                if info.st_size:
                    copy_content(source, target, info)
                os.fchown(target, *(self.rules.owner or (info.st_uid, info.st_gid)))
                os.fchmod(target, self._mode(info))
                if self.rules.attributes:
                    _copy_attributes(source, target)
                os.utime(target, ns=(info.st_atime_ns, info.st_mtime_ns))
            finally:
                os.close(target)
        finally:
            os.close(source)

    def _describe(self, source: str, target: str, info: os.stat_result) -> None:
        """Set owner, mode and attributes of what is not a regular file."""
        os.chown(target, *(self.rules.owner or (info.st_uid, info.st_gid)), follow_symlinks=False)
        if not stat.S_ISLNK(info.st_mode):
            os.chmod(target, self._mode(info))  # after the owner: a change of owner clears setuid and setgid
        if self.rules.attributes:
            _copy_attributes(source, target)

    def _mode(self, info: os.stat_result) -> int:
        return self.rules.mode(info.st_mode) if self.rules.mode else stat.S_IMODE(info.st_mode)


def _below(place: _Directory, name: str, info: os.stat_result, choice: Choice) -> _Directory:
    path = f"{place.path}/{name}" if place.path else name
    source, target = os.path.join(place.source, name), os.path.join(place.target, name)
    return _Directory(source, target, info, path, place, choice)


def _copy_attributes(source: int | str, target: int | str) -> None:
    """Copy extended attributes, security.capability among them; those that the target cannot have are left out."""
    follow = isinstance(source, int)
    try:
        names = os.listxattr(source, follow_symlinks=follow)
    except OSError as error:
        if error.errno not in _REFUSED_ATTRIBUTE:
            raise
        return
    for name in names:
        if name.startswith(_DRIVERS_OWN):
            continue
        try:
            os.setxattr(target, name, os.getxattr(source, name, follow_symlinks=follow), follow_symlinks=follow)
        except OSError as error:
            if error.errno not in _REFUSED_ATTRIBUTE:
                raise
