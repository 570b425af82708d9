"""Compression streams: every codec reads back, damage is an ImageError, gzip has no time in it."""

import gzip
import io
import random

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from executor.errors import ImageError
from executor.image import mediatypes
from executor.image.compression import decompress, gzip_compressor

DATA = random.Random(1).randbytes(400_000) + b"a" * 600_000


def squeeze(data, **how):
    compressor = gzip_compressor(**how)
    return b"".join([compressor.compress(data[:1000]), compressor.compress(data[1000:]), compressor.flush()])


@pytest.mark.parametrize("how", [{}, {"level": 3}, {"level": 9}, {"reproducible": True}])
def test_gzip_reads_back_and_is_the_same_each_time(how):
    assert gzip.decompress(squeeze(DATA, **how)) == DATA
    assert squeeze(DATA, **how) == squeeze(DATA, **how)
    assert squeeze(DATA, **how)[4:8] == b"\0\0\0\0"


@pytest.mark.parametrize(
    "blob", [squeeze(DATA), squeeze(DATA[:10]) + squeeze(DATA[10:]), zstandard.compress(DATA), DATA]
)
def test_decompress_by_magic(blob):
    with decompress(io.BytesIO(blob)) as stream:
        assert stream.read() == DATA


@given(st.binary(max_size=2000))
def test_gzip_any_content(data):
    assert decompress(io.BytesIO(squeeze(data)), mediatypes.OCI_LAYER_GZIP).read() == data


@pytest.mark.parametrize(
    "blob",
    [squeeze(DATA)[:-5], squeeze(DATA)[:1000], squeeze(DATA)[:5000] + b"xx" + squeeze(DATA)[5002:],
     zstandard.compress(DATA)[:4] + b"\xff" * 100],
)  # fmt: skip
def test_damage_is_an_image_error(blob):
    with pytest.raises(ImageError, match="damaged or incomplete"):
        decompress(io.BytesIO(blob)).read()


def test_a_type_that_lies_is_an_image_error():
    with pytest.raises(ImageError, match="not compressed that way"):
        decompress(io.BytesIO(b"plain"), mediatypes.OCI_LAYER_GZIP)


def test_closing_closes_the_source():
    source = io.BytesIO(squeeze(DATA))
    decompress(source).close()
    assert source.closed
