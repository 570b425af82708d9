"""A cached step as an image of one layer: kaniko's layout, so that any registry and any OCI tool can hold it.

    config.created                          when it was made; its age against --cache-ttl
    config.labels[io.krunner.cache.key]     the key's document
    config.labels[io.krunner.cache.upon]    what it was made upon, see Entry.upon
    config.labels[io.krunner.cache.content] the other key of a COPY --from, see Entry.content
    rootfs.diff_ids, history                one of each

A step that changed nothing has the empty tar as its layer: some registries refuse images without any.
"""

from __future__ import annotations

import gzip
import hashlib
import time
from datetime import datetime

from executor.dataclass import dataclass
from executor.errors import ImageError
from executor.image.config import ContainerConfig, History, ImageConfig, config_from_bytes
from executor.image.descriptor import Descriptor
from executor.image.digest import Digest
from executor.image.layer import Layer
from executor.image.manifest import Manifest, parse_manifest
from executor.image.mediatypes import OCI_CONFIG, OCI_LAYER_GZIP
from executor.image.platform import Platform

KEY_LABEL = "io.krunner.cache.key"
UPON_LABEL = "io.krunner.cache.upon"
CONTENT_LABEL = "io.krunner.cache.content"
LARGEST_CONFIG = 4 * 1024 * 1024
"""Bytes; a key's document has a digest, not a list of files, and stays far below."""

_EMPTY_TAR = bytes(1024)
_EMPTY_DIFF_ID = Digest.of(_EMPTY_TAR)
EMPTY_BLOB = gzip.compress(_EMPTY_TAR, mtime=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What a step did: `layer`, None when it changed nothing. `key` is 64 hex digits, `document` what they digest.

    `upon` stands for the results below it that the key does not determine (those of RUN): the entry serves only
    where they are the same. `content` is the key of the same step by the content that it copied, in hex; '' of
    other steps. `created` is in seconds, `platform` for people who look at the cache.
    """

    key: str
    document: str
    layer: Layer | None
    upon: str
    created: int
    platform: Platform
    created_by: str = ""
    content: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryImage:
    """An entry as an image: the bytes of its manifest and configuration, and its layer's descriptor."""

    manifest: Descriptor
    manifest_bytes: bytes
    config: Descriptor
    config_bytes: bytes
    layer: Descriptor


def to_image(entry: Entry) -> EntryImage:
    """The image that holds `entry`; its layer's bytes are EMPTY_BLOB for an entry without a layer."""
    layer, diff_id = Descriptor.of(OCI_LAYER_GZIP, EMPTY_BLOB), _EMPTY_DIFF_ID
    if entry.layer:
        layer, diff_id = entry.layer.descriptor, entry.layer.diff_id
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(entry.created))
    config_bytes = ImageConfig(
        platform=entry.platform,
        created=created,
        config=ContainerConfig(labels=_labels(entry)),
        diff_ids=(diff_id,),
        history=(History(created=created, created_by=entry.created_by),),
    ).to_bytes()
    config = Descriptor.of(OCI_CONFIG, config_bytes)
    manifest = Manifest(config=config, layers=(layer,))
    manifest_bytes = manifest.to_bytes()
    return EntryImage(
        manifest=Descriptor.of(manifest.media_type, manifest_bytes),
        manifest_bytes=manifest_bytes,
        config=config,
        config_bytes=config_bytes,
        layer=layer,
    )


def _labels(entry: Entry) -> dict[str, str]:
    labels = {KEY_LABEL: entry.document, UPON_LABEL: entry.upon}
    return {**labels, CONTENT_LABEL: entry.content} if entry.content else labels


def entry_manifest(content: bytes, media_type: str = "") -> Manifest:
    """The manifest of an entry. Raises ImageError when it is not one of an image with one layer."""
    manifest = parse_manifest(content, media_type)
    if not isinstance(manifest, Manifest):
        raise ImageError("it is an index")
    if len(manifest.layers) != 1:
        raise ImageError(f"it has {len(manifest.layers)} layers where one is expected")
    if manifest.config.size > LARGEST_CONFIG:
        raise ImageError(f"its configuration would have {manifest.config.size} bytes")
    return manifest


def from_image(key: str, manifest: Manifest, config_bytes: bytes, *, source: str = "") -> Entry:
    """The entry that an image holds; `source` is the `registry/repository` of its layer, '' if it is in none.

    Raises ImageError when the image is not an entry of `key`: another tool's, another key's, or damaged.
    """
    if Digest.of(config_bytes) != manifest.config.digest:
        raise ImageError(f"its configuration is not the {manifest.config.digest} of its manifest")
    config = config_from_bytes(config_bytes)
    document = str(config.config.labels.get(KEY_LABEL, ""))
    if hashlib.sha256(document.encode("utf-8", "surrogateescape")).hexdigest() != key:
        raise ImageError("it was not made for this key")
    if len(config.diff_ids) != 1:
        raise ImageError(f"it has {len(config.diff_ids)} diff IDs where one is expected")
    layer = Layer(descriptor=manifest.layers[0], diff_id=config.diff_ids[0], source=source)
    return Entry(
        key=key,
        document=document,
        layer=None if layer.diff_id == _EMPTY_DIFF_ID else layer,
        upon=str(config.config.labels.get(UPON_LABEL, "")),
        content=str(config.config.labels.get(CONTENT_LABEL, "")),
        created=_seconds(config.created),
        platform=config.platform,
        created_by=config.history[0].created_by if config.history else "",
    )


def _seconds(created: str) -> int:
    try:
        whole, _, _ = str(created).removesuffix("Z").partition(".")
        return int(datetime.fromisoformat(f"{whole}+00:00").timestamp())
    except ValueError:
        raise ImageError(f"its creation time is {created!r}") from None
