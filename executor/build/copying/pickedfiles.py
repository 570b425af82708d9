"""COPY --from an image without unpacking it: what the sources need is picked, once for all builds on the store."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from typing import BinaryIO

from executor.build.copying.copy import gives_nothing_away
from executor.build.copying.picking import UncertainError, pick
from executor.build.copying.wantedpaths import wanted_of
from executor.dockerfile.instructions import Copy
from executor.image.layer import Layer
from executor.store.unpacked import TREE, UnpackedLayers, new_tree


def picked_tree(
    unpacked: UnpackedLayers, layers: Sequence[Layer], open_layer: Callable[[Layer], BinaryIO], step: Copy
) -> str | None:
    """A directory that holds what `step` copies from an image, None when that cannot be had without the rest.

    It is the store's, for the next build that wants the same. Raises what opening a layer raises.
    """
    wanted = wanted_of(step, len(layers) - 1)
    if wanted is None:
        return None

    def fill(directory: str) -> None:
        tree = new_tree(directory)
        streams = [lambda layer=layer: open_layer(layer) for layer in layers]
        pick(streams, wanted, tree, scratch=directory, squash=gives_nothing_away())

    paths = sorted(f"{'/'.join(each.parts)}\0{each.literal}" for each in wanted)
    what = "\0".join([*(layer.diff_id for layer in layers), "", *paths, str(gives_nothing_away())])
    key = hashlib.sha256(what.encode("utf-8", "surrogateescape")).hexdigest()
    try:
        return os.path.join(unpacked.add(f"{key}-picked", fill), TREE)
    except UncertainError:
        return None
