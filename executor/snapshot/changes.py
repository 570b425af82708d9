"""The difference between two states of a root filesystem, as a driver hands it to the layer writer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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


class Changes(Protocol):
    """What a step changed, in layer order: parents before children, names sorted bytewise within a directory,
    whiteouts of a directory before its other entries, a hardlink after the file it names.

    Empty when nothing changed. May be iterated once, before the root changes again.
    """

    def __iter__(self) -> Iterator[Change]:
        """Yield every change."""
