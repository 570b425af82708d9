"""The two families of media types that an image can be written in: OCI's, and those of Docker's schema 2.

The blobs are the same in both; only their names in the manifest differ.
"""

from __future__ import annotations

from collections.abc import Mapping

from executor.dataclass import dataclass, replace
from executor.errors import ImageError
from executor.image import mediatypes
from executor.image.descriptor import Descriptor


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A family. `layers` maps the media types of the other family's layers to those of this one."""

    name: str
    index: str
    manifest: str
    config: str
    layers: Mapping[str, str]

    def layer(self, descriptor: Descriptor) -> Descriptor:
        """`descriptor` with this family's name for its type. Raises ImageError when there is none."""
        named = self.layers.get(descriptor.media_type, descriptor.media_type)
        if not self.takes(descriptor):
            raise ImageError(
                f"layer {descriptor.digest} of type {descriptor.media_type} cannot stand in a {self.name} image",
                hint="build an OCI image: --image-format=oci",
            )
        return replace(descriptor, media_type=named)

    def takes(self, descriptor: Descriptor) -> bool:
        """Whether a layer of this type has a name here: Docker's family knows no zstd."""
        return self.name == "oci" or descriptor.media_type in (*self.layers, *self.layers.values())


OCI = Format(
    name="oci",
    index=mediatypes.OCI_INDEX,
    manifest=mediatypes.OCI_MANIFEST,
    config=mediatypes.OCI_CONFIG,
    layers={
        mediatypes.DOCKER_LAYER: mediatypes.OCI_LAYER,
        mediatypes.DOCKER_LAYER_GZIP: mediatypes.OCI_LAYER_GZIP,
        mediatypes.DOCKER_LAYER_ZSTD: mediatypes.OCI_LAYER_ZSTD,
    },
)
DOCKER = Format(
    name="docker",
    index=mediatypes.DOCKER_INDEX,
    manifest=mediatypes.DOCKER_MANIFEST,
    config=mediatypes.DOCKER_CONFIG,
    layers={
        mediatypes.OCI_LAYER: mediatypes.DOCKER_LAYER,
        mediatypes.OCI_LAYER_GZIP: mediatypes.DOCKER_LAYER_GZIP,
        mediatypes.DOCKER_FOREIGN_LAYER_GZIP: mediatypes.DOCKER_FOREIGN_LAYER_GZIP,
    },
)


def format_of(name: str) -> Format:
    """The family `oci` or `docker`."""
    return DOCKER if name == DOCKER.name else OCI
