"""OCI content descriptors: what a piece of content is, its digest and its size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from executor.dataclass import dataclass, field
from executor.errors import ImageError
from executor.image.digest import Digest
from executor.image.platform import Platform


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A reference to content by digest. `size` is in bytes. `platform` is set in the entries of an index."""

    media_type: str
    digest: Digest
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict)
    platform: Platform | None = None
    urls: tuple[str, ...] = ()

    @classmethod
    def of(cls, media_type: str, content: bytes) -> Descriptor:
        """The descriptor of `content`."""
        return cls(media_type, Digest.of(content), len(content))

    @classmethod
    def from_json(cls, document: Any) -> Descriptor:
        """Read a descriptor object. Raises ImageError when a required field is missing or of a wrong type."""
        try:
            size = document["size"]
            if not isinstance(size, int) or size < 0:
                raise ImageError(f"a descriptor's size is {size!r}")
            return cls(
                str(document.get("mediaType", "")),
                Digest.parse(document["digest"]),
                size,
                dict(document.get("annotations") or {}),
                _platform(document.get("platform")),
                tuple(document.get("urls") or ()),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ImageError(f"a descriptor is malformed: {error!r}") from error

    def to_json(self) -> dict[str, Any]:
        """The descriptor as a JSON object, empty fields left out."""
        document: dict[str, Any] = {
            "mediaType": self.media_type,
            "digest": str(self.digest),
            "size": self.size,
        }
        if self.annotations:
            document["annotations"] = dict(self.annotations)
        if self.urls:
            document["urls"] = list(self.urls)
        if self.platform:
            document["platform"] = self.platform.to_json()
        return document


def _platform(document: Any) -> Platform | None:
    if not document:
        return None
    return Platform(document.get("os", ""), document.get("architecture", ""), document.get("variant", ""))
