"""SOURCE_DATE_EPOCH as a number of seconds."""

import pytest

from executor.epoch import parse_epoch
from executor.errors import UsageError


@pytest.mark.parametrize(("text", "seconds"), [("0", 0), ("0001", 1), ("253402300799", 253402300799)])
def test_seconds(text, seconds):
    assert parse_epoch(text) == seconds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("-1", "not a number"),
        ("1.5", "not a number"),
        ("²", "not a number"),
        ("٣", "not a number"),
        ("253402300800", "after the year 9999"),
        ("9" * 5000, "after the year 9999"),
    ],
)
def test_what_is_no_moment(text, message):
    with pytest.raises(UsageError, match=message):
        parse_epoch(text)
