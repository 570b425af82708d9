"""Content digests as the OCI image spec defines them (descriptor.md, "Digests"): `algorithm:hex`."""

from __future__ import annotations

import hashlib
import re

from executor.errors import ImageError

_SHAPE = re.compile(r"(sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})\Z")


class Digest(str):
    """A validated `sha256:…` or `sha512:…` string. Build one with `Digest.parse`, `of` or `from_hex`."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Check `text` and return it as a Digest. Raises ImageError when it is not of the spec's form."""
        if not _SHAPE.match(text):
            raise ImageError(f"{text[:100]!r} is not a digest (sha256:<64 hex digits>)")
        return cls(text)

    @classmethod
    def of(cls, content: bytes) -> Digest:
        """The SHA-256 digest of `content`."""
        return cls("sha256:" + hashlib.sha256(content).hexdigest())

    @classmethod
    def from_hex(cls, hex_digits: str) -> Digest:
        """The SHA-256 digest written by `hashlib`'s hexdigest."""
        return cls("sha256:" + hex_digits)

    @property
    def algorithm(self) -> str:
        """`sha256` or `sha512`."""
        return self.partition(":")[0]

    @property
    def hex(self) -> str:
        """The hex digits after the colon."""
        return self.partition(":")[2]
