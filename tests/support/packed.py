"""A layer's members by one process alone: what sharing the work must not change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from executor.build.layers.packing import Packer, unpacked
from executor.image.tar import Member
from executor.snapshot.changes import Change, Siblings


def members(changes: Iterable[Change | Siblings], packer: Packer) -> Iterator[Member]:
    """What the tar of `changes` is made of. Raises OSError for what cannot be looked at."""
    for found in changes:
        if isinstance(found, Change):
            yield found.entry, found.content
        else:
            yield from unpacked(packer.pack(found), found)
