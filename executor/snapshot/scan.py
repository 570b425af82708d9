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
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Literal

from executor.dataclass import dataclass, field, replace
from executor.image.layer import WHITEOUT_PREFIX, EntryType, LayerEntry
from executor.snapshot.changes import Change
from executor.snapshot.entries import describe, same_content, xattrs_of
from executor.snapshot.ignore import IgnoredPaths
from executor.snapshot.index import Facts, Index, take_index

Mode = Literal["full", "redo", "time"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A tree as it was: its index, and what is known of entries beyond their facts.

    `attributes` are those of directories that have any. `pristine` gives a tree that is as this one once was
    (None: there is none); `known` holds the entries that were written into layers since, which the pristine tree
    does not have like that.
    """

    index: Index
    attributes: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict)
    pristine: Callable[[], str] | None = None
    known: Mapping[str, LayerEntry] = field(default_factory=dict)


class ScanDiff:
    """The changes of the tree at `root` since `baseline`; satisfies `snapshot.changes.Changes`.

    `squash` gives everything to 0:0. After a full walk `after` is the baseline for the next.
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
        self.after: Baseline | None = None

    def __iter__(self) -> Iterator[Change]:
        index = take_index(self._root, self._ignore, self._before.index)
        changed = self._changed(index)
        gone = _topmost_gone(self._before.index, index)
        known = {name: entry for name, entry in self._before.known.items() if name in index}
        links: dict[int, str] = {}
        for name, is_gone in _in_layer_order(changed, gone):
            if is_gone:
                folder, _, base = name.rpartition("/")
                hiding = f"{folder}/{WHITEOUT_PREFIX}{base}".lstrip("/")
                yield Change(LayerEntry(name=hiding, type=EntryType.FILE, mode=0))
                continue
            entry = self._describe(name)
            if entry:
                known[name] = entry
                yield self._change(entry, index[name], links)
        self.after = replace(self._before, index=index, known=known)

    def is_empty(self) -> bool:
        """True when nothing changed."""
        return next(iter(self), None) is None

    def _change(self, entry: LayerEntry, facts: Facts, links: dict[int, str]) -> Change:
        if entry.type is EntryType.DIRECTORY:
            return Change(entry)
        first = links.setdefault(facts.inode, entry.name)
        if first != entry.name:
            return Change(replace(entry, type=EntryType.HARDLINK, link=first, size=0, xattrs={}))
        return Change(entry, os.path.join(self._root, entry.name) if entry.type is EntryType.FILE else "")

    def _changed(self, index: Index) -> set[str]:
        """The names of changed entries, with all names of a changed file that has several, without sockets."""
        differs: Callable[[str, Facts, Facts], bool] = {
            "full": self._differs,
            "redo": _differs_in_facts,
            "time": _differs_in_time,
        }[self._mode]
        before = self._before.index
        changed = {
            name
            for name, facts in index.items()
            if (old := before.get(name)) is not facts
            and not stat.S_ISSOCK(facts.mode)
            and (old is None or differs(name, old, facts))
        }
        return _with_links(changed, index)

    def _differs(self, name: str, before: Facts, now: Facts) -> bool:
        if (before.mode, before.uid, before.gid) != (now.mode, now.uid, now.gid):
            return True
        if stat.S_ISDIR(now.mode):
            return xattrs_of(os.path.join(self._root, name)) != self._old_attributes(name)
        if (before.mtime, before.size) != (now.mtime, now.size):
            return True
        entry, old = self._describe(name), self._old_entry(name)
        if entry is None or old is None:
            return True
        if replace(entry, mtime_ns=0) != replace(old, mtime_ns=0):
            return True
        return entry.type is EntryType.FILE and not self._has_pristine_content(name)

    def _old_attributes(self, name: str) -> Mapping[str, bytes]:
        """Those that the directory `name` had."""
        known = self._before.known.get(name)
        return known.xattrs if known else self._before.attributes.get(name, {})

    def _old_entry(self, name: str) -> LayerEntry | None:
        """What the baseline had as `name`, None when nobody knows."""
        if name in self._before.known:
            return self._before.known[name]
        if not self._before.pristine:
            return None
        path = os.path.join(self._before.pristine(), name)
        try:
            return describe(path, name, os.lstat(path), squash=self._squash)
        except OSError:
            return None

    def _has_pristine_content(self, name: str) -> bool:
        if name in self._before.known or not self._before.pristine:
            return False
        return same_content(os.path.join(self._root, name), os.path.join(self._before.pristine(), name))

    def _describe(self, name: str) -> LayerEntry | None:
        path = os.path.join(self._root, name)
        return describe(path, name, os.lstat(path), squash=self._squash)


def _differs_in_facts(_name: str, before: Facts, now: Facts) -> bool:
    if (before.mode, before.uid, before.gid) != (now.mode, now.uid, now.gid):
        return True
    return not stat.S_ISDIR(now.mode) and (before.mtime, before.size) != (now.mtime, now.size)


def _differs_in_time(_name: str, before: Facts, now: Facts) -> bool:
    return before.mtime != now.mtime and not stat.S_ISDIR(now.mode)


def _with_links(changed: set[str], index: Index) -> set[str]:
    inodes = {index[name].inode for name in changed if not stat.S_ISDIR(index[name].mode)}
    linked = (name for name, facts in index.items() if facts.inode in inodes and not stat.S_ISDIR(facts.mode))
    return changed.union(linked) if inodes else changed


def _topmost_gone(before: Index, after: Index) -> set[str]:
    """The names that are gone while the directory they were in is still one."""
    gone = set()
    for name in before:
        if name not in after:
            folder = after.get(name.rpartition("/")[0])
            if folder is not None and stat.S_ISDIR(folder.mode):
                gone.add(name)
    return gone


def _in_layer_order(changed: set[str], gone: set[str]) -> Iterator[tuple[str, bool]]:
    """Names with whether they are gone: parents first, a directory's deletions before its other entries."""
    children: defaultdict[str, set[tuple[bool, bytes, str]]] = defaultdict(set)
    for names, is_gone in ((gone, True), (changed, False)):
        for name in names:
            here, last = name, is_gone
            while here:
                folder, _, base = here.rpartition("/")
                children[folder].add((not last, os.fsencode(base), here))
                here, last = folder, False
    if "" in changed:
        yield "", False
    waiting = sorted(children[""], reverse=True)
    while waiting:
        kept, _, name = waiting.pop()
        yield name, not kept
        if kept and name in children:
            waiting += sorted(children[name], reverse=True)
