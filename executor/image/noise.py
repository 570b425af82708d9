"""Data that no compressor makes smaller, and the deflate blocks that hold it as it is (RFC 1951, 3.2.4).

Large layers are often archives, pictures and films. The answers depend on the data alone.
"""

from __future__ import annotations

import zlib

WORTH = 63 / 64
"""What is to be left of data at most for it to be worth compressing."""

SMALLEST = 64 * 1024
"""Bytes. Less is compressed without being looked at."""

_SAMPLE, _SAMPLES = 4096, 4
_PROBE, _PROBES = 8, 16
_WINDOW = 32 * 1024
_LARGEST_BLOCK = 0xFFFF


def sample(data: bytes) -> bytes:
    """16 KiB from all over `data`, of SMALLEST bytes or more."""
    step = (len(data) - _SAMPLE) // (_SAMPLES - 1)
    return b"".join([data[at : at + _SAMPLE] for at in range(0, step * _SAMPLES, step)])


def is_noise(data: bytes) -> bool:
    """Whether samples of `data` do not compress, nor repeat themselves as far off as deflate can refer to."""
    if len(data) < SMALLEST:
        return False
    taken = sample(data)
    if len(zlib.compress(taken, 1)) < len(taken) * WORTH:
        return False
    step = (len(data) - _WINDOW) // _PROBES
    return all(
        data.find(data[at : at + _PROBE], at + 1, at + _WINDOW) < 0 for at in range(0, step * _PROBES, step)
    )


def stored(data: bytes) -> list[bytes]:
    """Blocks with `data` as it is, none of them the last of a stream; they begin and end at a byte border."""
    blocks = []
    for at in range(0, len(data), _LARGEST_BLOCK):
        size = min(len(data) - at, _LARGEST_BLOCK)
        blocks.append(b"\0" + size.to_bytes(2, "little") + (size ^ _LARGEST_BLOCK).to_bytes(2, "little"))
        blocks.append(data[at : at + size])
    return blocks
