"""COPY --from an image without unpacking it: where the sources are single files, only what has them is read."""

from __future__ import annotations

import hashlib
import os
import posixpath
from collections.abc import Callable, Sequence
from typing import BinaryIO

from executor.build.copy import gives_nothing_away
from executor.dockerfile.instructions import Copy
from executor.dockerfile.wildcard import has_wildcards
from executor.image.layer import Layer
from executor.rootfs.pick import UncertainError, pick_files
from executor.store import UnpackedLayers

_TREE = "fs"


def files_of(step: Copy) -> tuple[str, ...] | None:
    """The sources of `step` as names without a leading slash; None when they may be more than single files."""
    if step.parents or any(has_wildcards(source) or source.endswith(("/", "/.")) for source in step.sources):
        return None
    names = tuple(posixpath.normpath(f"/{source}").lstrip("/") for source in step.sources)
    return names if names and all(names) else None


def picked_tree(
    unpacked: UnpackedLayers,
    layers: Sequence[Layer],
    open_layer: Callable[[Layer], BinaryIO],
    names: Sequence[str],
) -> str | None:
    """A directory that holds the files `names` of an image, None when they cannot be had without the rest.

    It is the store's, for the next build that wants the same. Raises what opening a layer raises.
    """

    def fill(directory: str) -> None:
        tree = os.path.join(directory, _TREE)
        os.mkdir(tree, 0o755)
        streams = [lambda layer=layer: open_layer(layer) for layer in layers]
        pick_files(streams, names, tree, squash=gives_nothing_away())

    what = "\0".join([*(layer.diff_id for layer in layers), "", *sorted(names), str(gives_nothing_away())])
    key = hashlib.sha256(what.encode("utf-8", "surrogateescape")).hexdigest()
    try:
        return os.path.join(unpacked.add(f"{key}-picked", fill), _TREE)
    except UncertainError:
        return None
