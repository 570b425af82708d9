"""The difference between two states of a root filesystem, as a driver hands it to the layer writer."""

from __future__ import annotations

from collections.abc import Iterator
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


class Changes(Protocol):
    """What a step changed, in layer order: parents before children, names sorted bytewise within a directory,
    whiteouts of a directory before its other entries, a hardlink after the file it names.

    Empty when nothing changed. May be iterated once, before the root changes again.
    """

    def __iter__(self) -> Iterator[Change]:
        """Yield every change."""
