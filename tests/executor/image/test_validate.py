"""Validation finds each way in which an image may not hold together."""

from __future__ import annotations

import dataclasses
import io
from typing import BinaryIO

import pytest

from executor.errors import ImageError
from executor.image.config import config_from_bytes
from executor.image.descriptor import Descriptor
from executor.image.digest import Digest
from executor.image.validate import validate_image
from tests.support.images import SmallImage, small_image


def reconfigured(image: SmallImage, **changes: object) -> SmallImage:
    """`image` with a changed configuration and a manifest that fits it."""
    config = dataclasses.replace(config_from_bytes(image.config), **changes).to_bytes()  # type: ignore[arg-type]
    manifest = dataclasses.replace(image.manifest, config=Descriptor.of(image.manifest.config.media_type, config))
    return SmallImage(manifest=manifest, config=config, blobs=image.blobs)


def test_a_good_image_passes() -> None:
    image = small_image()
    assert validate_image(image.manifest, image.config, image.open) == config_from_bytes(image.config)


def test_an_image_without_history_passes() -> None:
    image = reconfigured(small_image(), history=())
    validate_image(image.manifest, image.config, image.open)


def test_another_configuration() -> None:
    image = small_image()
    with pytest.raises(ImageError, match="the configuration is not"):
        validate_image(image.manifest, image.config + b" ", image.open)


def test_counts_of_diff_ids_and_history() -> None:
    image = small_image()
    config = config_from_bytes(image.config)
    fewer = reconfigured(image, diff_ids=config.diff_ids[:1])
    with pytest.raises(ImageError, match="2 layers but 1 diff IDs"):
        validate_image(fewer.manifest, fewer.config, image.open)
    shorter = reconfigured(image, history=config.history[1:])
    with pytest.raises(ImageError, match="2 layers but a history of 1"):
        validate_image(shorter.manifest, shorter.config, image.open)


def test_a_diff_id_that_is_not_the_layers() -> None:
    image = small_image()
    diff_ids = config_from_bytes(image.config).diff_ids
    wrong = reconfigured(image, diff_ids=(diff_ids[0], Digest.of(b"else")))
    with pytest.raises(ImageError, match=f"layer 2, .* unpacks to {diff_ids[1]}"):
        validate_image(wrong.manifest, wrong.config, image.open)


@pytest.mark.parametrize(
    "damage", [lambda blob: blob[:-1], lambda blob: blob + b"x", lambda blob: b"x" * len(blob)]
)
def test_a_layer_that_is_not_its_digest(damage: object) -> None:
    image = small_image()

    def open_blob(descriptor: Descriptor) -> BinaryIO:
        return io.BytesIO(damage(image.blobs[descriptor.digest]))  # type: ignore[operator]

    with pytest.raises(ImageError):
        validate_image(image.manifest, image.config, open_blob)
