"""What was written into layers since a tree was made, which no other tree has like that.

    names     usr/share/doc  ->  "app/readme"     names of the entries, with slashes between them
    digests   usr/bin/awk    ->  16 bytes         of a link, a device or a FIFO: what describes it but its time

A regular file whose ctime moved after it was written counts as changed, as nobody knows its bytes any more: of it
the name is enough.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from executor.dataclass import dataclass, field
from executor.image.layer import EntryType, LayerEntry
from executor.snapshot.index import Index

_SELF_EXPLAINING = (EntryType.FILE, EntryType.DIRECTORY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """Entries by the directory they are in."""

    names: Mapping[str, str] = field(default_factory=dict)
    digests: Mapping[str, bytes] = field(default_factory=dict)

    def names_in(self, folder: str) -> frozenset[str]:
        """The names of those in a directory."""
        return frozenset(self.names.get(folder, "").split("/"))

    def is_as_written(self, entry: LayerEntry) -> bool:
        """Whether the link, device or FIFO was written as it is, its time aside."""
        return self.digests.get(entry.name) == _digest(entry)


class Writing:
    """Gathers what one step writes, to be added to what was written `before`."""

    def __init__(self, before: Written) -> None:
        self._before = before
        self._names: dict[str, str] = dict(before.names)
        self._digests: dict[str, bytes] = dict(before.digests)

    def add_entry(self, entry: LayerEntry) -> None:
        """Note what an entry is like."""
        if entry.type not in _SELF_EXPLAINING:
            self._digests[entry.name] = _digest(entry)

    def add_names(self, folder: str, names: list[str], listing: str) -> None:
        """Note names in a directory, sorted as in its `listing`, which is shared when they are all of it."""
        if not names:
            return
        joined = "/".join(names)
        if joined != listing and (before := self._before.names.get(folder)):
            joined = "/".join({**dict.fromkeys(before.split("/")), **dict.fromkeys(names)})
        self._names[folder] = listing if joined == listing else joined

    def done(self, index: Index) -> Written:
        """All that was written and may still be there; `index` is of the tree as it is now."""
        names = {folder: names for folder, names in self._names.items() if folder in index.listings}
        return Written(names=names, digests=self._digests)


def _digest(entry: LayerEntry) -> bytes:
    attributes = sorted(entry.xattrs.items())
    described = (entry.type.value, entry.mode, entry.uid, entry.gid, entry.link, entry.device, attributes)
    return hashlib.blake2b(repr(described).encode(), digest_size=16).digest()
