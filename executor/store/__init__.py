"""The session's content store: blobs by digest, unpacked layers, working folders."""

from executor.store.blobs import BlobStore, BlobWriter
from executor.store.layout import Store, default_home
from executor.store.prune import allowance, has_room, prune, usual_size
from executor.store.unpacked import UnpackedLayers
from executor.store.unpushed import Unpushed, UnpushedImages

__all__ = [
    "BlobStore",
    "BlobWriter",
    "Store",
    "UnpackedLayers",
    "Unpushed",
    "UnpushedImages",
    "allowance",
    "default_home",
    "prune",
    "has_room",
    "usual_size",
]
