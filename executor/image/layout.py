"""OCI image layouts: a folder of blobs with an index (OCI image spec, image-layout.md).

    oci-layout            {"imageLayoutVersion": "1.0.0"}
    index.json            descriptors of manifests, with their names in annotations
    blobs/sha256/<hex>    manifests, configurations, layers

Written as BuildKit does: the tag in org.opencontainers.image.ref.name, the full name in io.containerd.image.name.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import stat
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, BinaryIO

from executor.dataclass import dataclass, replace
from executor.errors import ImageError
from executor.image import mediatypes
from executor.image.descriptor import Descriptor
from executor.image.manifest import Index, Manifest, parse_manifest
from executor.image.reference import Reference
from executor.image.verified import BUFFER, LARGEST_DOCUMENT, read_document, verified
from executor.replacing import replacing, write_whole

REF_NAME = "org.opencontainers.image.ref.name"
IMAGE_NAME = "io.containerd.image.name"
MARKER = b'{"imageLayoutVersion":"1.0.0"}'

_LARGEST_INDEX = 4 * LARGEST_DOCUMENT
"""Bytes of index.json, which has an entry for each layer of a cache."""
SPARED = 3600.0
"""Seconds; what was needed as lately as that may be in the hands of another process."""

Opener = Callable[[Descriptor], BinaryIO]


def _open_regular(path: str, flags: int) -> int:
    """Open a file; a pipe in its place would be waited for. Raises OSError."""
    descriptor = os.open(path, flags | os.O_NONBLOCK)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EINVAL, "it is not a regular file")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A layout on disk, opened by `read_layout`."""

    path: str
    index: Index

    def find(self, name: str) -> Descriptor | None:
        """The manifest called `name`: a full name, or a tag. The last one written wins."""
        for entry in reversed(self.index.manifests):
            if name in (entry.annotations.get(IMAGE_NAME), entry.annotations.get(REF_NAME)):
                return entry
        return None

    def open(self, descriptor: Descriptor) -> BinaryIO:
        """Read a blob, checked against `descriptor` (see `verified`). Raises ImageError when it is not there."""
        path = blob_path(self.path, descriptor)
        try:
            return verified(open(path, "rb", buffering=0, opener=_open_regular), descriptor)
        except FileNotFoundError:
            raise ImageError(f"the OCI layout {self.path} lacks blob {descriptor.digest}") from None
        except OSError as error:
            raise ImageError(f"cannot read {path}: {error.strerror}") from error

    def read(self, descriptor: Descriptor) -> bytes:
        """A manifest, an index or a configuration, checked. Raises ImageError."""
        return read_document(self.open, descriptor)


def read_layout(path: str) -> Layout:
    """Open the layout in the folder `path`. Raises ImageError when there is none or its index is malformed."""
    marker = _read_json(os.path.join(path, "oci-layout"))
    if marker.get("imageLayoutVersion") != "1.0.0":
        raise ImageError(f"{path} is an OCI layout of unknown version {marker.get('imageLayoutVersion')!r}")
    return Layout(path=path, index=_read_index(path))


def write_layout(
    path: str, manifest: Descriptor, manifest_bytes: bytes, open_blob: Opener, *, name: str = ""
) -> bool:
    """Add an image to the layout in the folder `path`, made if need be, called by a full reference or not at all.

    Other images stay; that of the same name, or the one without a name, gives way: True says that there was one.
    Its blobs are still there, see `remove_unreferenced`. `open_blob` opens the raw bytes of configuration and
    layers, for an index those of its manifests too. Processes may add to one layout at the same time. Raises
    ImageError when a blob is not what its descriptor says, OSError when the folder cannot be written.
    """
    content = content_of(manifest_bytes, manifest.media_type, open_blob)
    os.makedirs(os.path.join(path, "blobs", "sha256"), exist_ok=True)
    for blob in {blob.digest: blob for blob in content}.values():
        _write_blob(path, blob, open_blob)
    write_whole(blob_path(path, manifest), manifest_bytes)
    with locked_folder(path):
        write_whole(os.path.join(path, "oci-layout"), MARKER)
        before = _existing_index(path)
        index = _with_image(before, manifest, Reference.parse(name) if name else None)
        write_whole(os.path.join(path, "index.json"), index_bytes(index))
    return len(index.manifests) <= len(before.manifests)


def content_of(document: bytes, media_type: str, open_blob: Opener) -> Iterator[Descriptor]:
    """All blobs that a manifest or an index needs, itself excepted; the manifests of an index are read."""
    parsed = parse_manifest(document, media_type)
    if isinstance(parsed, Manifest):
        yield from (parsed.config, *parsed.layers)
        return
    for entry in parsed.manifests:
        yield entry
        content = read_document(lambda entry: verified(open_blob(entry), entry), entry)
        yield from content_of(content, entry.media_type, open_blob)


def remove_unreferenced(path: str) -> None:
    """Remove the blobs that no image of the layout has, but for those that were needed within the last hour.

    Those may belong to an image that is being written. Nothing is removed while an image cannot be read. Raises
    ImageError then, and OSError.
    """
    with locked_folder(path):
        _remove_unreferenced(read_layout(path))


def remove_images(path: str, choose: Callable[[Layout], Collection[Descriptor]]) -> None:
    """Take the images of the index that `choose` gives off it, then do what `remove_unreferenced` does.

    `choose` is called while nobody else writes. A process that is killed in between leaves blobs that the next one
    removes. Raises what `remove_unreferenced` raises.
    """
    with locked_folder(path):
        layout = read_layout(path)
        goes = {id(image) for image in choose(layout)}
        if goes:
            kept = tuple(image for image in layout.index.manifests if id(image) not in goes)
            layout = replace(layout, index=replace(layout.index, manifests=kept))
            write_whole(os.path.join(path, "index.json"), index_bytes(layout.index))
        _remove_unreferenced(layout)


def blobs_of(layout: Layout, image: Descriptor) -> Iterator[Descriptor]:
    """All blobs of an image of the layout, itself included. Raises ImageError when a manifest is damaged."""
    yield image
    yield from content_of(layout.read(image), image.media_type, layout.open)


def _remove_unreferenced(layout: Layout) -> None:
    referenced = {blob.digest for image in layout.index.manifests for blob in blobs_of(layout, image)}
    for algorithm in os.scandir(os.path.join(layout.path, "blobs")):
        for entry in os.scandir(algorithm.path):
            with contextlib.suppress(FileNotFoundError):  # a file that got its name meanwhile
                unknown = f"{algorithm.name}:{entry.name}" not in referenced
                if unknown and entry.stat().st_mtime < time.time() - SPARED:
                    os.unlink(entry.path)


def blob_path(path: str, descriptor: Descriptor) -> str:
    """Where the layout in `path` holds a blob."""
    return os.path.join(path, "blobs", descriptor.digest.algorithm, descriptor.digest.hex)


def named(descriptor: Descriptor, name: Reference, *, ref_name: str = "") -> Descriptor:
    """`descriptor` with the annotations that call it `name`; `ref_name` stands in for the tag."""
    annotations = {IMAGE_NAME: str(name), REF_NAME: ref_name or name.selector}
    return replace(descriptor, annotations={**descriptor.annotations, **annotations})


def index_bytes(index: Index) -> bytes:
    """The index as JSON, always the same bytes for equal values."""
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": index.media_type,
        "manifests": [entry.to_json() for entry in index.manifests],
    }
    if index.annotations:
        document["annotations"] = dict(sorted(index.annotations.items()))
    return json.dumps(document, separators=(",", ":")).encode()


def _with_image(index: Index, descriptor: Descriptor, name: Reference | None) -> Index:
    """`index` with the image added. A tag that an image of another repository has is written in full."""
    if name is None:
        kept = [entry for entry in index.manifests if {REF_NAME, IMAGE_NAME} & entry.annotations.keys()]
        return replace(index, manifests=(*kept, descriptor))
    kept = [entry for entry in index.manifests if not _gives_way(entry, name)]
    taken = any(entry.annotations.get(REF_NAME) == name.selector for entry in kept)
    return replace(index, manifests=(*kept, named(descriptor, name, ref_name=str(name) if taken else "")))


def _gives_way(entry: Descriptor, name: Reference) -> bool:
    """True for an image of the same full name, or of the same short one when that is all the name it has."""
    full = entry.annotations.get(IMAGE_NAME)
    return full == str(name) if full else entry.annotations.get(REF_NAME) in (name.selector, str(name))


def _existing_index(path: str) -> Index:
    if not os.path.exists(os.path.join(path, "index.json")):
        return Index(manifests=())
    return _read_index(path)


def _read_index(path: str) -> Index:
    file = os.path.join(path, "index.json")
    index = parse_manifest(json.dumps(_read_json(file)).encode(), mediatypes.OCI_INDEX)
    if not isinstance(index, Index):
        raise ImageError(f"{file} is not an image index")
    return index


def _read_json(path: str) -> Mapping[str, Any]:
    try:
        with open(path, "rb", opener=_open_regular) as file:
            content = file.read(_LARGEST_INDEX + 1)
        if len(content) > _LARGEST_INDEX:
            raise ImageError(f"{path} is larger than {_LARGEST_INDEX // 2**20} MiB, which no image needs")
        document = json.loads(content)
    except FileNotFoundError:
        raise ImageError(
            f"{os.path.dirname(path)} is not an OCI layout: it has no {os.path.basename(path)}"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise ImageError(f"cannot read {path}: {error}") from error
    if not isinstance(document, dict):
        raise ImageError(f"{path} is not a JSON object")
    return document


def _write_blob(path: str, descriptor: Descriptor, open_blob: Opener) -> None:
    target = blob_path(path, descriptor)
    with locked_folder(path, fcntl.LOCK_SH):  # nobody removes it between the look and the mark
        if os.path.exists(target) and os.stat(target).st_size == descriptor.size:
            with contextlib.suppress(OSError):  # it is needed now: see remove_unreferenced
                os.utime(target)
            return
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with replacing(target) as file, verified(open_blob(descriptor), descriptor) as stream:
        while piece := stream.read(BUFFER):
            file.write(piece)


@contextlib.contextmanager
def locked_folder(path: str, mode: int = fcntl.LOCK_EX) -> Iterator[None]:
    """Hold the folder's lock against other processes; closing the descriptor releases it. Raises OSError."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, mode)
        yield
    finally:
        os.close(folder)
