"""Image archives as `docker save` writes them since version 25: OCI layout and docker's manifest.json in one tar.

    oci-layout  index.json  manifest.json  blobs/sha256/<hex>…

`docker load` of any version reads manifest.json, containerd the index; skopeo reads both, as docker-archive and as
oci-archive. Layers are the blobs that registries hold, compressed or not. Equal images give equal bytes.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from executor.errors import ImageError
from executor.image.descriptor import Descriptor
from executor.image.layout import MARKER, Opener, index_bytes, named
from executor.image.manifest import Index, Manifest, parse_manifest
from executor.image.reference import Reference
from executor.image.verified import BUFFER, verified
from executor.replacing import replacing


def write_archive(path: str, manifest_bytes: bytes, open_blob: Opener, *, tags: Sequence[Reference] = ()) -> None:
    """Write one image to the file `path`, which is replaced only when all is well.

    `open_blob` opens the raw bytes of configuration and layers. Raises ImageError when a blob is not what its
    descriptor says, OSError when the file cannot be written.
    """
    manifest = parse_manifest(manifest_bytes)
    if not isinstance(manifest, Manifest):
        raise ImageError("an archive holds one image, not an index")
    own = Descriptor.of(manifest.media_type, manifest_bytes)
    with replacing(path) as file, _tar(file) as tar:
        for name, content in _documents(own, manifest, tags):
            _add_bytes(tar, name, content)
        _add_folders(tar, own)
        _add_bytes(tar, _blob_name(own), manifest_bytes)
        for descriptor in {entry.digest: entry for entry in (manifest.config, *manifest.layers)}.values():
            _add_blob(tar, descriptor, open_blob)


def _documents(own: Descriptor, manifest: Manifest, tags: Sequence[Reference]) -> Iterator[tuple[str, bytes]]:
    image = {
        "Config": _blob_name(manifest.config),
        "RepoTags": [Reference(name.registry, name.repository, name.tag).familiar() for name in tags],
        "Layers": [_blob_name(layer) for layer in manifest.layers],
    }
    entries = tuple(named(own, name) for name in tags) or (own,)
    yield "oci-layout", MARKER
    yield "index.json", index_bytes(Index(manifests=entries))
    yield "manifest.json", json.dumps([image], separators=(",", ":")).encode()


def _tar(file: BinaryIO) -> tarfile.TarFile:
    return tarfile.TarFile(fileobj=file, mode="w", format=tarfile.PAX_FORMAT, copybufsize=BUFFER)


def _add_folders(tar: tarfile.TarFile, descriptor: Descriptor) -> None:
    for name in ("blobs", f"blobs/{descriptor.digest.algorithm}"):
        folder = tarfile.TarInfo(name)
        folder.type, folder.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(folder)


def _add_bytes(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    tar.addfile(_file(name, len(content)), io.BytesIO(content))


def _add_blob(tar: tarfile.TarFile, descriptor: Descriptor, open_blob: Opener) -> None:
    with verified(open_blob(descriptor), descriptor) as stream:
        tar.addfile(_file(_blob_name(descriptor), descriptor.size), stream)
        stream.read(1)  # the end of the blob, where it is checked


def _file(name: str, size: int) -> tarfile.TarInfo:
    """A member without owner or time, so that nothing but the content decides the bytes."""
    member = tarfile.TarInfo(name)
    member.size = size
    return member


def _blob_name(descriptor: Descriptor) -> str:
    return f"blobs/{descriptor.digest.algorithm}/{descriptor.digest.hex}"
