"""Digests: what is accepted, and what they say of themselves."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.errors import ImageError
from executor.image.digest import Digest


@given(st.binary(max_size=64))
def test_a_digest_of_content_parses_to_itself(content: bytes) -> None:
    digest = Digest.of(content)
    assert Digest.parse(str(digest)) == digest
    assert digest == Digest.from_hex(hashlib.sha256(content).hexdigest())
    assert (digest.algorithm, len(digest.hex)) == ("sha256", 64)


def test_sha512_is_accepted() -> None:
    assert Digest.parse("sha512:" + "a" * 128).algorithm == "sha512"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256",
        "sha256:",
        "sha256:" + "a" * 63,
        "sha256:" + "a" * 65,
        "sha256:" + "A" * 64,
        "sha256:" + "a" * 64 + "\n",
        "sha1:" + "a" * 40,
        "sha256:../../../../etc/passwd",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ImageError, match="is not a digest"):
        Digest.parse(text)
