"""Image manifests and indexes (OCI image spec, manifest.md and image-index.md; Docker's schema 2 twins)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from executor.dataclass import dataclass, field
from executor.errors import ImageError
from executor.image import mediatypes
from executor.image.descriptor import Descriptor


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One image for one platform: its configuration and its layers, lowest first."""

    config: Descriptor
    layers: tuple[Descriptor, ...]
    media_type: str = mediatypes.OCI_MANIFEST
    annotations: Mapping[str, str] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """The manifest as compact JSON, always the same bytes for equal values."""
        document: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": self.media_type,
            "config": self.config.to_json(),
            "layers": [layer.to_json() for layer in self.layers],
        }
        if self.annotations:
            document["annotations"] = dict(sorted(self.annotations.items()))
        return json.dumps(document, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """Images for several platforms."""

    manifests: tuple[Descriptor, ...]
    media_type: str = mediatypes.OCI_INDEX
    annotations: Mapping[str, str] = field(default_factory=dict)


def parse_manifest(content: bytes, media_type: str = "") -> Manifest | Index:
    """Read a manifest or an index. `media_type` is the Content-Type it came with, '' when unknown.

    Raises ImageError when it is neither, or is of Docker's schema 1.
    """
    try:
        document = json.loads(content)
        media_type = _media_type(document, media_type)
        if "manifests" in document and ("layers" in document or "config" in document):
            # one blob must not be an index to one reader and an image to another (CVE-2021-41190)
            raise ImageError("the manifest claims to be an index and an image at once")
        annotations = dict(document.get("annotations") or {})
        if media_type in mediatypes.INDEXES:
            entries = tuple(Descriptor.from_json(entry) for entry in document.get("manifests") or ())
            return Index(manifests=entries, media_type=media_type, annotations=annotations)
        return Manifest(
            config=Descriptor.from_json(document["config"]),
            layers=tuple(Descriptor.from_json(entry) for entry in document["layers"]),
            media_type=media_type,
            annotations=annotations,
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ImageError(f"the manifest is malformed: {error!r}") from error


def single_manifest(content: bytes, name: str) -> Manifest:
    """The manifest of the image `name`. Raises ImageError when it is an index, or what `parse_manifest` raises."""
    manifest = parse_manifest(content)
    if not isinstance(manifest, Manifest):
        raise ImageError(f"{name} is an index where a single image was expected")
    return manifest


def _media_type(document: Any, media_type: str) -> str:
    if document.get("schemaVersion") == 1:
        raise ImageError(
            "the image has a manifest of Docker's schema 1, which registries stopped serving",
            hint="push it again with a current tool",
        )
    declared = document.get("mediaType") or media_type.partition(";")[0].strip()
    known = (*mediatypes.INDEXES, *mediatypes.MANIFESTS)
    if declared in known:
        return str(declared)
    if declared and declared not in ("application/json", "text/plain", "application/octet-stream"):
        raise ImageError(f"{declared!r} is not a media type of an image")
    return mediatypes.OCI_INDEX if "manifests" in document else mediatypes.OCI_MANIFEST
