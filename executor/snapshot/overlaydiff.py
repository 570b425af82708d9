"""Changes from the upper directory of an overlay: the cost follows what changed, not what exists.

    character device 0:0                 the name is deleted        ->  .wh.NAME, if a lower layer has it
    <namespace>.overlay.opaque = y       the directory replaces     ->  .wh..wh..opq, if a lower layer has it
    <namespace>.overlay.origin           copied up from below       ->  a change only if anything differs
    anything else                        made or changed

A directory that differs in its time alone is no change of its own, as in BuildKit; it stands in the layer as the
parent of what changed below it. Mounts are made with redirect_dir, metacopy and index off: they would hide facts.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from functools import partial
from operator import attrgetter
from typing import TypeAlias

from executor.dataclass import dataclass, replace
from executor.image.layer import OPAQUE_WHITEOUT, WHITEOUT_PREFIX, EntryType, LayerEntry
from executor.snapshot.changes import MOST_SIBLINGS, Change, Siblings, singly
from executor.snapshot.entries import describe, same_content
from executor.snapshot.ignore import IgnoredPaths

_BY_NAME = attrgetter("name")
_Listed: TypeAlias = "os.DirEntry[bytes] | list[bytes]"
"""What a directory has: an entry, or the names of files that follow each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay:
    """Where the parts of an overlay are. `lowers` has the topmost first; `namespace` is that of its attributes."""

    upper: str
    lowers: Sequence[str]
    namespace: str = "trusted"


@dataclass(slots=True)
class _Open:
    """A directory being walked; `owed` is its own change while nothing below it has changed and only that counts.

    Directories are held in a list, so that depth costs no stack.
    """

    name: str
    lowers: list[str]
    entries: Iterator[_Listed]
    owed: Change | None = None


class OverlayDiff:
    """The changes in `overlay.upper`; satisfies `snapshot.changes.Changes`.

    `root` is the root directory's entry before the changes. A walk fills `surplus` with the names of what lies in
    the upper directory but is as below (with all below them), and makes `complete` False when it leaves out
    something that is not: an ignored path or a socket. `finished` tells that a walk came to its end.
    """

    def __init__(
        self, overlay: Overlay, root: LayerEntry, *, ignore: IgnoredPaths | None = None, squash: bool = False
    ) -> None:
        self._overlay = overlay
        self._root = root
        self._ignore = ignore or IgnoredPaths()
        self._squash = squash
        self._links: dict[tuple[int, int], str] = {}
        self.surplus: list[str] = []
        self.complete = True
        self.finished = False

    def __iter__(self) -> Iterator[Change]:
        return singly(self.grouped())

    def grouped(self) -> Iterator[Change | Siblings]:
        """The same changes, most files as `Siblings`."""
        yield from self._walk()
        self.finished = True

    def is_empty(self) -> bool:
        """True when nothing changed; looks no further than the first change."""
        return next(iter(self), None) is None

    def _walk(self) -> Iterator[Change | Siblings]:
        upper = self._overlay.upper
        now = describe(upper, "", os.lstat(upper), squash=self._squash)
        if now and _timeless(now) != _timeless(self._root):
            yield Change(now)
        open_directories = [self._opened("", list(self._overlay.lowers))]
        while open_directories:
            here = open_directories[-1]
            listed = next(here.entries, None)
            if listed is None:
                open_directories.pop()
                if here.owed:
                    self.surplus.append(here.name)
            elif isinstance(listed, list):
                yield from self._files(listed, open_directories)
            else:
                changes, below = self._entry(listed, _child(here.name, os.fsdecode(listed.name)), here.lowers)
                if changes:
                    yield from _owed(open_directories)
                    yield from changes
                if below:
                    open_directories.append(below)

    def _opened(self, name: str, lowers: list[str], owed: Change | None = None) -> _Open:
        """The directory `name`, of which `lowers` are the merged parts; the names that are gone come first."""
        gone: list[_Listed] = []
        rest: list[_Listed] = []
        row: list[bytes] = []
        with os.scandir(os.fsencode(os.path.join(self._overlay.upper, name))) as entries:
            found = sorted(entries, key=_BY_NAME)
        for entry in found:
            if not entry.is_file(follow_symlinks=False):
                row = []
                (gone if _is_gone(entry) else rest).append(entry)
            elif self._ignore and _child(name, os.fsdecode(entry.name)) in self._ignore:
                self.complete = False
            elif row and len(row) < MOST_SIBLINGS:
                row.append(entry.name)
            else:
                row = [entry.name]
                rest.append(row)
        return _Open(name, lowers, iter(gone + rest), owed)

    def _files(self, names: list[bytes], open_directories: Sequence[_Open]) -> Iterator[Change | Siblings]:
        """What files of the innermost open directory are changes for; no siblings while it owes its own change."""
        here = open_directories[-1]
        folder = os.fsencode(here.name)
        look = partial(self._file_at, here)
        waiting = iter(names)
        while here.owed and (name := next(waiting, None)) is not None:
            if change := look(name):
                yield from _owed(open_directories)
                yield change
        if left := list(waiting):
            path = os.path.join(os.fsencode(self._overlay.upper), folder)
            yield Siblings(path, folder and folder + b"/", left, look, self._squash)

    def _hides(self, base: str, name: str, lowers: list[str]) -> bool:
        if name in self._ignore:
            self.complete = False
            return False
        if look_up(lowers, base, self._overlay.namespace)[0] is None:
            self.surplus.append(name)
            return False
        return True

    def _entry(
        self, entry: os.DirEntry[bytes], name: str, lowers: list[str]
    ) -> tuple[tuple[Change, ...], _Open | None]:
        """What an entry is a change for, and the directory that it is."""
        status = entry.stat(follow_symlinks=False)
        if is_whiteout(status):
            folder, _, own_name = name.rpartition("/")
            hidden = self._hides(own_name, name, lowers)
            return ((Change(_whiteout(folder, WHITEOUT_PREFIX + own_name)),) if hidden else ()), None
        path = os.fsdecode(entry.path)
        described = None if name in self._ignore else describe(path, name, status, squash=self._squash)
        if described is None:
            self.complete = False
        elif described.type is EntryType.DIRECTORY:
            return self._subdirectory(path, described, lowers)
        elif change := self._file(path, described, status, lowers):
            return (change,), None
        return (), None

    def _file_at(self, here: _Open, name: bytes) -> Change | None:
        """What the file `name` of a directory is a change for."""
        entry_name = _child(here.name, os.fsdecode(name))
        path = os.path.join(self._overlay.upper, entry_name)
        status = os.lstat(path)
        described = describe(path, entry_name, status, squash=self._squash)
        return self._file(path, described, status, here.lowers) if described else None

    def _file(self, path: str, entry: LayerEntry, status: os.stat_result, lowers: list[str]) -> Change | None:
        if status.st_nlink > 1:
            first = self._links.setdefault((status.st_dev, status.st_ino), entry.name)
            if first != entry.name:
                return Change(replace(entry, type=EntryType.HARDLINK, link=first, size=0, xattrs={}))
        elif self._is_copy(path, entry, lowers):
            self.surplus.append(entry.name)
            return None
        return Change(entry, path if entry.type is EntryType.FILE else "")

    def _subdirectory(self, path: str, entry: LayerEntry, lowers: list[str]) -> tuple[tuple[Change, ...], _Open]:
        visible, parts = look_up(lowers, entry.name.rpartition("/")[2], self._overlay.namespace)
        opaque = _has(path, f"{self._overlay.namespace}.overlay.opaque")
        below = [] if opaque else parts
        before = (
            describe(visible, entry.name, os.lstat(visible), squash=self._squash) if parts and visible else None
        )
        if before is not None and _timeless(before) == _timeless(entry) and not (opaque and parts):
            return (), self._opened(entry.name, below, owed=Change(entry))
        hiding = (Change(_whiteout(entry.name, OPAQUE_WHITEOUT)),) if opaque and parts else ()
        return (Change(entry), *hiding), self._opened(entry.name, below)

    def _is_copy(self, path: str, described: LayerEntry, lowers: list[str]) -> bool:
        """True for what was copied up and is as it was below."""
        if not lowers or not _has(path, f"{self._overlay.namespace}.overlay.origin"):
            return False
        visible, _ = look_up(lowers, described.name.rpartition("/")[2], self._overlay.namespace)
        if visible is None or described != describe(
            visible, described.name, os.lstat(visible), squash=self._squash
        ):
            return False
        return described.type is not EntryType.FILE or same_content(path, visible)


def look_up(lowers: Sequence[str], name: str, namespace: str) -> tuple[str | None, list[str]]:
    """What overlayfs shows for `name` in a directory merged from `lowers`, topmost first.

    Returns the path of the topmost part (None: nothing is there) and, for a directory, all the parts it is
    merged from.
    """
    visible: str | None = None
    parts: list[str] = []
    for lower in lowers:
        path = os.path.join(lower, name)
        try:
            status = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            continue
        if is_whiteout(status):
            break
        if not stat.S_ISDIR(status.st_mode):
            return (visible or path), parts
        visible = visible or path
        parts.append(path)
        if _has(path, f"{namespace}.overlay.opaque"):
            break
    return visible, parts


def is_whiteout(status: os.stat_result) -> bool:
    """True for overlayfs's mark of a deleted name."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def _is_gone(entry: os.DirEntry[bytes]) -> bool:
    return not entry.is_dir(follow_symlinks=False) and is_whiteout(entry.stat(follow_symlinks=False))


def _owed(directories: Sequence[_Open]) -> Iterator[Change]:
    """The changes of directories that stand in the layer for what is below them."""
    for directory in directories:
        if directory.owed:
            yield directory.owed
            directory.owed = None


def _child(name: str, child: str) -> str:
    return f"{name}/{child}" if name else child


def _timeless(entry: LayerEntry) -> LayerEntry:
    return replace(entry, mtime_ns=0)


def _whiteout(folder: str, name: str) -> LayerEntry:
    return LayerEntry(name=_child(folder, name), type=EntryType.FILE, mode=0)


def _has(path: str, attribute: str) -> bool:
    try:
        os.getxattr(path, attribute, follow_symlinks=False)
    except OSError:
        return False
    return True
