"""An image of docker's own form made one that registries take: a manifest, layers that are compressed.

Docker's form names neither: what it does say, the configuration's diff IDs, is checked.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterator
from typing import BinaryIO

from executor.errors import ImageError, UnfitError
from executor.image import mediatypes
from executor.image.archiveread import Archive, SavedImage
from executor.image.compression import decompress, gzip_compressor
from executor.image.descriptor import Descriptor
from executor.image.digest import Digest
from executor.image.manifest import Manifest
from executor.image.verified import BUFFER, verified

_KINDS = ((b"\x1f\x8b", mediatypes.OCI_LAYER_GZIP), (b"\x28\xb5\x2f\xfd", mediatypes.OCI_LAYER_ZSTD))


class ConvertedImage:
    """The image `saved` of `archive`; layers that are not compressed are, into files in the folder that `scratch`
    makes. Equal archives give equal digests, on every machine. Raises ImageError when a layer is not what the
    configuration says, UnfitError when the folder cannot be written.
    """

    def __init__(self, archive: Archive, saved: SavedImage, scratch: Callable[[], str]) -> None:
        self._archive = archive
        self._scratch = scratch
        self._openers: dict[Digest, Callable[[], BinaryIO]] = {}
        with archive.open(saved.config) as stream:
            digest, size = _digest(_pieces(stream))
        config = Descriptor(mediatypes.OCI_CONFIG, digest, size)
        self._openers[digest] = lambda: archive.open(saved.config)
        diff_ids = _diff_ids(archive, saved)
        layers = tuple(map(self._layer, saved.layers, diff_ids))
        self.document = Manifest(config=config, layers=layers).to_bytes()
        self.descriptor = Descriptor.of(mediatypes.OCI_MANIFEST, self.document)

    def open(self, descriptor: Descriptor) -> BinaryIO:
        """The manifest, configuration or layer that `descriptor` names, checked."""
        if descriptor.digest == self.descriptor.digest:
            return io.BytesIO(self.document)
        return verified(self._openers[descriptor.digest](), descriptor)

    def _layer(self, name: str, diff_id: Digest) -> Descriptor:
        with self._archive.open(name) as stream:
            magic = stream.read(4)
        kind = next((kind for start, kind in _KINDS if magic.startswith(start)), "")
        return self._compressed(name, kind, diff_id) if kind else self._compress(name, diff_id)

    def _compressed(self, name: str, media_type: str, diff_id: Digest) -> Descriptor:
        with decompress(self._archive.open(name)) as stream:
            self._check(name, _digest(_pieces(stream))[0], diff_id)
        with self._archive.open(name) as stream:
            digest, size = _digest(_pieces(stream))
        self._openers[digest] = lambda: self._archive.open(name)
        return Descriptor(media_type, digest, size)

    def _compress(self, name: str, diff_id: Digest) -> Descriptor:
        content = hashlib.sha256()
        try:
            path = os.path.join(self._scratch(), f"{diff_id.hex}.gz")
            with self._archive.open(name) as stream, open(path, "wb") as file:
                file.writelines(_gzipped(_pieces(stream), content.update))
            self._check(name, Digest.from_hex(content.hexdigest()), diff_id)
            with open(path, "rb") as file:
                digest, size = _digest(_pieces(file))
        except OSError as error:
            hint = "another one can be named in TMPDIR"
            raise UnfitError(
                f"cannot compress a layer in the folder for temporary files: {error}", hint=hint
            ) from error
        self._openers[digest] = lambda: open(path, "rb")  # noqa: SIM115 - whoever asked for it closes it
        return Descriptor(mediatypes.OCI_LAYER_GZIP, digest, size)

    def _check(self, name: str, found: Digest, expected: Digest) -> None:
        if found != expected:
            raise ImageError(
                f"{name} in {self._archive.path} is damaged: the layer should be {expected} and is {found}"
            )


def _diff_ids(archive: Archive, saved: SavedImage) -> tuple[Digest, ...]:
    document = archive.document(saved.config)
    try:
        diff_ids = tuple(Digest.parse(text) for text in document["rootfs"]["diff_ids"] or ())
    except (KeyError, TypeError) as error:
        raise ImageError(f"{saved.config} in {archive.path} is malformed: {error!r}") from error
    if len(diff_ids) != len(saved.layers):
        raise ImageError(
            f"{archive.path} is malformed: {len(saved.layers)} layers where the configuration has {len(diff_ids)}"
        )
    return diff_ids


def _pieces(stream: BinaryIO) -> Iterator[bytes]:
    while piece := stream.read(BUFFER):
        yield piece


def _gzipped(pieces: Iterator[bytes], see: Callable[[bytes], None]) -> Iterator[bytes]:
    compressor = gzip_compressor(reproducible=True)
    for piece in pieces:
        see(piece)
        yield compressor.compress(piece)
    yield compressor.flush()


def _digest(pieces: Iterator[bytes]) -> tuple[Digest, int]:
    content, size = hashlib.sha256(), 0
    for piece in pieces:
        content.update(piece)
        size += len(piece)
    return Digest.from_hex(content.hexdigest()), size
