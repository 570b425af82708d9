"""Image archives read where they lie: `docker save`'s of all versions, OCI archives, and ours, which are both.

    oci-layout  index.json  blobs/sha256/<hex>…     an OCI layout in a tar: see `layout_in`
    manifest.json  <hex>.json  <name>/layer.tar…    docker's own form: see `saved_images`

The tar itself is not compressed, so that every blob can be read from its place. Hostile archives raise ImageError.
"""

from __future__ import annotations

import io
import json
import posixpath
import tarfile
from collections.abc import Mapping
from typing import Any, BinaryIO

from executor.dataclass import dataclass
from executor.errors import ImageError
from executor.image import mediatypes
from executor.image.descriptor import Descriptor
from executor.image.manifest import Index, parse_manifest
from executor.image.verified import BUFFER, LARGEST_DOCUMENT, verified

_MOST_LINKS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """A tar, opened by `read_archive`: where the content of each file lies, as (offset, size) in bytes; links."""

    path: str
    files: Mapping[str, tuple[int, int]]
    links: Mapping[str, str]

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        return self._target(name) in self.files

    def open(self, name: str) -> BinaryIO:
        """The content of a file, for one thread. Raises ImageError when there is none."""
        place = self.files.get(self._target(name))
        if place is None:
            raise ImageError(f"the archive {self.path} lacks {name}")
        try:
            return io.BufferedReader(_Part(self.path, *place), BUFFER)
        except OSError as error:
            raise ImageError(f"cannot read {self.path}: {error.strerror}") from error

    def document(self, name: str) -> Any:
        """A file of JSON, read. Raises ImageError when it is none, or larger than any that is needed."""
        with self.open(name) as stream:
            content = stream.read(LARGEST_DOCUMENT + 1)
        if len(content) > LARGEST_DOCUMENT:
            raise ImageError(f"{name} in {self.path} is larger than {LARGEST_DOCUMENT // 2**20} MiB")
        try:
            return json.loads(content)
        except (ValueError, RecursionError):
            raise ImageError(f"the archive {self.path} is malformed: {name} is not JSON") from None

    def _target(self, name: str) -> str:
        name = posixpath.normpath(name)
        for _ in range(_MOST_LINKS):
            if name not in self.links:
                break
            name = self.links[name]
        return name


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedLayout:
    """The OCI layout that an archive holds; like `Layout`, and read like it."""

    path: str
    index: Index
    archive: Archive

    def open(self, descriptor: Descriptor) -> BinaryIO:
        """Read a blob, checked against `descriptor` (see `verified`). Raises ImageError when it is not there."""
        digest = descriptor.digest
        return verified(self.archive.open(f"blobs/{digest.algorithm}/{digest.hex}"), descriptor)


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedImage:
    """An image of docker's own form, as manifest.json has it: names of files, the lowest layer first, and tags."""

    config: str
    layers: tuple[str, ...]
    tags: tuple[str, ...]


def read_archive(path: str) -> Archive:
    """Find what the archive `path` holds. Raises ImageError when it is none."""
    files: dict[str, tuple[int, int]] = {}
    links: dict[str, str] = {}
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                name = posixpath.normpath(member.name)
                if member.issparse():
                    raise ImageError(f"{path} is not an image's archive: {member.name} is a sparse file")
                if member.isreg():
                    files[name] = (member.offset_data, member.size)
                elif member.issym():
                    links[name] = posixpath.normpath(posixpath.join(posixpath.dirname(name), member.linkname))
                elif member.islnk():
                    links[name] = posixpath.normpath(member.linkname)
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
        hint = (
            "one that was compressed as a whole has to be uncompressed (gunzip); what is in it may be compressed"
        )
        raise ImageError(f"{path} is not a whole tar archive: {error}", hint=hint) from error
    except OSError as error:
        raise ImageError(f"cannot read {path}: {error.strerror}") from error
    return Archive(path=path, files=files, links=links)


def layout_in(archive: Archive) -> ArchivedLayout | None:
    """The OCI layout in `archive`, None when it has no index. Raises ImageError when that is malformed."""
    if not archive.has("index.json"):
        return None
    content = json.dumps(archive.document("index.json")).encode()
    index = parse_manifest(content, mediatypes.OCI_INDEX)
    if not isinstance(index, Index):
        raise ImageError(f"the archive {archive.path} is malformed: index.json is not an image index")
    return ArchivedLayout(path=archive.path, index=index, archive=archive)


def saved_images(archive: Archive) -> tuple[SavedImage, ...]:
    """The images of manifest.json. Raises ImageError when there is none such."""
    if not archive.has("manifest.json"):
        raise ImageError(f"{archive.path} is no image's archive: it has neither index.json nor manifest.json")
    try:
        return tuple(
            SavedImage(
                config=str(entry["Config"]),
                layers=tuple(map(str, entry["Layers"] or ())),
                tags=tuple(map(str, entry.get("RepoTags") or ())),
            )
            for entry in archive.document("manifest.json")
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ImageError(f"the archive {archive.path} is malformed: manifest.json, {error!r}") from error


class _Part(io.RawIOBase):
    """`size` bytes of a file from `offset` on."""

    def __init__(self, path: str, offset: int, size: int) -> None:
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115 - closed with this
        self._file.seek(offset)
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # typeshed's Buffer has no len()
        data = self._file.read(min(len(buffer), self._left))
        self._left -= len(data)
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()
