"""What a tree was like when it was made, and its record in a file beside it.

{"directories": 2, "attributes": {…}, "top": […]}     a line of JSON: attributes in hex, the facts of the root
12 12 96  usr/bin  [/addr2line  FACTS                 then the directories: three lengths of 4 bytes each, and
…                                                     the name, the names in it, and their facts
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import BinaryIO

from executor.dataclass import dataclass, field
from executor.replacing import replacing
from executor.snapshot.ignore import IgnoredPaths
from executor.snapshot.index import Facts, Index, Listing, attributes_of, take_index

RECORD = "made"
_LENGTHS = struct.Struct("<III")


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What a tree was like when it was made: facts of its entries, and attributes of the directories with any."""

    index: Index
    attributes: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict)

    @classmethod
    def of(cls, root: str) -> Made:
        """What the tree at `root` is like now. Raises OSError."""
        index = take_index(root, IgnoredPaths())
        return cls(index=index, attributes=attributes_of(root, index))


def write_record(folder: str, made: Made) -> None:
    """Put `made` beside the tree in `folder`. Raises OSError."""
    attributes = {
        name: {attribute: value.hex() for attribute, value in values.items()}
        for name, values in made.attributes.items()
    }
    listings = made.index.listings
    head = {"directories": len(listings), "attributes": attributes, "top": made.index.top}
    with replacing(os.path.join(folder, RECORD)) as file:
        file.write(json.dumps(head).encode() + b"\n")
        for name, listing in listings.items():
            parts = (_encoded(name), _encoded(listing.names), listing.facts)
            file.write(_LENGTHS.pack(*map(len, parts)))
            file.writelines(parts)


def read_record(folder: str) -> Made | None:
    """What lies beside the tree in `folder`, None when it cannot be read."""
    with (
        suppress(OSError, ValueError, TypeError, KeyError, AttributeError, struct.error, RecursionError),
        open(os.path.join(folder, RECORD), "rb") as file,
    ):
        head = json.loads(file.readline())
        attributes = {
            name: {attribute: bytes.fromhex(value) for attribute, value in values.items()}
            for name, values in head["attributes"].items()
        }
        listings = dict(_listings(file, head["directories"]))
        if len(listings) == head["directories"] and not file.read(1):
            return Made(index=Index(top=Facts(*head["top"]), listings=listings), attributes=attributes)
    return None


def _listings(file: BinaryIO, count: int) -> Iterator[tuple[str, Listing]]:
    """Raises ValueError or struct.error when the file ends too early."""
    for _ in range(count):
        lengths = _LENGTHS.unpack(file.read(_LENGTHS.size))
        name, names, facts = (file.read(length) for length in lengths)
        if (len(name), len(names), len(facts)) != lengths:
            raise ValueError("the record is cut off")
        yield _decoded(name), Listing(_decoded(names), facts)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _decoded(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
