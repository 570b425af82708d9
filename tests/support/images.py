"""Small images made in memory, whole: layers as tars, configuration and manifest that fit them."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from executor.image import mediatypes
from executor.image.config import History, ImageConfig
from executor.image.descriptor import Descriptor
from executor.image.digest import Digest
from executor.image.manifest import Manifest
from executor.image.platform import Platform
from tests.support.fake_registry import FakeRegistry


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallImage:
    """An image and the bytes of all its blobs."""

    manifest: Manifest
    config: bytes
    blobs: Mapping[Digest, bytes]

    @property
    def descriptor(self) -> Descriptor:
        return Descriptor.of(self.manifest.media_type, self.manifest.to_bytes())

    def open(self, descriptor: Descriptor) -> BinaryIO:
        return io.BytesIO(self.blobs[descriptor.digest])

    def put(self, registry: FakeRegistry, repository: str, tag: str) -> SmallImage:
        """Have the image in a registry."""
        registry.blobs[repository].update({str(digest): blob for digest, blob in self.blobs.items()})
        registry.add_manifest(repository, tag, self.manifest.media_type, self.manifest.to_bytes())
        return self


def small_image(layers: Sequence[bytes] = (b"one", b"two"), platform: str = "linux/amd64") -> SmallImage:
    """An image with a gzip layer for each of `layers`, which is the content of its only file."""
    tars = [_tar(content) for content in layers]
    compressed = [gzip.compress(tar, mtime=0) for tar in tars]
    config = ImageConfig(
        platform=Platform.parse(platform),
        diff_ids=tuple(Digest.of(tar) for tar in tars),
        history=(*(History(created_by="COPY") for _ in tars), History(created_by="CMD", empty_layer=True)),
    ).to_bytes()
    manifest = Manifest(
        config=Descriptor.of(mediatypes.OCI_CONFIG, config),
        layers=tuple(Descriptor.of(mediatypes.OCI_LAYER_GZIP, blob) for blob in compressed),
    )
    return SmallImage(
        manifest=manifest, config=config, blobs={Digest.of(blob): blob for blob in (config, *compressed)}
    )


def _tar(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.TarFile(fileobj=buffer, mode="w") as tar:
        member = tarfile.TarInfo("file")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
