"""Sizes as people write them."""

import pytest

from executor.errors import UsageError
from executor.sizes import parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("123", 123), ("5B", 5), ("1k", 1000), ("2MB", 2_000_000), ("1.5 GB", 1_500_000_000),
     ("20GiB", 20 * 1024**3), ("3ki", 3072), ("1tb", 10**12)],
)  # fmt: skip
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1", "1XB", "5iB", "1e3", "ten"])
def test_what_is_no_size(text):
    with pytest.raises(UsageError, match="is not a size"):
        parse_size(text)
