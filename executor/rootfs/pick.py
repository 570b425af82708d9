"""A few files of an image out of its topmost layers: what lies below the layers that have them is not read.

Only what is certain is taken: regular files by their own names. Where links, whiteouts or a file of the same name
in another directory could mean something else, nothing is, and the whole image has to be unpacked.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import BinaryIO

from executor.image.layer import WHITEOUT_PREFIX, EntryType, LayerEntry
from executor.image.tarread import read_entries
from executor.rootfs.directories import Directories, open_resolved
from executor.rootfs.treewriter import TreeWriter


class UncertainError(Exception):
    """The files cannot be told from the layers' entries alone. Not for users."""


def pick_files(
    layers: Sequence[Callable[[], BinaryIO]], wanted: Iterable[str], tree: str, *, squash: bool = False
) -> None:
    """Bring the files `wanted` (names without a leading slash) into the empty directory `tree`.

    `layers` open the tars of an image, lowest first; they are read from the topmost down until all is found.
    Raises UncertainError when that does not come to an end, ImageError for a malformed layer.
    """
    missing = set(wanted)
    directories = Directories(tree, open_resolved)
    try:
        writer = TreeWriter(directories, squash=squash)
        for open_layer in reversed(layers):
            if missing:
                with open_layer() as stream:
                    missing -= _pick(stream, missing, directories, writer)
        if missing:
            raise UncertainError
        writer.finish()
    finally:
        directories.close()


def _pick(stream: BinaryIO, missing: set[str], directories: Directories, writer: TreeWriter) -> set[str]:
    """Take the missing files that one layer has; which those are.

    The tar is read to its end in any case: that is where it is checked, and kept for who unpacks all of it.
    """
    names, parents = {os.path.basename(path) for path in missing}, _parents(missing)
    found: set[str] = set()
    uncertain = False
    for entry, content in read_entries(stream):
        folder, _, name = entry.name.rpartition("/")
        if entry.name in missing and entry.type is EntryType.FILE:
            writer.write(entry, content, directories.get(folder), name)
            found.add(entry.name)
        elif _is_uncertain(entry, name, names, parents):
            uncertain = True
    if uncertain:
        raise UncertainError
    return found


def _is_uncertain(entry: LayerEntry, name: str, names: set[str], parents: set[str]) -> bool:
    """Whether the entry may be another way to a missing file, or hide one: by its name or by what leads to it."""
    folder = entry.name.rpartition("/")[0]
    if name.startswith(WHITEOUT_PREFIX):
        return folder in parents
    leads_there = entry.name in parents and entry.type is not EntryType.DIRECTORY
    return leads_there or name in names


def _parents(paths: Iterable[str]) -> set[str]:
    found = {""}
    for path in paths:
        while path := path.rpartition("/")[0]:
            found.add(path)
    return found
