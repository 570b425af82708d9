"""The difference between two states of a root filesystem, as a driver hands it to the layer writer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from executor.dataclass import dataclass
from executor.image.layer import LayerEntry


@dataclass(frozen=True, slots=True)
class Change:
    """One path of a layer: an entry and, for a file with content, the path on disk to read it from.

    Whiteouts are entries too (empty files of mode 0 whose last name part starts with `.wh.`).
    """

    entry: LayerEntry
    content: str = ""


@dataclass(frozen=True, slots=True)
class Siblings:
    """Files of the directory `path` that follow each other in a layer, by `names`. Nobody has looked at them yet.

    `folder` comes before their names in the layer: that of the directory and a slash. Most are plain, which is one
    link and no attributes: all such are changes, and their owner is 0:0 with `squash`. `change` looks at any of
    them, None is no change; to be asked in order, and not of plain ones. It raises OSError.
    """

    path: bytes
    folder: bytes
    names: Sequence[bytes]
    change: Callable[[bytes], Change | None]
    squash: bool = False


MOST_SIBLINGS = 128
"""So many are given at once at most, for whoever reads them holds them in memory."""


class Changes(Protocol):
    """What a step changed, in layer order: parents before children, names sorted bytewise within a directory,
    whiteouts of a directory before its other entries, a hardlink after the file it names.

    Empty when nothing changed. May be asked for once, in one of the two ways, before the root changes again.
    """

    def __iter__(self) -> Iterator[Change]:
        """Yield every change."""

    def grouped(self) -> Iterator[Change | Siblings]:
        """The same changes, most files as `Siblings`."""


def singly(found: Iterable[Change | Siblings]) -> Iterator[Change]:
    """Every change by itself. Raises OSError for what cannot be looked at."""
    for each in found:
        if isinstance(each, Change):
            yield each
        else:
            yield from filter(None, map(each.change, each.names))
