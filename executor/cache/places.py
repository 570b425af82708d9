"""Where entries are kept, by key: a repository of a registry, an OCI layout, a folder.

registry.example.com/team/app/cache     the image REPOSITORY:KEY, kaniko's layout
oci:/path                               the image with the name KEY in the layout's index
dir:/path                               /path/KEY/{manifest,config}.json and layer, one folder an entry

The last two are kept within a size by pruning.py. An entry that goes while it is read is one that is not there.
When it was last used is the time of its manifest's file.
"""

from __future__ import annotations

import io
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO, Protocol

from executor.cache.entry import Entry, EntryImage, entry_manifest, from_image
from executor.errors import ImageError, NotFoundError, UsageError
from executor.image.descriptor import Descriptor
from executor.image.digest import Digest
from executor.image.layout import Layout, blob_path, locked_folder, read_layout, write_layout
from executor.image.manifest import Manifest
from executor.image.reference import Reference
from executor.image.verified import BUFFER, LARGEST_DOCUMENT, read_document, verified
from executor.registry.client import RegistryClient
from executor.store import BlobStore

UNFINISHED = ".new-"
"""How the names of folders begin, in a folder of entries, that will be an entry or were one."""

OpenLayer = Callable[[], BinaryIO]
"""Opens the compressed bytes of an entry's layer; may be called again for each try."""

Holder = Callable[[str, Digest], str]
"""The `registry/repository` of a registry that has a blob by now, '' for none; may wait for it to get there."""

LAYOUT, FOLDER = "oci:", "dir:"
LAYOUT_NAME = "cache.invalid/layers"
"""Entries in a layout need a full image name; this one can be pulled from nowhere."""


class Place(Protocol):
    """Keeps entries. Safe for several threads and processes."""

    @property
    def name(self) -> str:
        """The place as it was written."""

    def get(self, key: str) -> Entry | None:
        """The entry of `key`, None when there is none. Its layer can be had: from `Layer.source` or the store.

        Raises ImageError for an entry that is damaged or not one of ours, RegistryError or OSError when the
        place cannot be read.
        """

    def put(self, key: str, image: EntryImage, open_layer: OpenLayer) -> None:
        """Keep `image` as the entry of `key`, in place of one that is there.

        Raises RegistryError, ImageError or OSError.
        """


def _nobody(_registry: str, _digest: Digest) -> str:
    return ""


def open_place(text: str, client: RegistryClient, blobs: BlobStore, holder: Holder = _nobody) -> Place:
    """The place that `text` names; see the module. Raises UsageError when it is none.

    What `holder` has in the same registry is mounted from there instead of sent.
    """
    if text.startswith(LAYOUT):
        return LayoutPlace(text, blobs)
    if text.startswith(FOLDER):
        return FolderPlace(text, blobs)
    return RegistryPlace(text, client, holder)


def repository_of(text: str) -> str:
    """The `registry/repository` that a place is, as in `Layer.source`; '' for a folder."""
    return "" if text.startswith((LAYOUT, FOLDER)) else Reference.parse(text, default_tag="").name


def check_place(text: str) -> None:
    """Raise UsageError when `text` names no place."""
    for prefix in (LAYOUT, FOLDER):
        if text.startswith(prefix):
            if not text.removeprefix(prefix):
                raise UsageError(f"the layer cache {text!r} names no folder", hint=f"write {prefix}/path")
            return
    reference = Reference.parse(text, default_tag="")
    if reference.tag or reference.digest:
        raise UsageError(
            f"the layer cache {text!r} has a tag or a digest",
            hint=f"name the repository alone: {reference.name}; entries are its tags",
        )


class RegistryPlace:
    """A repository; layers stay there until something needs their bytes."""

    def __init__(self, text: str, client: RegistryClient, holder: Holder) -> None:
        check_place(text)
        self.name = text
        self._repository = Reference.parse(text, default_tag="")
        self._client = client
        self._holder = holder

    def get(self, key: str) -> Entry | None:
        """See `Place.get`."""
        try:
            fetched = self._client.get_manifest(self._reference(key))
        except NotFoundError:
            return None
        manifest = entry_manifest(fetched.content, fetched.descriptor.media_type)
        repository = self._repository.name
        try:
            config_bytes = read_document(partial(self._client.open_blob, repository), manifest.config)
        except NotFoundError:
            raise ImageError("the registry has its manifest but not its configuration") from None
        if not self._client.has_blob(repository, manifest.layers[0].digest):
            raise ImageError("the registry has its manifest but not its layer")
        return from_image(key, manifest, config_bytes, source=repository)

    def put(self, key: str, image: EntryImage, open_layer: OpenLayer) -> None:
        """See `Place.put`."""
        self._bring(image.layer, open_layer)
        self._bring(image.config, _opener(image.config_bytes))
        self._client.put_manifest(self._reference(key), image.manifest.media_type, image.manifest_bytes)

    def _bring(self, blob: Descriptor, open_blob: OpenLayer) -> None:
        name = self._repository.name
        if not self._client.has_blob(name, blob.digest):
            source = self._holder(self._repository.registry, blob.digest)
            self._client.upload_blob(name, blob, open_blob, mount_from=source)

    def _reference(self, key: str) -> Reference:
        return Reference(self._repository.registry, self._repository.repository, key)


class LayoutPlace:
    """An OCI layout. A layer that is read is checked and brought to the store at once."""

    def __init__(self, text: str, blobs: BlobStore) -> None:
        check_place(text)
        self.name = text
        self._path = os.path.abspath(text.removeprefix(LAYOUT))
        self._blobs = blobs
        self._lock = threading.Lock()
        self._known: tuple[object, Layout] | None = None

    def get(self, key: str) -> Entry | None:
        """See `Place.get`. A damaged blob is removed, so that the next `put` writes it anew."""
        layout = self._layout()
        if layout is None:
            return None
        found = layout.find(key)
        if found is None:
            return None
        _mark(blob_path(self._path, found))
        with self._mending(found):
            manifest_bytes = layout.read(found)
        manifest = entry_manifest(manifest_bytes, found.media_type)
        with self._mending(manifest.config):
            config_bytes = layout.read(manifest.config)
        entry = from_image(key, manifest, config_bytes)
        with self._mending(manifest.layers[0]):
            _import_layer(entry, manifest, self._blobs, lambda: layout.open(manifest.layers[0]))
        return entry

    def _layout(self) -> Layout | None:
        """The layout as it is now, read anew when its index is another: it may have thousands of entries."""
        with self._lock:
            try:
                status = os.stat(os.path.join(self._path, "index.json"))
            except FileNotFoundError:
                return None
            state = (status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size)
            if self._known is None or self._known[0] != state:
                self._known = state, read_layout(self._path)
            return self._known[1]

    @contextmanager
    def _mending(self, blob: Descriptor) -> Iterator[None]:
        """Remove a blob that proves damaged: writing an image leaves blobs alone that are there."""
        try:
            yield
        except ImageError:
            Path(blob_path(self._path, blob)).unlink(missing_ok=True)
            raise

    def put(self, key: str, image: EntryImage, open_layer: OpenLayer) -> None:
        """See `Place.put`."""

        def opened(descriptor: Descriptor) -> BinaryIO:
            return open_layer() if descriptor.digest == image.layer.digest else _opener(image.config_bytes)()

        write_layout(self._path, image.manifest, image.manifest_bytes, opened, name=f"{LAYOUT_NAME}:{key}")


class FolderPlace:
    """A folder with a folder for each entry, which appears whole by rename."""

    def __init__(self, text: str, blobs: BlobStore) -> None:
        check_place(text)
        self.name = text
        self._path = Path(text.removeprefix(FOLDER)).absolute()
        self._blobs = blobs

    def get(self, key: str) -> Entry | None:
        """See `Place.get`."""
        folder = self._path / key
        _mark(str(folder / "manifest.json"))
        try:
            manifest = entry_manifest(_small(folder / "manifest.json"))
        except FileNotFoundError:
            return None
        try:
            entry = from_image(key, manifest, _small(folder / "config.json"))
            _import_layer(entry, manifest, self._blobs, lambda: (folder / "layer").open("rb"))
        except FileNotFoundError as error:
            if not folder.exists():
                return None
            raise ImageError(f"{error.filename} is missing") from error
        return entry

    def put(self, key: str, image: EntryImage, open_layer: OpenLayer) -> None:
        """See `Place.put`."""
        self._path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._path, prefix=UNFINISHED) as new:
            folder = Path(new, "entry")
            folder.mkdir()
            (folder / "manifest.json").write_bytes(image.manifest_bytes)
            (folder / "config.json").write_bytes(image.config_bytes)
            with (folder / "layer").open("wb") as file, verified(open_layer(), image.layer) as stream:
                shutil.copyfileobj(stream, file, BUFFER)
            with locked_folder(str(self._path)):
                if (self._path / key).is_dir():
                    os.rename(self._path / key, Path(new, "old"))
                os.rename(folder, self._path / key)


def _small(path: Path) -> bytes:
    """A manifest or a configuration. Raises ImageError for what is too large for one, and OSError."""
    with path.open("rb") as file:
        content = file.read(LARGEST_DOCUMENT + 1)
    if len(content) > LARGEST_DOCUMENT:
        raise ImageError(f"{path} is too large for a manifest or a configuration")
    return content


def _mark(file: str) -> None:
    """Note that an entry is used now; what may not be written is somebody else's to keep within a size."""
    with suppress(OSError):
        os.utime(file)


def _import_layer(entry: Entry, manifest: Manifest, blobs: BlobStore, open_layer: OpenLayer) -> None:
    """Have the entry's layer in the store. Raises ImageError when it is not what its descriptor says."""
    if entry.layer is None or blobs.has(manifest.layers[0].digest):
        return
    with blobs.writer() as writer, verified(open_layer(), manifest.layers[0]) as stream:
        while piece := stream.read(BUFFER):
            writer.write(piece)
        writer.commit(manifest.layers[0].digest, manifest.layers[0].size)


def _opener(content: bytes) -> OpenLayer:
    return lambda: io.BytesIO(content)
