"""The secrets of a build: read from files and variables into memory, handed to the RUNs that ask, never logged.

A spec names where a secret is, never what it is. Values are masked in everything that commands print, also as
URLs, JSON, base64 and hex have them.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote

from executor.errors import UsageError
from executor.spec import SecretSource

MASK = "***"
_LIMIT = 500 * 1024  # BuildKit's
_SHORTEST_ENCODED = 6
_LONGEST_ENCODED = 16 * 1024
_SHORTEST_LINE = 4
"""A line of a secret of several lines that is masked by itself: shorter ones (braces, say) are in every output."""


class Secrets:
    """Values by id. Raises UsageError when a file or variable that was named is not there."""

    def __init__(self, sources: Sequence[SecretSource], environ: Mapping[str, str] | None = None) -> None:
        environ = os.environ if environ is None else environ
        self._values = {source.id: _read(source, environ) for source in sources}
        texts = sorted({text for value in self._values.values() for text in _maskable(value)}, key=len)
        self._pattern = re.compile("|".join(re.escape(text) for text in reversed(texts))) if texts else None

    def get(self, secret_id: str) -> bytes | None:
        """The value, None when no secret of that id was given."""
        return self._values.get(secret_id)

    def mask(self, line: str) -> str:
        """A line of output with every secret in it replaced by `***`."""
        return self._pattern.sub(MASK, line) if self._pattern else line


def _read(source: SecretSource, environ: Mapping[str, str]) -> bytes:
    if source.env:
        value = environ.get(source.env)
        if value is None:
            raise UsageError(f"secret {source.id}: the environment has no variable {source.env}")
        data = os.fsencode(value)
    else:
        try:
            with open(source.path, "rb") as file:
                data = file.read(_LIMIT + 1)
        except OSError as error:
            raise UsageError(f"secret {source.id}: cannot read {source.path}: {error.strerror}") from error
    if len(data) > _LIMIT:
        raise UsageError(f"secret {source.id} is larger than {_LIMIT} bytes")
    return data


def _maskable(value: bytes) -> list[str]:
    """What to look for in lines of output, which are decoded in the same way."""
    lines = [line.strip() for line in value.decode("utf-8", "replace").splitlines() if line.strip()]
    plain = lines if len(lines) == 1 else [line for line in lines if len(line) >= _SHORTEST_LINE]
    return [*plain, *(text for line in {*lines, value.decode("utf-8", "replace")} for text in _encoded(line))]


def _encoded(text: str) -> Iterator[str]:
    """The secret as programs print it in URLs, JSON, hex dumps and credentials of HTTP."""
    raw = text.encode("utf-8", "replace")
    if _SHORTEST_ENCODED <= len(raw) <= _LONGEST_ENCODED:
        yield from (quote(text, safe="", errors="replace"), json.dumps(text)[1:-1], raw.hex())
        yield from (found for offset in range(3) for found in _base64(raw, offset) if len(found) >= len(raw))


def _base64(raw: bytes, offset: int) -> Iterator[str]:
    """What base64 of any text has of `raw`, where that begins `offset` bytes after a multiple of 3."""
    padded = bytes(offset) + raw
    first, last = (0, 2, 3)[offset], -1 if len(padded) % 3 else None
    for encode in (base64.standard_b64encode, base64.urlsafe_b64encode):
        yield encode(padded).decode("ascii").rstrip("=")[first:last]
