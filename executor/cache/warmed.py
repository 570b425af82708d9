"""A folder of base images kept ready: `warmer` fills it, builds read it (`--cache-dir`), neither needs the other.

    FOLDER/images/<hex>.json      an image for one platform, see WarmedImage; <hex> digests reference and platform
    FOLDER/blobs/sha256/<hex>     manifests, configurations, layers
    FOLDER/locks/                 one warmer for each image at a time

All appears by rename and is compared with its digest when it is read. Reading needs no right to write.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from executor.dataclass import dataclass
from executor.errors import ImageError
from executor.image.descriptor import Descriptor
from executor.image.digest import Digest
from executor.image.manifest import Manifest, parse_manifest
from executor.image.platform import Platform
from executor.image.reference import Reference
from executor.image.verified import BUFFER, LARGEST_DOCUMENT, read_document, verified
from executor.replacing import replacing
from executor.store.locks import locked

DEFAULT_FOLDER = "/cache"
"""Where builds look when nobody says: kaniko's folder."""

_SPARED = 3600.0  # seconds; a blob this young may belong to an image that is being warmed


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmedImage:
    """An image in the folder. `named` is the digest that the reference stood for, `warmed` when, in seconds."""

    reference: str
    platform: Platform
    named: Digest
    manifest: Descriptor
    warmed: float


class WarmedImages:
    """The images in `folder`; from `ttl` seconds on they do not count. Safe for several processes and threads."""

    def __init__(self, folder: str, *, ttl: float, clock: Callable[[], float] = time.time) -> None:
        self.folder = folder
        self._ttl = ttl
        self._clock = clock

    def find(self, reference: Reference, platform: Platform) -> WarmedImage | None:
        """The image for `reference`, None when it is not here, too old, or its record cannot be read."""
        try:
            found = _read_record(self._record(reference, platform))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, ImageError, RecursionError):
            return None
        fresh = found.warmed + self._ttl >= self._clock()
        return found if fresh and found.reference == str(reference) else None

    def read(self, descriptor: Descriptor) -> bytes:
        """A manifest, an index or a configuration. Raises ImageError when it is not here, or damaged."""
        try:
            return read_document(self._opened, descriptor)
        except OSError as error:
            raise ImageError(f"cannot read blob {descriptor.digest} in {self.folder}: {error.strerror}") from error

    def _opened(self, descriptor: Descriptor) -> BinaryIO:
        return verified(open(self._blob(descriptor), "rb", buffering=0), descriptor)

    def open_blob(self, descriptor: Descriptor) -> BinaryIO | None:
        """A blob that was looked through and found right; None when it is not here, or is damaged."""
        return open(self._blob(descriptor), "rb") if self.has(descriptor) else None

    def has(self, descriptor: Descriptor) -> bool:
        """Whether the blob is here and right. Reads all of it."""
        try:
            with verified(open(self._blob(descriptor), "rb", buffering=0), descriptor) as stream:
                while stream.read(BUFFER):
                    pass
        except (OSError, ImageError):
            return False
        return True

    @contextmanager
    def warming(self, reference: Reference, platform: Platform) -> Iterator[None]:
        """Wait until nobody else warms this image, and keep them waiting. Raises OSError."""
        for name in ("images", "blobs/sha256", "locks"):
            os.makedirs(os.path.join(self.folder, name), exist_ok=True)
        name = os.path.basename(self._record(reference, platform)).removesuffix(".json")
        with locked(os.path.join(self.folder, "locks", f"{name}.lock"), fcntl.LOCK_EX):
            yield

    def put_blob(self, descriptor: Descriptor, open_blob: Callable[[], BinaryIO]) -> None:
        """Bring a blob here, unless it is. Raises ImageError when it is not what it should be, and OSError."""
        if self.has(descriptor):
            with suppress(OSError):  # it is needed now: see `remove_unneeded`
                os.utime(self._blob(descriptor))
            return
        with replacing(self._blob(descriptor)) as file, verified(open_blob(), descriptor) as stream:
            while piece := stream.read(BUFFER):
                file.write(piece)

    def put_bytes(self, descriptor: Descriptor, content: bytes) -> None:
        """Bring a small blob here. Raises what `put_blob` raises."""
        self.put_blob(descriptor, lambda: io.BytesIO(content))

    def put(self, reference: Reference, platform: Platform, *, named: Digest, manifest: Descriptor) -> None:
        """Note an image whose blobs are here. Raises OSError."""
        document = {
            "reference": str(reference),
            "platform": str(platform),
            "named": named,
            "manifest": manifest.to_json(),
            "warmed": self._clock(),
        }
        with replacing(self._record(reference, platform)) as file:
            file.write(json.dumps(document, indent=1).encode())

    def holds(self, image: WarmedImage) -> bool:
        """Whether all blobs of `image` are here, by their sizes: nothing but the manifest is read."""
        try:
            return all(os.stat(self._blob(blob)).st_size == blob.size for blob in self._blobs_of(image.manifest))
        except OSError:
            return False

    def remove_unneeded(self) -> None:
        """Remove blobs that no image here has, but for those that are just being brought. Raises OSError."""
        needed = {blob.digest.hex for record in self._records() for blob in self._blobs_of(record.manifest)}
        for entry in os.scandir(os.path.join(self.folder, "blobs", "sha256")):
            with suppress(FileNotFoundError):
                if entry.name not in needed and entry.stat().st_mtime < time.time() - _SPARED:
                    Path(entry.path).unlink()

    def _records(self) -> Iterator[WarmedImage]:
        for entry in os.scandir(os.path.join(self.folder, "images")):
            with suppress(OSError, ValueError, KeyError, TypeError, AttributeError, ImageError, RecursionError):
                yield _read_record(entry.path)

    def _blobs_of(self, manifest: Descriptor) -> Iterable[Descriptor]:
        with suppress(ImageError):
            parsed = parse_manifest(self.read(manifest), manifest.media_type)
            if isinstance(parsed, Manifest):
                return (manifest, parsed.config, *parsed.layers)
        return (manifest,)

    def _record(self, reference: Reference, platform: Platform) -> str:
        name = hashlib.sha256(f"{reference} {platform.normalized()}".encode()).hexdigest()
        return os.path.join(self.folder, "images", f"{name}.json")

    def _blob(self, descriptor: Descriptor) -> str:
        return os.path.join(self.folder, "blobs", descriptor.digest.algorithm, descriptor.digest.hex)


def _read_record(path: str) -> WarmedImage:
    with open(path, "rb") as file:
        document = json.loads(file.read(LARGEST_DOCUMENT))  # what is cut off is no JSON
    return WarmedImage(
        reference=document["reference"],
        platform=Platform.parse(document["platform"]),
        named=Digest.parse(document["named"]),
        manifest=Descriptor.from_json(document["manifest"]),
        warmed=float(document["warmed"]),
    )
