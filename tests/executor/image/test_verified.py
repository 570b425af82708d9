"""Streams checked against a descriptor."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.errors import ImageError
from executor.image.descriptor import Descriptor
from executor.image.verified import verified


@given(st.binary(max_size=200), st.integers(min_value=1, max_value=70))
def test_right_content_passes_unchanged(content: bytes, piece: int) -> None:
    with verified(io.BytesIO(content), Descriptor.of("", content)) as stream:
        assert b"".join(iter(lambda: stream.read(piece), b"")) == content


@pytest.mark.parametrize(
    ("given_content", "complaint"),
    [
        (b"abc", "has 3 bytes where 4"),
        (b"abcde", "more than 4 bytes where 4"),
        (b"abcx", "another digest"),
        (b"", "0"),
    ],
)
def test_wrong_content_is_an_error(given_content: bytes, complaint: str) -> None:
    stream = verified(io.BytesIO(given_content), Descriptor.of("", b"abcd"))
    with stream, pytest.raises(ImageError, match=complaint):
        stream.read()


def test_closing_closes_the_source() -> None:
    source = io.BytesIO(b"abc")
    verified(source, Descriptor.of("", b"abc")).close()
    assert source.closed


def test_the_last_expected_byte_of_wrong_content_is_not_given_out() -> None:
    """Who reads as much as there should be, and not on, hears of it too."""
    stream = verified(io.BytesIO(b"abcx"), Descriptor.of("", b"abcd"))
    with stream, pytest.raises(ImageError, match="another digest"):
        stream.read(4)
