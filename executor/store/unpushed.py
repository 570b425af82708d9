"""Images that registries still lack: an OCI layout each, beside it what is to be done with it.

    HOME/unpushed/<name>/push.json                        where it goes and how registries are reached
    HOME/unpushed/<name>/{oci-layout,index.json,blobs/}   the image; blobs are hard links to the store's

A folder appears and goes by rename. A layer that only a registry has is not in the layout: push.json says where.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from executor.dataclass import dataclass, replace
from executor.errors import ImageError, UnfitError
from executor.image.descriptor import Descriptor
from executor.image.digest import Digest
from executor.image.layout import MARKER, Layout, blob_path, index_bytes, named, read_layout
from executor.image.manifest import Index
from executor.image.reference import Reference
from executor.removal import remove_tree
from executor.replacing import write_whole
from executor.store.blobs import BlobStore

_RECORD = "push.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpushed:
    """An image that waits. `destinations` are the references that lack it; `record` is what the builder noted."""

    name: str
    root: Descriptor
    destinations: tuple[str, ...]
    record: dict[str, Any]
    layout: Layout

    def has(self, descriptor: Descriptor) -> bool:
        """True when the blob is here."""
        return os.path.exists(blob_path(self.layout.path, descriptor))

    def open(self, descriptor: Descriptor) -> BinaryIO:
        """A blob, verified. Raises ImageError when it is not here, or not what it should be."""
        return self.layout.open(descriptor)


class UnpushedImages:
    """The folder of images that wait. Safe for several processes; `scratch` is on the same file system."""

    def __init__(self, root: str, blobs: BlobStore, scratch: str) -> None:
        self._root = root
        self._blobs = blobs
        self._scratch = scratch

    def keep(
        self,
        name: str,
        root: Descriptor,
        content: Iterable[Descriptor],
        *,
        destinations: Iterable[str],
        record: dict[str, Any],
    ) -> None:
        """Let the image `root`, whose blobs are `root` and `content`, wait in the folder `name`.

        It takes the place of what waited there, and of any other image that waited for the same destinations: the
        last one built is the one that a tag shall name. Raises UnfitError when the disk does not take it.
        """
        wanted = tuple(destinations)
        try:
            folder = tempfile.mkdtemp(prefix="unpushed-", dir=self._scratch)
            self._fill(folder, root, content, wanted, record)
            with self._locked():
                for other in self.names():
                    if other != name:
                        self._drop(other, wanted)
                self._replace(name, folder)
        except OSError as error:
            raise UnfitError(f"cannot keep the image in {self._root}: {error.strerror}") from error

    def get(self, name: str) -> Unpushed:
        """The image that waits in the folder `name`. Raises ImageError when there is none, or it is damaged."""
        folder = os.path.join(self._root, name)
        try:
            document = json.loads(Path(folder, _RECORD).read_text())
            layout = read_layout(folder)
            return Unpushed(
                name=name,
                root=layout.index.manifests[0],
                destinations=tuple(document["destinations"]),
                record=document["record"],
                layout=layout,
            )
        except FileNotFoundError:
            raise ImageError(f"no image waits in {folder}") from None
        except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
            raise ImageError(f"the image that waits in {folder} is damaged: {error!r}") from error

    def names(self) -> list[str]:
        """The folders of the images that wait."""
        return sorted(entry.name for entry in os.scandir(self._root) if entry.is_dir())

    def settle(self, name: str, digest: Digest, destinations: Iterable[str]) -> None:
        """Note that `destinations` have the image `digest` now; with the last of them its folder goes.

        Nothing happens when another image has taken its place.
        """
        with self._locked(), contextlib.suppress(ImageError):
            if self.get(name).root.digest == digest:
                self._drop(name, tuple(destinations))

    def _drop(self, name: str, destinations: tuple[str, ...]) -> None:
        """Take destinations off the list. A damaged image stays as it is, for someone to look at."""
        try:
            image = self.get(name)
        except ImageError:
            return
        left = [reference for reference in image.destinations if reference not in destinations]
        if not left:
            self._discard(name)
        elif len(left) < len(image.destinations):
            document = {"destinations": left, "record": image.record}
            write_whole(os.path.join(self._root, name, _RECORD), json.dumps(document).encode())

    def _fill(
        self,
        folder: str,
        root: Descriptor,
        content: Iterable[Descriptor],
        destinations: tuple[str, ...],
        record: dict[str, Any],
    ) -> None:
        for descriptor in {blob.digest: blob for blob in (root, *content)}.values():
            self._link(descriptor, blob_path(folder, descriptor))
        write_whole(os.path.join(folder, "index.json"), index_bytes(_index(root, destinations)))
        write_whole(os.path.join(folder, "oci-layout"), MARKER)
        document = {"destinations": list(destinations), "record": record}
        write_whole(os.path.join(folder, _RECORD), json.dumps(document).encode())

    def _link(self, descriptor: Descriptor, target: str) -> None:
        """The blob under a second name; a copy where the file system has no hard links."""
        source = self._blobs.path(descriptor.digest)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            try:
                os.link(source, target)
            except PermissionError:
                shutil.copyfile(source, target)

    def _replace(self, name: str, folder: str) -> None:
        self._discard(name)
        os.rename(folder, os.path.join(self._root, name))

    def _discard(self, name: str) -> None:
        gone = tempfile.mkdtemp(prefix="settled-", dir=self._scratch)
        with contextlib.suppress(FileNotFoundError):
            os.rename(os.path.join(self._root, name), gone)
        remove_tree(gone)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        folder = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)


def _index(root: Descriptor, destinations: tuple[str, ...]) -> Index:
    """One entry a destination. Tags alone could be the same in two repositories: with several, all are in full."""
    bare = replace(root, annotations={})
    references = [Reference.parse(text) for text in destinations]
    in_full = len(references) > 1
    return Index(manifests=tuple(named(bare, ref, ref_name=str(ref) if in_full else "") for ref in references))
