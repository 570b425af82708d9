"""Looking for the bytes of a secret in everything that a build leaves: folders, archives, compressed or not."""

from __future__ import annotations

import base64
import bz2
import gzip
import lzma
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus

_INFLATERS = {b"\x1f\x8b": gzip.decompress, b"BZh": bz2.decompress, b"\xfd7zXZ": lzma.decompress}
_ZSTD = b"\x28\xb5\x2f\xfd"


def spellings(secret: str) -> set[bytes]:
    """The secret as it stands, in Base64 (wherever it begins in a longer text), in hex, and in URLs."""
    raw = secret.encode()
    inner = {base64.b64encode(b"x" * shift + raw)[4 if shift else 0 : -4] for shift in range(3)}
    hexes = {raw.hex().encode(), raw.hex().upper().encode()}
    return {raw, quote(secret, safe="").encode(), quote_plus(secret).encode(), *inner, *hexes}


def contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file below a folder, of links their targets, compressed files also inflated."""
    for directory, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(directory) / name
            yield f"name of {path}", name.encode(errors="surrogateescape")
            if path.is_symlink():
                yield f"target of {path}", os.fsencode(path.readlink())
            elif path.is_file():
                data = path.read_bytes()
                yield str(path), data
                yield f"{path} inflated", _inflated(data)


def _inflated(data: bytes) -> bytes:
    if data.startswith(_ZSTD):
        return subprocess.run(["zstd", "-dc"], input=data, capture_output=True, check=True).stdout
    return next((inflate(data) for magic, inflate in _INFLATERS.items() if data.startswith(magic)), b"")


def leaks(secrets: Mapping[str, str], folder: Path, **texts: str) -> list[str]:
    """Which secret is where, below a folder and in texts by name; empty when nothing is."""
    needles = {name: spellings(secret) for name, secret in secrets.items()}
    places = [*contents(folder), *((name, text.encode()) for name, text in texts.items())]
    return sorted(
        f"{name} in {place}"
        for place, data in places
        for name, forms in needles.items()
        if any(form in data for form in forms)
    )
