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
from executor.image.compression import decompress, gzip_compressor, zstd_compressor

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


@pytest.mark.parametrize("how", [{"level": 0}, {"level": 4}, {"level": 6}, {"reproducible": True, "level": 6}])
def test_blocks_side_by_side_are_one_stream_whatever_the_threads(how):
    data = DATA * 3
    whole = squeeze(data, **how)
    assert gzip.decompress(whole) == data
    assert decompress(io.BytesIO(whole)).read() == data
    assert {squeeze(data, threads=threads, **how) for threads in (1, 2, 5)} == {whole}
    pieces = gzip_compressor(threads=3, **how)
    small = [pieces.compress(data[at : at + 70_001]) for at in range(0, len(data), 70_001)]
    assert b"".join([*small, pieces.flush()]) == whole, "nor on the pieces that it comes in"


@given(st.integers(0, 3), st.integers(-2, 2))
def test_blocks_end_anywhere(blocks, more):
    data = bytes(max(blocks * 512 * 1024 + more, 0))
    compressor = gzip_compressor(level=4, threads=2)
    assert gzip.decompress(compressor.compress(data) + compressor.flush()) == data


NOISE = random.Random(2).randbytes(256 * 1024)
HALF = NOISE[: 128 * 1024] + bytes(128 * 1024)
"""Most of a sample of it does not compress."""


@pytest.mark.parametrize("level", [1, 2, 3, 4, 9])
@given(st.lists(st.sampled_from([NOISE, HALF, NOISE[:70_001], NOISE[:100], b"text" * 50_000, b""]), max_size=20))
def test_what_does_not_compress_is_stored_between_what_does(level, pieces):
    compressor = gzip_compressor(level=level)
    blob = b"".join([*map(compressor.compress, pieces), compressor.flush()])
    data = b"".join(pieces)
    assert gzip.decompress(blob) == data
    assert decompress(io.BytesIO(blob)).read() == data


@pytest.mark.parametrize("how", [{}, {"level": 9}, {"reproducible": True}])
def test_noise_is_stored_and_costs_next_to_nothing_in_size(how):
    compressor = gzip_compressor(**how)
    blob = b"".join([*[compressor.compress(NOISE) for _ in range(9)], compressor.flush()])
    assert NOISE[:65535] in blob
    assert len(blob) < 9 * len(NOISE) * 1.001


@pytest.mark.parametrize("level", [3, 4, 9])
def test_a_piece_that_repeats_itself_at_a_distance_is_compressed(level):
    """Its samples do not compress."""
    piece = NOISE[:10_000] * 60
    compressor = gzip_compressor(level=level)
    assert len(compressor.compress(piece)) + len(compressor.flush()) < len(piece) / 10


def test_what_compresses_is_compressed_after_any_amount_of_noise():
    compressor = gzip_compressor()
    for _ in range(20):
        compressor.compress(NOISE)
    assert len(compressor.compress(b"text" * 65536)) + len(compressor.flush()) < 10_000


def test_blocks_cost_next_to_nothing_in_size():
    text = b"".join(b"line %d of a text\n" % number for number in range(200_000))
    compressor = gzip_compressor(level=6, threads=2)
    size = len(compressor.compress(text)) + len(compressor.flush())
    assert size < len(gzip.compress(text, 6)) * 1.01


@pytest.mark.parametrize("level", [1, 3, 9])
def test_zstd_reads_back_and_is_the_same_whatever_the_threads(level):
    results = set()
    for threads, piece in ((0, 1 << 20), (1, 100_000), (2, 77_777), (4, 1 << 20)):
        compressor = zstd_compressor(level=level, threads=threads)
        pieces = [compressor.compress(DATA[at : at + piece]) for at in range(0, len(DATA), piece)]
        results.add(b"".join([*pieces, compressor.flush()]))
    (blob,) = results
    assert decompress(io.BytesIO(blob), mediatypes.OCI_LAYER_ZSTD).read() == DATA
