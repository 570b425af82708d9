"""Output cut into lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.rootfs.command.process import LineSplitter


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ([b"a\nb\n"], ["a", "b"]),
        ([b"a", b"b\nc"], ["ab", "c"]),
        ([b"a\r\n", b"\r\n", b"p\rq\n"], ["a", "", "p\rq"]),
        ([b"\n\n"], ["", ""]),
        ([], []),
        ([b"\xc3", b"\xa9\n"], ["é"]),
        ([b"\xff\n", b"\xc3"], ["�", "�"]),
        ([b"x" * 65536, b"y\n"], ["x" * 65536, "y"]),
        ([b"x" * 140_000 + b"\n"], ["x" * 65536, "x" * 65536, "x" * 8928]),
    ],
)
def test_lines(chunks: list[bytes], expected: list[str]) -> None:
    splitter = LineSplitter()
    assert [line for chunk in [*chunks, b""] for line in splitter.split(chunk)] == expected


@given(st.lists(st.text(st.characters(exclude_characters="\n\r", codec="utf-8"), max_size=20)), st.integers(1, 7))
def test_any_way_to_cut_gives_the_same_lines(lines: list[str], size: int) -> None:
    data = "".join(line + "\n" for line in lines).encode()
    splitter = LineSplitter()
    found = [line for start in range(0, len(data), size) for line in splitter.split(data[start : start + size])]
    assert found + splitter.split(b"") == lines
