"""Media types of images: the same layers by either family's names, and what Docker's has no name for."""

import pytest

from executor.errors import ImageError
from executor.image import mediatypes
from executor.image.descriptor import Descriptor
from executor.image.formats import DOCKER, OCI, format_of

PAIRS = [
    (mediatypes.DOCKER_LAYER, mediatypes.OCI_LAYER),
    (mediatypes.DOCKER_LAYER_GZIP, mediatypes.OCI_LAYER_GZIP),
]


def layer(media_type):
    return Descriptor.of(media_type, b"x")


@pytest.mark.parametrize(("docker", "oci"), PAIRS)
def test_the_two_names_of_a_layer(docker, oci):
    for media_type in (docker, oci):
        assert OCI.layer(layer(media_type)) == layer(oci)
        assert DOCKER.layer(layer(media_type)) == layer(docker)


def test_foreign_layers_stay_what_they_are():
    foreign = layer(mediatypes.DOCKER_FOREIGN_LAYER_GZIP)
    assert OCI.layer(foreign) == DOCKER.layer(foreign) == foreign


@pytest.mark.parametrize("name", [mediatypes.OCI_LAYER_ZSTD, mediatypes.DOCKER_LAYER_ZSTD])
def test_docker_has_no_zstd(name):
    zstd = layer(name)
    assert OCI.layer(zstd) == layer(mediatypes.OCI_LAYER_ZSTD)
    assert not DOCKER.takes(zstd)
    with pytest.raises(ImageError, match="cannot stand in a docker image") as caught:
        DOCKER.layer(zstd)
    assert "--image-format=oci" in caught.value.hint


def test_formats_by_name():
    assert (format_of("oci"), format_of("docker")) == (OCI, DOCKER)
