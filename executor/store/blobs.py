"""Blobs by digest. A blob is written once, appears by rename, and is verified each time it is read."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Self

from executor.errors import ImageError, UnfitError
from executor.image.digest import Digest
from executor.store.usage import Usage

if TYPE_CHECKING:
    from executor.store.growing import GrowingBlob

_BUFFER = 256 * 1024


class BlobStore:
    """A folder of blobs, `<root>/<algorithm>/<hex>`. Safe for several processes and threads."""

    def __init__(self, root: str, ingest: str, usage: Usage) -> None:
        self._root = root
        self._ingest = ingest
        self._usage = usage
        self._sound: set[Digest] = set()

    def path(self, digest: Digest) -> str:
        """Where the blob is, or would be."""
        return os.path.join(self._root, digest.algorithm, digest.hex)

    def has(self, digest: Digest) -> bool:
        """True when the blob is here; it stays as long as this process runs."""
        return self._usage.mark(self.path(digest))

    def is_sound(self, digest: Digest) -> bool:
        """Whether the blob is here and its content right: read once in a process. A damaged one is removed."""
        if not self.has(digest):
            return False
        if digest not in self._sound:
            try:
                with self.open(digest) as stream:
                    while stream.read(_BUFFER):
                        pass
            except (ImageError, OSError):
                self.remove(digest)
                return False
            self._sound.add(digest)
        return True

    def size(self, digest: Digest) -> int:
        """The blob's length in bytes. Raises FileNotFoundError when it is not here."""
        return os.stat(self.path(digest)).st_size

    def open(self, digest: Digest) -> BinaryIO:
        """Read the blob; the last read raises ImageError when the content is not what the digest says."""
        # buffering=0: VerifiedFile reads in large pieces and would only copy twice
        return io.BufferedReader(_VerifiedFile(Path(self.path(digest)).open("rb", buffering=0), digest), _BUFFER)

    def open_unchecked(self, digest: Digest) -> BinaryIO:
        """Read the blob without computing its digest, for whom somebody else does that."""
        return Path(self.path(digest)).open("rb", buffering=0)

    def read(self, digest: Digest) -> bytes:
        """A whole small blob (a manifest, a configuration), verified."""
        with self.open(digest) as stream:
            return stream.read()

    def put(self, content: bytes) -> Digest:
        """Store a small blob."""
        with self.writer() as writer:
            writer.write(content)
            return writer.commit()

    def writer(self, checked: Digest | None = None) -> BlobWriter:
        """Begin a blob whose digest is known at the end.

        `checked`: whoever hands the bytes over compares them with this digest, and gives the last of them away
        only when they are right. They are not hashed a second time.
        """
        return BlobWriter(self, self._ingest, checked)

    def remove(self, digest: Digest) -> None:
        """Forget a blob; used when its content proves damaged."""
        self._sound.discard(digest)
        Path(self.path(digest)).unlink(missing_ok=True)

    def vouch(self, digest: Digest) -> None:
        """Take the blob for sound: this process wrote it."""
        self._sound.add(digest)


class BlobWriter:
    """A blob in the making. Leave the context without `commit` and nothing remains of it."""

    def __init__(self, store: BlobStore, ingest: str, checked: Digest | None = None) -> None:
        descriptor, self._path = tempfile.mkstemp(dir=ingest)
        self._file = open(descriptor, "wb", buffering=0)  # noqa: SIM115 - closed in __exit__
        self._store = store
        self._checked = checked
        self._hash = hashlib.sha256()
        self._growing: GrowingBlob | None = None
        self.size = 0

    def growing(self) -> GrowingBlob:
        """The blob as it grows; for one call."""
        from executor.store.growing import GrowingBlob

        self._growing = GrowingBlob(self._path, self.size)
        return self._growing

    def write(self, data: bytes | memoryview) -> None:
        """Append `data`; give it in large pieces. Raises UnfitError when the disk does not take it."""
        if self._checked is None:
            self._hash.update(data)
        self.size += len(data)
        view = memoryview(data)
        try:
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            raise UnfitError(
                f"cannot write to {os.path.dirname(self._path)}: {error.strerror}",
                hint="layers need room: name a folder on a larger disk in KRUNNER_HOME",
            ) from error
        if self._growing:
            self._growing.grew(self.size)

    def commit(self, expected: Digest | None = None, size: int | None = None) -> Digest:
        """Check what was written and make it visible. Raises ImageError when it is not what was expected."""
        digest = self._checked or Digest.from_hex(self._hash.hexdigest())
        if size is not None and size != self.size:
            raise ImageError(f"blob {expected or digest} has {self.size} bytes, not {size}")
        if expected is not None and expected != digest:
            raise ImageError(f"blob {expected} has the content of {digest}")
        self._file.close()
        os.chmod(self._path, 0o600)
        os.rename(self._path, self._store.path(digest))
        self._store.vouch(digest)
        if self._growing:
            self._growing.end(digest)
        return digest

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        Path(self._path).unlink(missing_ok=True)
        if self._growing:
            self._growing.end(None)


class _VerifiedFile(io.RawIOBase):
    """Reads a file and compares its digest at the end."""

    def __init__(self, file: io.RawIOBase | io.FileIO, digest: Digest) -> None:
        self._file = file
        self._digest = digest
        self._hash = hashlib.new(digest.algorithm)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # typeshed's Buffer has no slices
        count = self._file.readinto(buffer) or 0
        if count:
            self._hash.update(buffer[:count])
        elif self._hash.hexdigest() != self._digest.hex:
            raise ImageError(f"the stored blob {self._digest} is damaged", hint="remove it and build again")
        return count

    def close(self) -> None:
        self._file.close()
        super().close()
