"""Descriptors: JSON there and back, and malformed ones."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.errors import ImageError
from executor.image.descriptor import Descriptor
from executor.image.digest import Digest
from executor.image.platform import Platform

_text = st.text(min_size=1, max_size=8)
_descriptors = st.builds(
    Descriptor,
    _text,
    st.binary(max_size=4).map(Digest.of),
    st.integers(min_value=0, max_value=2**40),
    st.dictionaries(_text, _text, max_size=2),
    st.one_of(st.none(), st.builds(Platform, _text, _text, st.text(max_size=3))),
    st.lists(_text, max_size=2).map(tuple),
)


@given(_descriptors)
def test_json_there_and_back(descriptor: Descriptor) -> None:
    assert Descriptor.from_json(descriptor.to_json()) == descriptor


def test_of_measures_content() -> None:
    assert Descriptor.of("text/plain", b"abc") == Descriptor("text/plain", Digest.of(b"abc"), 3)


def test_null_fields_count_as_absent() -> None:
    document = {"digest": str(Digest.of(b"")), "size": 0, "annotations": None, "urls": None, "platform": None}
    assert Descriptor.from_json(document) == Descriptor("", Digest.of(b""), 0)


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        "text",
        {},
        {"digest": str(Digest.of(b""))},
        {"size": 1},
        {"digest": "sha256:1", "size": 1},
        {"digest": None, "size": 1},
        {"digest": str(Digest.of(b"")), "size": -1},
        {"digest": str(Digest.of(b"")), "size": "1"},
        {"digest": str(Digest.of(b"")), "size": 1, "platform": "linux"},
    ],
)
def test_malformed_documents_are_image_errors(document: Any) -> None:
    with pytest.raises(ImageError):
        Descriptor.from_json(document)
