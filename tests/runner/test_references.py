"""The runner's normal form is held against the executor's own parser, which the import rule hides from it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.errors import UsageError
from executor.image.reference import Reference
from runner.references import normalise

REFERENCES = [
    "alpine", "alpine:3", "library/alpine", "docker.io/alpine", "index.docker.io/alpine", "a/b/c", "a.b/c",
    "a:5/b", "localhost/x", "localhost:5000/x:y", "[::1]:5000/x", "Host/x", "r.io/a__b", "r.io/a---b", "r.io/a..b",
    "r.io/A", "r.io/", "/x", "", ":", "a:", "a:b/c", "a:b:c", "r.io/a b", "x" * 300, "r.io/a:" + "t" * 129,
    "r.io/a:t.t-t_t", "registry-1.docker.io/x/y:z", "https://r.io/x", "r.io/x\n", "r.io/x:t\n",
]  # fmt: skip


def executor_says(text):
    try:
        return str(Reference.parse(text))
    except UsageError:
        return None


def runner_says(text):
    try:
        return normalise(text)
    except UsageError:
        return None


@pytest.mark.parametrize("text", REFERENCES)
def test_same_as_the_executor(text):
    assert runner_says(text) == executor_says(text)


@given(st.text("ab.:/-_A5[]", max_size=14))
def test_same_as_the_executor_for_anything(text):
    assert runner_says(text) == executor_says(text)


def test_a_destination_has_no_digest():
    with pytest.raises(UsageError, match="has a digest"):
        normalise("r.io/x@sha256:" + "0" * 64)
