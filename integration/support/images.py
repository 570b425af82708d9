"""Images as files, read the slow and clear way: an OCI layout or a `docker save` archive, by nothing of ours."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import json
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredImage:
    """An image with its layers as uncompressed tar archives in memory (test images are small), base first."""

    config: dict[str, Any]
    layers: tuple[bytes, ...]
    manifest: dict[str, Any]

    @contextlib.contextmanager
    def open_layer(self, number: int) -> Iterator[tarfile.TarFile]:
        """One layer as an archive to iterate over."""
        with tarfile.open(fileobj=io.BytesIO(self.layers[number])) as archive:
            yield archive


def read_layout(folder: Path, reference: str = "", *, above: int = 0) -> StoredImage:
    """The image of an OCI layout: the only one, or the one annotated with `reference`; see `read_image`."""
    index = json.loads((folder / "index.json").read_text())
    found = [
        descriptor
        for descriptor in index["manifests"]
        if reference in ("", descriptor.get("annotations", {}).get("org.opencontainers.image.ref.name"))
    ]
    assert len(found) == 1, f"{folder} holds {len(found)} images that fit {reference!r}"
    return read_image(folder, found[0]["digest"], above=above)


def read_index(folder: Path) -> dict[str, Any]:
    """The only image of an OCI layout, which is an index."""
    (entry,) = json.loads((folder / "index.json").read_text())["manifests"]
    index: dict[str, Any] = json.loads(_blob(folder, entry["digest"]))
    return index


def read_image(folder: Path, digest: str, *, above: int = 0) -> StoredImage:
    """The image of an OCI layout whose manifest has the digest, without the lowest `above` layers."""
    manifest = json.loads(_blob(folder, digest))
    return StoredImage(
        config=json.loads(_blob(folder, manifest["config"]["digest"])),
        layers=tuple(_inflate(_blob(folder, layer["digest"])) for layer in (manifest["layers"] or ())[above:]),
        manifest=manifest,
    )


def read_docker_archive(file: Path, *, above: int = 0) -> StoredImage:
    """The only image of a `docker save` archive, without the lowest `above` layers."""
    with tarfile.open(file) as archive:

        def content(name: str) -> bytes:
            member = archive.extractfile(name)
            assert member is not None, f"{file} lacks {name}"
            return member.read()

        (manifest,) = json.loads(content("manifest.json"))
        return StoredImage(
            config=json.loads(content(manifest["Config"])),
            layers=tuple(_inflate(content(name)) for name in manifest["Layers"][above:]),
            manifest=manifest,
        )


def _blob(folder: Path, digest: str) -> bytes:
    return (folder / "blobs" / digest.replace(":", "/")).read_bytes()


def _inflate(data: bytes) -> bytes:
    if data.startswith(b"\x1f\x8b"):
        return gzip.decompress(data)
    if data.startswith(b"BZh"):
        return bz2.decompress(data)
    if data.startswith(b"\x28\xb5\x2f\xfd"):
        return subprocess.run(["zstd", "-dc"], input=data, capture_output=True, check=True).stdout
    return data
