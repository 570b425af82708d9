"""Chain IDs."""

from __future__ import annotations

from executor.image.descriptor import Descriptor
from executor.image.digest import Digest
from executor.image.layer import Layer, chain_ids
from executor.image.mediatypes import OCI_LAYER


def layer(content: bytes) -> Layer:
    digest = Digest.of(content)
    return Layer(descriptor=Descriptor(OCI_LAYER, digest, len(content)), diff_id=digest)


def test_chain_ids_are_the_specs() -> None:
    one, two, three = layer(b"1"), layer(b"2"), layer(b"3")
    chain = chain_ids([one, two, three])
    assert chain[0] == one.diff_id
    assert chain[1] == Digest.of(f"{one.diff_id} {two.diff_id}".encode())
    assert chain[2] == Digest.of(f"{chain[1]} {three.diff_id}".encode())
    assert chain_ids([]) == []
