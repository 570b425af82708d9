from __future__ import annotations

import pytest

from executor.errors import UsageError
from executor.options.bucketflag import context_of_bucket


@pytest.mark.parametrize(
    ("bucket", "expected"),
    [("box", "gs://box"), ("box/a/c.tar.gz", "gs://box/a/c.tar.gz"), ("s3://box/c", "s3://box/c")],
)
@pytest.mark.parametrize("context", ["", "/workspace/"])
def test_a_bucket_is_the_context(bucket: str, expected: str, context: str) -> None:
    assert context_of_bucket(bucket, context) == expected


@pytest.mark.parametrize("context", [".", "gs://box/c.tar.gz"])
def test_a_context_elsewhere_is_refused(context: str) -> None:
    with pytest.raises(UsageError, match="both name the context"):
        context_of_bucket("box", context)
