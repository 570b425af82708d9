"""Keeping local places within a size: what was not used for longest goes first, nothing that was within the hour.

Those who write and those who remove hold the folder's lock. Who reads holds none: all is compared with its digest,
and what is gone is a miss. A process that is killed leaves files that no entry has; they go after an hour.
"""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

from executor.cache.places import LAYOUT, LAYOUT_NAME, UNFINISHED, repository_of
from executor.dataclass import dataclass, field
from executor.errors import ImageError, UsageError
from executor.image.descriptor import Descriptor
from executor.image.layout import (
    IMAGE_NAME,
    SPARED,
    Layout,
    blob_path,
    blobs_of,
    locked_folder,
    read_layout,
    remove_images,
)
from executor.removal import remove_tree
from executor.spec import CacheOptions, PruneResult, PruneSpec
from executor.store import allowance

KIND = "cached layer"
_BLOCK = 512
_FILES = frozenset(("manifest.json", "config.json", "layer"))
_KEY = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """An entry: when it was last used, in seconds since the epoch, and its files with their bytes on disk.

    Entries of a layout share files. One that is `damaged` goes in any case.
    """

    name: str
    used: float = 0.0
    files: Mapping[str, int] = field(default_factory=dict)
    damaged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Choice:
    """The entries that go, and the bytes that are left then."""

    goes: tuple[_Kept, ...]
    freed: int
    left: int

    def result(self) -> PruneResult:
        removed = {KIND: len(self.goes)} if self.goes else {}
        return PruneResult(removed=removed, freed=self.freed, left=self.left)


def trim_place(place: str, options: CacheOptions, *, dry_run: bool = False) -> PruneResult:
    """Remove what a build removes of a place that it has written to. Raises what `prune_place` raises.

    That is what nobody has used for --cache-ttl, or for the usual one if that is longer: others may count on it.
    """
    old = max(options.ttl, CacheOptions().ttl)
    wanted = PruneSpec(keep=options.size or None, older_than=old, dry_run=dry_run)
    return prune_place(place, wanted, by_disk=options.size is None)


def prune_place(place: str, wanted: PruneSpec, *, by_disk: bool = False) -> PruneResult:
    """Remove what `wanted` says from the place `oci:/path` or `dir:/path`; `by_disk`: also too much for the disk.

    Raises UsageError when it is none, ImageError when a layout cannot be read, and OSError.
    """
    if repository_of(place):
        raise UsageError(
            f"the layer cache {place!r} is no folder of this machine",
            hint="name dir:/path or oci:/path; a registry removes by its own rules",
        )
    path = os.path.abspath(place.partition(":")[2])
    if not os.path.isdir(path):
        raise UsageError(f"there is no layer cache in {path}")
    prune = _prune_layout if place.startswith(LAYOUT) else _prune_folder
    return prune(path, wanted, by_disk)


def _choose(path: str, kept: Iterable[_Kept], wanted: PruneSpec, by_disk: bool) -> _Choice:
    entries = sorted(kept, key=lambda entry: entry.used)
    sizes = {file: size for entry in entries for file, size in entry.files.items()}
    users = Counter(file for entry in entries for file in entry.files)
    before = left = sum(sizes.values())
    bound = allowance(path, lambda: before) if by_disk else wanted.keep
    goes = []
    for entry in entries:
        if not entry.damaged and not _goes(entry, wanted, bound is not None and left > bound):
            continue
        goes.append(entry)
        users.subtract(list(entry.files))
        left -= sum(sizes[file] for file in entry.files if not users[file])
    return _Choice(goes=tuple(goes), freed=before - left, left=left)


def _goes(entry: _Kept, wanted: PruneSpec, too_much: bool) -> bool:
    age = time.time() - entry.used
    if age < SPARED:
        return False
    return too_much or wanted.everything or (wanted.older_than is not None and age > wanted.older_than)


def _prune_layout(path: str, wanted: PruneSpec, by_disk: bool) -> PruneResult:
    chosen: list[_Choice] = []

    def choose(layout: Layout) -> list[Descriptor]:
        chosen.append(_choose(path, _entries_of_layout(layout), wanted, by_disk))
        names = {entry.name for entry in chosen[0].goes}
        return [image for image in layout.index.manifests if image.annotations.get(IMAGE_NAME) in names]

    if wanted.dry_run:
        choose(read_layout(path))
    else:
        remove_images(path, choose)
    return chosen[0].result()


def _entries_of_layout(layout: Layout) -> Iterator[_Kept]:
    """The entries of a layout, which may have other images too."""
    ours: list[Descriptor] = []
    others: list[Descriptor] = []
    for image in layout.index.manifests:
        name = image.annotations.get(IMAGE_NAME, "")
        (ours if name.startswith(f"{LAYOUT_NAME}:") else others).append(image)
    kept = {blob.digest for image in others for blob in blobs_of(layout, image)}
    for image in ours:
        name = image.annotations[IMAGE_NAME]
        try:
            files = [blob_path(layout.path, blob) for blob in blobs_of(layout, image) if blob.digest not in kept]
            used = os.stat(blob_path(layout.path, image)).st_mtime
            yield _Kept(name=name, used=used, files={file: _disk_size(file) for file in files})
        except (ImageError, OSError):
            yield _Kept(name=name, damaged=True)


def _prune_folder(path: str, wanted: PruneSpec, by_disk: bool) -> PruneResult:
    choice = _choose(path, _entries_of_folder(path), wanted, by_disk)
    if wanted.dry_run:
        return choice.result()
    with tempfile.TemporaryDirectory(dir=path, prefix=UNFINISHED) as gone:
        for entry in choice.goes:
            _set_aside(path, entry, gone)
    for found in os.scandir(path):
        if found.name.startswith(UNFINISHED) and _newest(found.path) < time.time() - SPARED:
            remove_tree(found.path)
    return choice.result()


def _set_aside(path: str, entry: _Kept, gone: str) -> None:
    """Move an entry to the folder `gone`, unless somebody has used or replaced it meanwhile, or it is not ours."""
    folder = os.path.join(path, entry.name)
    with suppress(OSError), locked_folder(path):
        if entry.damaged or _used(folder) == entry.used:
            os.rename(folder, os.path.join(gone, entry.name))


def _entries_of_folder(path: str) -> Iterator[_Kept]:
    for found in os.scandir(path):
        if not _KEY.fullmatch(found.name) or not found.is_dir(follow_symlinks=False):
            continue
        try:
            files = {file.path: _disk_size(file.path) for file in os.scandir(found.path)}
            if {
                os.path.basename(file) for file in files
            } <= _FILES:  # else it is somebody else's, whatever its name
                yield _Kept(name=found.name, used=_used(found.path), files=files)
        except OSError:
            yield _Kept(name=found.name, damaged=True)


def _used(folder: str) -> float:
    return os.stat(os.path.join(folder, "manifest.json")).st_mtime


def _disk_size(file: str) -> int:
    return os.stat(file, follow_symlinks=False).st_blocks * _BLOCK


def _newest(folder: str) -> float:
    """When something in the folder was last changed."""
    times = [0.0]
    for root, _, names in os.walk(folder):
        with suppress(OSError):
            times += [os.stat(os.path.join(root, name)).st_mtime for name in (".", *names)]
    return max(times)
