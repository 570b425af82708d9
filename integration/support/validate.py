"""Does an image hold together: blobs as the manifest says, layers as the configuration says?"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import BinaryIO

from executor.errors import ImageError
from executor.image.compression import decompress
from executor.image.config import ImageConfig, config_from_bytes
from executor.image.descriptor import Descriptor
from executor.image.digest import Digest
from executor.image.manifest import Manifest
from executor.image.verified import BUFFER, verified


def validate_image(manifest: Manifest, config: bytes, open_blob: Callable[[Descriptor], BinaryIO]) -> ImageConfig:
    """Check an image from end to end, reading every layer once; return its configuration.

    `open_blob` gives the raw bytes of a layer. Raises ImageError at the first fault: a digest or size that is not
    the content's, a diff ID that is not the layer's, or counts of layers, diff IDs and history that differ.
    """
    if Descriptor.of("", config).digest != manifest.config.digest or len(config) != manifest.config.size:
        raise ImageError(f"the configuration is not the {manifest.config.digest} of the manifest")
    parsed = config_from_bytes(config)
    _check_counts(manifest, parsed)
    for position, (layer, diff_id) in enumerate(zip(manifest.layers, parsed.diff_ids, strict=True), start=1):
        found = _diff_id(layer, diff_id.algorithm, open_blob)
        if found != diff_id:
            raise ImageError(f"layer {position}, {layer.digest}, unpacks to {found}, not to {diff_id}")
    return parsed


def _check_counts(manifest: Manifest, config: ImageConfig) -> None:
    layers, diff_ids = len(manifest.layers), len(config.diff_ids)
    if layers != diff_ids:
        raise ImageError(f"the image has {layers} layers but {diff_ids} diff IDs")
    described = sum(1 for entry in config.history if not entry.empty_layer)
    if config.history and described != layers:
        raise ImageError(f"the image has {layers} layers but a history of {described}")


def _diff_id(layer: Descriptor, algorithm: str, open_blob: Callable[[Descriptor], BinaryIO]) -> Digest:
    """The digest of the uncompressed layer; its compressed bytes are checked on the way."""
    content = hashlib.new(algorithm)
    with verified(open_blob(layer), layer) as raw, decompress(raw, layer.media_type) as tar:
        while piece := tar.read(BUFFER):
            content.update(piece)
        while not raw.closed and raw.read(BUFFER):
            pass  # what follows the compressed data belongs to the blob too
    return Digest.parse(f"{algorithm}:{content.hexdigest()}")
