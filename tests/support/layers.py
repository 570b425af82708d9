"""Entries of layers, with the defaults that tests want, and their content."""

from __future__ import annotations

from typing import Any

from executor.image.layer import EntryType, LayerEntry

Item = tuple[LayerEntry, bytes]


def item(name: str, kind: EntryType, content: bytes = b"", **fields: Any) -> Item:
    """An entry with defaults, and its content."""
    mode = 0o755 if kind is EntryType.DIRECTORY else 0o644
    entry = LayerEntry(**({"name": name, "type": kind, "mode": mode, "size": len(content)} | fields))
    return entry, content


def file(name: str, content: bytes = b"x", **fields: Any) -> Item:
    """A file."""
    return item(name, EntryType.FILE, content, **fields)


def directory(name: str, **fields: Any) -> Item:
    """A directory."""
    return item(name, EntryType.DIRECTORY, **fields)


def symlink(name: str, link: str) -> Item:
    """A symbolic link."""
    return item(name, EntryType.SYMLINK, link=link, mode=0o777)


def whiteout(name: str) -> Item:
    """The whiteout that hides `name`."""
    folder, _, base = name.rpartition("/")
    return file(f"{folder}/.wh.{base}".lstrip("/"), b"", mode=0)
