"""The state of a tree at one time: what lstat says of every path, packed directory by directory.

    listings   usr/bin  ->  names  "[/addr2line/apt"       in bytewise order, which is that of layers
                            facts  48 bytes for each name

A file takes its name and 48 bytes. A directory in which nothing changed compares at once with what it was, and
shares its memory. Taking an index costs about 3 microseconds a path: one lstat. ctime changes with every change of
an inode and cannot be set, so it closes the holes that comparing mtimes leaves.
"""

from __future__ import annotations

import os
import stat
import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from executor.dataclass import dataclass, field
from executor.snapshot.entries import xattrs_of
from executor.snapshot.ignore import IgnoredPaths

_LONGEST_TICK_NS = 20_000_000  # the coarsest step of the clock that file systems take their times from
_COARSE_CLOCK = 5  # CLOCK_REALTIME_COARSE of clock_gettime(2), that very clock
_PAUSE = 0.0005
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_TYPE = 0o170000
_PACKED = struct.Struct("=qqqQIIII")
_KIND = struct.Struct("=32xI8xI")  # of what is packed: mode and links


class Facts(NamedTuple):
    """What is compared first. Times are nanoseconds; `links` is how many names the inode has."""

    ctime: int
    mtime: int
    size: int
    inode: int
    mode: int
    uid: int
    gid: int
    links: int

    @property
    def is_dated(self) -> bool:
        """Whether `mtime` is the entry's own: one out of all bounds is the nearest that can be packed."""
        return _EARLIEST < self.mtime < _LATEST


_EARLIEST, _LATEST = -(1 << 63), (1 << 63) - 1
"""What can be packed, in ns: the years 1677 to 2262. Some file systems keep others, and any file may claim one."""

_facts = partial(tuple.__new__, Facts)


def facts_of(status: os.stat_result) -> Facts:
    """The facts in an lstat result."""
    return Facts(
        status.st_ctime_ns,
        _bounded(status.st_mtime_ns),
        status.st_size,
        status.st_ino,
        status.st_mode,
        status.st_uid,
        status.st_gid,
        status.st_nlink,
    )


def _bounded(mtime: int) -> int:
    return min(max(mtime, _EARLIEST), _LATEST)


class Listing(NamedTuple):
    """What is in one directory: names with slashes between them, bytewise sorted, and the facts of each."""

    names: str
    facts: bytes

    def split(self) -> list[str]:
        """The names."""
        return self.names.split("/") if self.names else []

    def all_facts(self) -> Iterator[Facts]:
        """The facts, in the order of the names."""
        return map(_facts, _PACKED.iter_unpack(self.facts))

    def kinds(self) -> Iterator[tuple[int, int]]:
        """Of each name the mode, and how many names the inode has."""
        return _KIND.iter_unpack(self.facts)

    def facts_at(self, place: int) -> Facts:
        """The facts of the name at `place`."""
        return Facts._make(_PACKED.unpack_from(self.facts, place * _PACKED.size))

    def with_facts(self, facts: Mapping[str, Facts]) -> Listing:
        """With other facts for some of the names; of names that are not here nothing is taken."""
        packed = bytearray(self.facts)
        for place, name in enumerate(self.split()):
            if name in facts:
                _PACKED.pack_into(packed, place * _PACKED.size, *facts[name])
        return Listing(self.names, bytes(packed))

    def only(self, wanted: Callable[[str], bool]) -> Listing:
        """The part whose names are `wanted`; the same when all are."""
        names = self.split()
        places = [place for place, name in enumerate(names) if wanted(name)]
        if len(places) == len(names):
            return self
        size = _PACKED.size
        facts = (self.facts[place * size : (place + 1) * size] for place in places)
        return Listing("/".join(names[place] for place in places), b"".join(facts))


NOTHING = Listing("", b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """The facts of a tree: of its root, and the listing of every directory by its entry name ('' is the root).

    `linked` are directories with files that have several names. An index without anything is that of no tree.
    """

    top: Facts | None = None
    listings: Mapping[str, Listing] = field(default_factory=dict)
    linked: frozenset[str] = field(default=frozenset(), compare=False)

    def get(self, name: str) -> Facts | None:
        """The facts of an entry, None when there is none. To be asked for a few: all of a directory is read."""
        if not name:
            return self.top
        folder, _, base = name.rpartition("/")
        listing = self.listings.get(folder, NOTHING)
        names = listing.split()
        return listing.facts_at(names.index(base)) if base in names else None

    def with_facts(self, facts: Mapping[str, Facts]) -> Index:
        """With other facts for entries that are here."""
        by_folder: dict[str, dict[str, Facts]] = {}
        for name, now in facts.items():
            folder, _, base = name.rpartition("/")
            if base:
                by_folder.setdefault(folder, {})[base] = now
        changed = {folder: self.listings[folder].with_facts(those) for folder, those in by_folder.items()}
        top = facts.get("", self.top)
        return Index(top=top, listings={**self.listings, **changed}, linked=self.linked)

    def without(self, ignored: IgnoredPaths) -> Index:
        """Without what is ignored, and all below it."""
        if not ignored:
            return self
        listings = {
            folder: listing.only(lambda name, folder=folder: join(folder, name) not in ignored)  # type: ignore[misc]
            for folder, listing in self.listings.items()
            if not _is_ignored(folder, ignored)
        }
        return Index(top=self.top, listings=listings, linked=self.linked.intersection(listings))


def take_index(root: str, ignore: IgnoredPaths, before: Index | None = None) -> Index:
    """The facts of everything in `root` but for what is ignored. Directories as in `before` share its memory.

    When something changed within the last tick of the file system's clock, waits for the next one: a later change
    in the same tick would leave the same times. Raises OSError.
    """
    known = before.listings if before else {}
    listings: dict[str, Listing] = {}
    linked: list[str] = []
    waiting = [""]
    newest, top = 0, None
    while waiting:
        here = waiting.pop()
        folder = _open_directory(root, here)
        try:
            if not here:
                top = facts_of(os.fstat(folder))
                newest = top.ctime
            found = _Found(f"{here}/" if here else "", ignore)
            listing = found.look(folder)
        finally:
            os.close(folder)
        old = known.get(here, NOTHING)
        if old.names == listing.names:
            listing = old if old.facts == listing.facts else Listing(old.names, listing.facts)
        listings[here] = listing
        newest = max(newest, found.newest)
        waiting += found.directories
        if found.linked:
            linked.append(here)
    await_next_tick(newest)
    return Index(top=top, listings=listings, linked=frozenset(linked))


class _Found:
    """What a look into a directory finds: directories (entry names), the latest ctime, whether files have several
    names.
    """

    __slots__ = ("_ignore", "_prefix", "directories", "linked", "newest")

    def __init__(self, prefix: str, ignore: IgnoredPaths) -> None:
        self._prefix = prefix
        self._ignore = ignore
        self.directories: list[str] = []
        self.linked = False
        self.newest = 0

    def look(self, folder: int) -> Listing:
        """The listing of the directory open as `folder`."""
        pack, lstat, prefix = _PACKED.pack, os.lstat, self._prefix
        names = self._names(folder)
        facts = bytearray()
        newest = 0
        for name in names:
            status = lstat(name, dir_fd=folder)  # of a descriptor: it looks up one name only
            ctime, mode, links = status.st_ctime_ns, status.st_mode, status.st_nlink
            mtime = status.st_mtime_ns
            if not _EARLIEST <= mtime <= _LATEST:
                mtime = _bounded(mtime)
            facts += pack(
                ctime,
                mtime,
                status.st_size,
                status.st_ino,
                mode,
                status.st_uid,
                status.st_gid,
                links,
            )
            if ctime > newest:  # noqa: PLR1730 - max() would be one more call for each
                newest = ctime
            if mode & _TYPE == stat.S_IFDIR:
                self.directories.append(prefix + name)
            elif links > 1:
                self.linked = True
        self.newest = newest
        return Listing("/".join(names), bytes(facts))

    def _names(self, folder: int) -> list[str]:
        names = os.listdir(folder)
        if self._ignore:
            names = [name for name in names if self._prefix + name not in self._ignore]
        names.sort(key=None if "".join(names).isascii() else os.fsencode)
        return names


def differences(before: Index, now: Index) -> Iterator[tuple[str, Facts | None, Facts | None]]:
    """Every entry that only one of two indexes has, or whose facts are others, with the facts in both.

    Directories come in no certain order; what is gone from one comes before what is there.
    """
    if before.top != now.top:
        yield "", before.top, now.top
    for folder in changed_folders(before, now):
        for name, old, new in paired(before.listings.get(folder, NOTHING), now.listings.get(folder, NOTHING)):
            if old != new:
                yield join(folder, name), old, new


def changed_folders(before: Index, now: Index) -> Iterator[str]:
    """The directories whose listings are not the same, those that are gone or new among them."""
    for folder, listing in before.listings.items():
        new = now.listings.get(folder)
        if new is not listing and new != listing:
            yield folder
    for folder in now.listings:
        if folder not in before.listings:
            yield folder


def paired(before: Listing, now: Listing) -> Iterator[tuple[str, Facts | None, Facts | None]]:
    """The names in two listings of a directory with the facts in both: those that are gone, then the rest."""
    names = now.split()
    if before.names == now.names:
        yield from zip(names, before.all_facts(), now.all_facts(), strict=True)
        return
    old_names = before.split()
    old_keys, keys = _keys(old_names), _keys(names)
    for place, there in enumerate(_places(old_keys, keys)):
        if there is None:
            yield old_names[place], before.facts_at(place), None
    for name, facts, old_place in zip(names, now.all_facts(), _places(keys, old_keys), strict=True):
        yield name, None if old_place is None else before.facts_at(old_place), facts


def _places(keys: Sequence[str], others: Sequence[str]) -> Iterator[int | None]:
    """Where each of `keys` is in `others`, None for nowhere. Both are sorted."""
    place, count = 0, len(others)
    for key in keys:
        while place < count and others[place] < key:
            place += 1
        yield place if place < count and others[place] == key else None


def _keys(names: Sequence[str]) -> Sequence[str]:
    """`names`, which are sorted bytewise, in a form whose characters are in the order of the bytes."""
    if all(map(str.isascii, names)):
        return names
    return [os.fsencode(name).decode("latin-1") for name in names]


def await_next_tick(moment_ns: int) -> None:
    """Return when what changes from now on gets a later time than `moment_ns`."""
    while not is_past(moment_ns):
        time.sleep(_PAUSE)


def is_past(moment_ns: int) -> bool:
    """Whether what changes from now on gets a later time than `moment_ns`."""
    return not 0 <= moment_ns - time.clock_gettime_ns(_COARSE_CLOCK) <= _LONGEST_TICK_NS


def attributes_of(root: str, index: Index) -> Mapping[str, Mapping[str, bytes]]:
    """The extended attributes of those directories of the tree at `root` that have any, by name."""
    found = ((name, xattrs_of(os.path.join(root, name))) for name in index.listings)
    return {name: attributes for name, attributes in found if attributes}


def join(folder: str, name: str) -> str:
    """The entry name of `name` in a directory."""
    return f"{folder}/{name}" if folder else name


def _open_directory(root: str, name: str) -> int:
    return os.open(os.path.join(root, name) if name else root, _DIRECTORY)


def _is_ignored(folder: str, ignored: IgnoredPaths) -> bool:
    while folder:
        if folder in ignored:
            return True
        folder = folder.rpartition("/")[0]
    return False
