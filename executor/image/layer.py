"""Layers: the entries of a layer tar as values, whiteout names, and the layers of an image as descriptor pairs.

Names of entries are relative, without a leading `./` or a trailing slash; the root directory is ''. Whiteouts are
those of the OCI image spec (layer.md): `.wh.NAME` hides NAME of lower layers, `.wh..wh..opq` all lower siblings.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence

from executor.dataclass import dataclass, field
from executor.image.descriptor import Descriptor
from executor.image.digest import Digest

WHITEOUT_PREFIX = ".wh."
OPAQUE_WHITEOUT = ".wh..wh..opq"


class EntryType(enum.Enum):
    """What an entry of a layer is; the values are tar's type flags."""

    FILE = b"0"
    HARDLINK = b"1"
    SYMLINK = b"2"
    CHARACTER_DEVICE = b"3"
    BLOCK_DEVICE = b"4"
    DIRECTORY = b"5"
    FIFO = b"6"


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerEntry:
    """One member of a layer tar, without its content.

    `mode` has the permission bits with setuid, setgid and sticky, not the file type. `mtime_ns` is nanoseconds
    since the epoch. `link` is the target of a symlink as it stands, or of a hardlink as an entry name. Names are
    str with surrogateescape for bytes that are not UTF-8. `xattrs` maps names to raw values.
    """

    name: str
    type: EntryType
    mode: int
    uid: int = 0
    gid: int = 0
    size: int = 0
    mtime_ns: int = 0
    link: str = ""
    device: tuple[int, int] = (0, 0)
    xattrs: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A layer of an image: the blob as registries hold it, and the digest of its uncompressed tar.

    `source` is `registry/repository` of a registry known to hold the blob, '' for a layer made here.
    """

    descriptor: Descriptor
    diff_id: Digest
    source: str = ""


def chain_ids(layers: Sequence[Layer]) -> list[Digest]:
    """The chain ID of each layer (OCI image spec, config.md): what it is together with all below it."""
    chain: list[Digest] = []
    for layer in layers:
        chain.append(Digest.of(f"{chain[-1]} {layer.diff_id}".encode()) if chain else layer.diff_id)
    return chain
