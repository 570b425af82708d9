"""The image that a command line names on disk: `PATH`, `PATH:TAG` or `PATH@DIGEST` of a layout or an archive."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from executor.dataclass import dataclass
from executor.errors import ImageError, UsageError
from executor.image import mediatypes
from executor.image.archiveread import ArchivedLayout, SavedImage, layout_in, read_archive, saved_images
from executor.image.descriptor import Descriptor
from executor.image.layout import IMAGE_NAME, REF_NAME, Layout, Opener, read_layout
from executor.image.manifest import Index, parse_manifest
from executor.image.reference import Reference
from executor.image.verified import read_document
from executor.push.saved import ConvertedImage

_SHOWN = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageOnDisk:
    """An image that was found: what describes its manifest or index, and who opens that and all it names."""

    descriptor: Descriptor
    open: Opener


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """One of the images in a place. `names` are full names and tags, the first the one to show."""

    names: tuple[str, ...]
    digest: str
    load: Callable[[], ImageOnDisk]


def find_in_layout(text: str) -> ImageOnDisk:
    """The image `PATH[:TAG|@DIGEST]` of an OCI layout; without a tag or digest the only one.

    Raises UsageError when there is no such folder, or several images; ImageError when it is no layout, or has no
    such image.
    """
    path, wanted = _split(text, "OCI layout")
    if not os.path.isdir(path):
        raise UsageError(f"{path} is a file where a folder was expected", hint="an archive is given by --tar-path")
    return _in_layout(path, wanted, read_layout(path))


def find_in_archive(text: str, scratch: Callable[[], str]) -> ImageOnDisk:
    """The same of an archive, docker's or OCI's. `scratch` makes a folder for layers that have to be compressed.

    Raises what `find_in_layout` raises.
    """
    path, wanted = _split(text, "archive")
    if os.path.isdir(path):
        raise UsageError(f"{path} is a folder where a file was expected", hint="give it by --oci-layout-path")
    if not os.path.isfile(path):
        raise UsageError(f"{path} is no file that can be read from any place", hint="copy it into one first")
    archive = read_archive(path)
    layout = layout_in(archive)
    if layout:
        return _in_layout(path, wanted, layout)

    candidates = []
    for saved in saved_images(archive):

        def load(saved: SavedImage = saved) -> ImageOnDisk:
            converted = ConvertedImage(archive, saved, scratch)
            return ImageOnDisk(descriptor=converted.descriptor, open=converted.open)

        candidates.append(_Candidate(names=tuple(_forms(saved.tags)), digest="", load=load))
    return _chosen(path, wanted, candidates)


def _split(text: str, kind: str) -> tuple[str, str]:
    """The path, which exists, and what follows it: `:TAG`, `@DIGEST` or nothing."""
    if os.path.exists(text):
        return text, ""
    for position, character in enumerate(text):
        if character in ":@" and os.path.exists(text[:position]):
            return text[:position], text[position:]
    hint = "was it built in this job, or handed on by the one before (artifacts, a volume)?"
    raise UsageError(f"there is no {kind} {text}", hint=hint)


def _in_layout(path: str, wanted: str, layout: Layout | ArchivedLayout) -> ImageOnDisk:
    candidates = list(_of_layout(layout))
    if wanted.startswith("@") and all(candidate.digest != wanted[1:] for candidate in candidates):
        candidates += _of_platforms(layout)
    return _chosen(path, wanted, candidates)


def _of_platforms(layout: Layout | ArchivedLayout) -> Iterator[_Candidate]:
    """The images within its indexes, for who wants one platform only."""
    for entry in layout.index.manifests:
        if entry.media_type not in mediatypes.INDEXES:
            continue
        parsed = parse_manifest(read_document(layout.open, entry), entry.media_type)
        for child in parsed.manifests if isinstance(parsed, Index) else ():
            load = partial(ImageOnDisk, descriptor=child, open=layout.open)
            yield _Candidate(names=(), digest=child.digest, load=load)


def _of_layout(layout: Layout | ArchivedLayout) -> Iterator[_Candidate]:
    """Its images, each once, whatever the number of its names; of equal names the last counts."""
    taken: set[str] = set()
    found: dict[str, tuple[Descriptor, list[str]]] = {}
    for entry in reversed(layout.index.manifests):
        given = (entry.annotations.get(IMAGE_NAME, ""), entry.annotations.get(REF_NAME, ""))
        names = [name for name in dict.fromkeys(given) if name and name not in taken]
        taken.update(names)
        found.setdefault(entry.digest, (entry, []))[1].extend(names)
    for descriptor, names in reversed(found.values()):
        load = partial(ImageOnDisk, descriptor=descriptor, open=layout.open)
        yield _Candidate(names=tuple(names), digest=descriptor.digest, load=load)


def _forms(tags: Sequence[str]) -> Iterator[str]:
    """What the images of docker's archives are called by: names as they stand, in full, and tags alone."""
    yield from tags
    for text in tags:
        yield from (_in_full(text), text.rpartition(":")[2])


def _in_full(name: str) -> str:
    """A short name, as app:1, the way layouts and archives have it; a tag as it is."""
    try:
        return str(Reference.parse(name)) if ":" in name or "/" in name else name
    except UsageError:
        return name


def _chosen(path: str, wanted: str, candidates: Sequence[_Candidate]) -> ImageOnDisk:
    if not candidates:
        raise ImageError(f"{path} has no image")
    if not wanted:
        if len(candidates) > 1:
            raise UsageError(f"{path} has {len(candidates)} images", hint=f"name one: {_known(path, candidates)}")
        return candidates[0].load()
    name = wanted[1:]
    for candidate in candidates:
        if name == candidate.digest if wanted[0] == "@" else {name, _in_full(name)} & {*candidate.names}:
            return candidate.load()
    raise ImageError(f"{path} has no image {name}", hint=f"it has {_known(path, candidates)}")


def _known(path: str, candidates: Sequence[_Candidate]) -> str:
    shown = [
        f"{path}:{candidate.names[0]}" if candidate.names else f"{path}@{candidate.digest}"
        for candidate in candidates[:_SHOWN]
        if candidate.names or candidate.digest
    ]
    more = len(candidates) - len(shown)
    return ", ".join([*shown, *([f"{more} more"] if more else [])])
