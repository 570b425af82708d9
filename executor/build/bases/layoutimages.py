"""Images of OCI layouts on disk, as named contexts name them: `oci-layout://PATH[:TAG|@DIGEST]`."""

from __future__ import annotations

import os

from executor.build.plan.namedcontexts import OCI_LAYOUT
from executor.dataclass import dataclass
from executor.errors import ImageError
from executor.image.descriptor import Descriptor
from executor.image.layout import IMAGE_NAME, REF_NAME, Layout, read_layout
from executor.image.manifest import Index, Manifest, parse_manifest
from executor.image.platform import Platform
from executor.image.verified import BUFFER
from executor.registry.pull import chosen
from executor.store import Store


@dataclass(frozen=True, slots=True)
class FoundImage:
    """An image that a layout holds."""

    layout: Layout
    descriptor: Descriptor
    manifest: Manifest


def is_layout(reference: str) -> bool:
    """True for a name that `import_image` reads."""
    return reference.startswith(OCI_LAYOUT)


def import_image(text: str, platform: Platform, store: Store) -> Descriptor:
    """Copy the image `text` for `platform` to the store; its manifest. Without a tag: `latest`, or the only one.

    Raises ImageError when the layout has no such image, or a blob is not what it should be.
    """
    found = _find(text, platform)
    for blob in (found.descriptor, found.manifest.config, *found.manifest.layers):
        if not store.blobs.has(blob.digest):
            with store.blobs.writer() as writer, found.layout.open(blob) as stream:
                while piece := stream.read(BUFFER):
                    writer.write(piece)
                writer.commit(blob.digest, blob.size)
    return found.descriptor


def _find(text: str, platform: Platform) -> FoundImage:
    path, _, digest = text.removeprefix(OCI_LAYOUT).partition("@")
    if not digest and ":" in os.path.basename(path):
        path, _, tag = path.rpartition(":")
    else:
        tag = "latest"
    layout = read_layout(path)
    entry = _entry(layout, tag, digest)
    parsed = parse_manifest(layout.read(entry), entry.media_type)
    while isinstance(parsed, Index):
        entry = chosen(parsed, text, platform)
        parsed = parse_manifest(layout.read(entry), entry.media_type)
    return FoundImage(layout, entry, parsed)


def _entry(layout: Layout, tag: str, digest: str) -> Descriptor:
    entries = layout.index.manifests
    found = next((entry for entry in entries if entry.digest == digest), None) if digest else layout.find(tag)
    if found is None and not digest and len(entries) == 1:
        return entries[0]
    if found is None:
        names = [entry.annotations.get(IMAGE_NAME) or entry.annotations.get(REF_NAME, "") for entry in entries]
        known = ", ".join(filter(None, names)) or f"{len(entries)} images without names"
        raise ImageError(f"the OCI layout {layout.path} has no image {digest or tag}", hint=f"it has {known}")
    return found
