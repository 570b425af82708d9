"""Changes of a tree by comparing it with an index taken before.

    full  facts differ, and then the entry or its content does; content is read only where nothing else decides
    redo  size, mode, owner or mtime differ
    time  mtime differs (kaniko's --snapshot-mode; the last two can miss changes and are the user's choice)

A path whose ctime alone moved (a chown to the owner it has) is compared with a tree as the layers made it, which
is asked for only then; where that has no word on it any more, the path counts as changed: a layer too large is
better than one that lacks it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, partial
from itertools import pairwise
from typing import Literal, NamedTuple, TypeAlias

from executor.dataclass import dataclass, field, replace
from executor.image.layer import WHITEOUT_PREFIX, EntryType, LayerEntry
from executor.snapshot.changes import MOST_SIBLINGS, Change, Siblings, singly
from executor.snapshot.entries import describe, same_content, xattrs_of
from executor.snapshot.ignore import IgnoredPaths
from executor.snapshot.index import (
    NOTHING,
    Facts,
    Index,
    Listing,
    changed_folders,
    join,
    paired,
    take_index,
)
from executor.snapshot.written import Writing, Written

Mode = Literal["full", "redo", "time"]

_FOLDERS_IN_HAND = 32  # of which the names that were written are at hand
_Listed: TypeAlias = "tuple[str, Facts | None, Facts | None] | list[str]"
"""What a directory has: an entry, or the names of new files that follow each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A tree as it was: its index, and what is known of entries beyond their facts.

    `attributes` are those of directories that have any. `pristine` gives a tree that is as this one once was
    (None: there is none); `written` tells of the entries that were written into layers since, which the pristine
    tree does not have like that.
    """

    index: Index
    attributes: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict)
    pristine: Callable[[], str] | None = None
    written: Written = field(default_factory=Written)


class ScanDiff:
    """The changes of the tree at `root` since `baseline`; satisfies `snapshot.changes.Changes`.

    `squash` gives everything to 0:0. After a full walk `after` is the baseline for the next. Changes are found a
    directory at a time, while they are asked for.
    """

    def __init__(
        self,
        root: str,
        baseline: Baseline,
        *,
        mode: Mode = "full",
        ignore: IgnoredPaths | None = None,
        squash: bool = False,
    ) -> None:
        self._root = root
        self._before = baseline
        self._mode: Mode = mode
        self._ignore = ignore or IgnoredPaths()
        self._squash = squash
        self._written_in = lru_cache(_FOLDERS_IN_HAND)(baseline.written.names_in)
        self.after: Baseline | None = None

    def __iter__(self) -> Iterator[Change]:
        return singly(self.grouped())

    def grouped(self) -> Iterator[Change | Siblings]:
        """The same changes, the files of new directories as `Siblings`."""
        index = take_index(self._root, self._ignore, self._before.index)
        writing, attributes = Writing(self._before.written), dict(self._before.attributes)
        links: dict[int, str] = {}
        for found in _Walk(self._before.index, index, self._is_changed, writing):
            if isinstance(found, _Row):
                yield self._siblings(found)
                continue
            name, facts = found
            if facts is None:
                folder, _, base = name.rpartition("/")
                yield Change(
                    LayerEntry(name=join(folder, f"{WHITEOUT_PREFIX}{base}"), type=EntryType.FILE, mode=0)
                )
                continue
            entry = self._describe(name)
            if entry is None:
                continue
            writing.add_entry(entry)
            if entry.type is EntryType.DIRECTORY:
                attributes[name] = entry.xattrs
            yield self._change(entry, facts, links)
        self.after = replace(
            self._before,
            index=index,
            written=writing.done(index),
            attributes={name: those for name, those in attributes.items() if those},
        )

    def is_empty(self) -> bool:
        """True when nothing changed."""
        return next(iter(self), None) is None

    def _siblings(self, row: _Row) -> Siblings:
        folder = os.fsencode(row.folder)
        path = os.path.join(os.fsencode(self._root), folder)
        names = os.fsencode("/".join(row.names)).split(b"/")
        return Siblings(path, folder and folder + b"/", names, partial(self._file_at, row.folder), self._squash)

    def _file_at(self, folder: str, name: bytes) -> Change | None:
        entry = self._describe(join(folder, os.fsdecode(name)))
        return Change(entry, self._path(entry.name)) if entry else None

    def _change(self, entry: LayerEntry, facts: Facts, links: dict[int, str]) -> Change:
        if facts.links > 1 and entry.type is not EntryType.DIRECTORY:
            first = links.setdefault(facts.inode, entry.name)
            if first != entry.name:
                return Change(replace(entry, type=EntryType.HARDLINK, link=first, size=0, xattrs={}))
        return Change(entry, self._path(entry.name) if entry.type is EntryType.FILE else "")

    def _is_changed(self, name: str, before: Facts | None, now: Facts) -> bool:
        if stat.S_ISSOCK(now.mode):
            return False
        if before is None:
            return True
        match self._mode:
            case "full":
                return self._differs(name, before, now)
            case "redo":
                return _differs_in_facts(before, now)
            case "time":
                return before.mtime != now.mtime and not stat.S_ISDIR(now.mode)

    def _differs(self, name: str, before: Facts, now: Facts) -> bool:
        if (before.mode, before.uid, before.gid) != (now.mode, now.uid, now.gid):
            return True
        if stat.S_ISDIR(now.mode):
            return xattrs_of(self._path(name)) != self._before.attributes.get(name, {})
        if (before.mtime, before.size) != (now.mtime, now.size) or not now.is_dated:
            return True
        entry = self._describe(name)
        if entry is None:
            return True
        folder, _, base = name.rpartition("/")
        if base in self._written_in(folder):
            return entry.type is EntryType.FILE or not self._before.written.is_as_written(entry)
        return self._differs_from_pristine(entry)

    def _differs_from_pristine(self, entry: LayerEntry) -> bool:
        """Whether an entry is not, its time aside, what the tree once had; True when nobody knows."""
        if not self._before.pristine:
            return True
        path = os.path.join(self._before.pristine(), entry.name)
        try:
            old = describe(path, entry.name, os.lstat(path), squash=self._squash)
        except OSError:
            return True
        if old is None or replace(entry, mtime_ns=0) != replace(old, mtime_ns=0):
            return True
        return entry.type is EntryType.FILE and not same_content(self._path(entry.name), path)

    def _describe(self, name: str) -> LayerEntry | None:
        path = self._path(name)
        return describe(path, name, os.lstat(path), squash=self._squash)

    def _path(self, name: str) -> str:
        return os.path.join(self._root, name)


class _Row(NamedTuple):
    """New files with one name each that follow each other in the directory `folder`."""

    folder: str
    names: list[str]


class _Open:
    """A directory being walked, held in a list, so that depth costs no stack.

    `owed` are its facts while it is in no layer yet, which it has to be before anything in it. `written` are the
    names in it that are.
    """

    __slots__ = ("entries", "name", "owed", "written")

    def __init__(self, name: str, entries: Iterator[_Listed], owed: Facts | None) -> None:
        self.name = name
        self.entries = entries
        self.owed = owed
        self.written: list[str] = []


class _Walk:
    """The names of a layer with their facts, None for what is gone: parents first, names sorted bytewise within a
    directory, its deletions before its other entries. Files of a new directory come in rows.

    Only directories in which anything is other than it was are looked into. `is_changed` is asked about each entry
    whose facts are, and `writing` told of what is given.
    """

    def __init__(
        self,
        before: Index,
        now: Index,
        is_changed: Callable[[str, Facts | None, Facts], bool],
        writing: Writing,
    ) -> None:
        self._before = before
        self._now = now
        self._is_changed = is_changed
        self._writing = writing
        self._changed_inodes = self._find_changed_inodes()
        self._ways = self._find_ways()

    def __iter__(self) -> Iterator[tuple[str, Facts | None] | _Row]:
        before, now = self._before.top, self._now.top
        if now and before != now and self._is_changed("", before, now):
            yield "", now
        waiting = [self._opened("", None)] if "" in self._ways else []
        while waiting:
            here = waiting[-1]
            entry = next(here.entries, None)
            if entry is None:
                self._leave(waiting.pop())
                continue
            if isinstance(entry, list):
                yield from _owed(waiting)
                here.written += entry
                yield _Row(here.name, entry)
                continue
            name, old, new = entry
            path = join(here.name, name)
            changed = new is None or self._is_in_layer(path, old, new)
            if changed:
                if here.owed:  # else those above it are in the layer as well
                    yield from _owed(waiting)
                if new:
                    here.written.append(name)
                yield path, new
            if new and path in self._ways:
                waiting.append(self._opened(path, None if changed else new))

    def _opened(self, name: str, owed: Facts | None) -> _Open:
        before, now = self._before.listings.get(name, NOTHING), self._now.listings[name]
        return _Open(name, paired(before, now) if before.names else _all_new(now), owed)

    def _leave(self, here: _Open) -> None:
        self._writing.add_names(here.name, here.written, self._now.listings[here.name].names)

    def _is_in_layer(self, path: str, before: Facts | None, now: Facts) -> bool:
        if now.links > 1 and not stat.S_ISDIR(now.mode):
            return now.inode in self._changed_inodes
        return before != now and self._is_changed(path, before, now)

    def _find_changed_inodes(self) -> frozenset[int]:
        """Those with several names of which one is a change: then all of its names are in the layer."""
        return frozenset(
            now.inode
            for folder, name, before, now in self._linked()
            if before != now and self._is_changed(join(folder, name), before, now)
        )

    def _linked(self) -> Iterator[tuple[str, str, Facts | None, Facts]]:
        """Every file with several names: its directory, its name, its facts before and now."""
        for folder in self._now.linked:
            before, now = self._before.listings.get(folder, NOTHING), self._now.listings[folder]
            for name, old, new in paired(before, now):
                if new and new.links > 1 and not stat.S_ISDIR(new.mode):
                    yield folder, name, old, new

    def _find_ways(self) -> frozenset[str]:
        """The directories to look into, and those on the way to them."""
        found: set[str] = set()
        wanted = [folder for folder in changed_folders(self._before, self._now) if folder in self._now.listings]
        if self._changed_inodes:
            wanted += [folder for folder, _, _, now in self._linked() if now.inode in self._changed_inodes]
        for folder in wanted:
            way = folder
            while way not in found:
                found.add(way)
                way = way.rpartition("/")[0]
        return frozenset(found)


def _all_new(listing: Listing) -> Iterator[_Listed]:
    """What is in a directory that was empty, or was not there."""
    row: list[str] = []
    for place, (name, (mode, links)) in enumerate(zip(listing.split(), listing.kinds(), strict=True)):
        if stat.S_ISREG(mode) and links == 1:
            row.append(name)
            if len(row) == MOST_SIBLINGS:
                yield row
                row = []
            continue
        if row:
            yield row
            row = []
        yield name, None, listing.facts_at(place)
    if row:
        yield row


def _owed(waiting: list[_Open]) -> Iterator[tuple[str, Facts]]:
    """The directories that stand in the layer for what is in them."""
    for parent, here in pairwise(waiting):
        if here.owed:
            parent.written.append(here.name.rpartition("/")[2])
            yield here.name, here.owed
            here.owed = None


def _differs_in_facts(before: Facts, now: Facts) -> bool:
    if (before.mode, before.uid, before.gid) != (now.mode, now.uid, now.gid):
        return True
    return not stat.S_ISDIR(now.mode) and (before.mtime, before.size) != (now.mtime, now.size)
