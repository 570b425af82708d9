"""Relative paths of an entry made absolute: each starts at the folder of the file in which it stands."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TypeAlias

from executor.dataclass import replace
from executor.errors import Location
from runner.buildsfile.nodes import Node

FolderOf: TypeAlias = Callable[[Location], str]
_URL = "://"
_LAYOUT = "oci-layout://"
_CACHE_FOLDERS = ("oci:", "dir:")
_SECRET_FILE = frozenset({"file"})


def folder_finder(folders: Mapping[str, str], main: str) -> FolderOf:
    """Tells the folder of a place's file; what the command line says starts at `main`."""
    return lambda place: folders.get(place.file, main)


def anchored(entry: Node, folder_of: FolderOf) -> Node:
    """The entry with whole paths everywhere but in `dockerfile`, which is looked up in two places."""
    entries = dict(entry.entries)
    for key, (change, only) in _CHANGES.items():
        if key in entries:
            entries[key] = _each(entries[key], change, folder_of, only)
    if secrets := entries.get("secrets"):
        files = {name: _each(item, _path, folder_of, _SECRET_FILE) for name, item in secrets.entries.items()}
        entries["secrets"] = replace(secrets, value=files)
    return replace(entry, value=entries)


def is_local(text: str) -> bool:
    """Whether a context is a folder of this machine."""
    return _URL not in text and not text.startswith("target:")


def _each(node: Node, change: _Change, folder_of: FolderOf, only: frozenset[str] | None = None) -> Node:
    """The texts of a tree changed; of a mapping only those of the keys `only`, where given."""
    match node.value:
        case dict() as entries:
            changed = {
                key: item if only and key not in only else _each(item, change, folder_of)
                for key, item in entries.items()
            }
            return replace(node, value=changed)
        case list() as items:
            return replace(node, value=[_each(item, change, folder_of) for item in items])
        case str() as text:
            return replace(node, value=change(folder_of(node.place), text))
        case _:
            return node


def _path(folder: str, text: str) -> str:
    return os.path.normpath(os.path.join(folder, text)) if text else ""


def _context(folder: str, text: str) -> str:
    if text.startswith(_LAYOUT):
        return _LAYOUT + _path(folder, text.removeprefix(_LAYOUT))
    return _path(folder, text) if is_local(text) else text


def _place(folder: str, text: str) -> str:
    kind, path = text[:4], text[4:]
    return kind + _path(folder, path) if kind in _CACHE_FOLDERS and path else text


_Change: TypeAlias = Callable[[str, str], str]
_CHANGES: Mapping[str, tuple[_Change, frozenset[str] | None]] = {
    "context": (_context, None),
    "contexts": (_context, None),
    "oci_layout": (_path, None),
    "tar_path": (_path, None),
    "digest_file": (_path, None),
    "image_name_with_digest_file": (_path, None),
    "image_name_tag_with_digest_file": (_path, None),
    "ssh": (_path, None),
    "cache": (_place, frozenset({"repositories", "from"})),
    "registry_certificates": (_path, None),
    "registry_client_certificates": (_path, None),
}
