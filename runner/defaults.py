"""Lays the entries of a builds file over its `defaults`: maps key by key, everything else replaced.

Values keep the place they came from, so a fault of an inherited value points at the line in `defaults`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from runner.findings import KeyPath
from runner.yamlfile import Document

_SYNONYMS = {"tags": "destinations"}


def without_extensions(document: Document) -> Document:
    """The document without its `x-*` keys. Where anchors of theirs are used, their values stay."""
    if not isinstance(document.value, dict):
        return document
    value = {key: _stripped(item) for key, item in document.value.items() if not key.startswith("x-")}
    return dataclasses.replace(document, value=value)


def with_defaults(document: Document) -> Document:
    """The document with each of its `builds` merged over `defaults`, and `tags` called `destinations`."""
    merging = _Merging()
    defaults = document.value.get("defaults", {})
    builds = [
        merging.over(entry, defaults, ("builds", index), ("defaults",))
        if isinstance(entry, dict) and isinstance(defaults, dict)
        else entry
        for index, entry in enumerate(document.value["builds"])
    ]
    origins = merging.origins
    return dataclasses.replace(
        document,
        value={**document.value, "builds": builds},
        positions={**document.positions, **_moved(document.positions, origins)},
        keys={**document.keys, **_moved(document.keys, origins)},
        scalars={**document.scalars, **_moved(document.scalars, origins)},
    )


def _stripped(value: Any) -> Any:
    """Entries without their own `x-*` keys; deeper maps (args, labels) may have such names for real."""
    match value:
        case dict():
            return {key: item for key, item in value.items() if not key.startswith("x-")}
        case list():
            return [_stripped(item) if isinstance(item, dict) else item for item in value]
        case _:
            return value


def _moved(facts: Any, origins: dict[KeyPath, KeyPath]) -> dict[KeyPath, Any]:
    return {path: facts[origin] for path, origin in origins.items() if origin in facts}


class _Merging:
    """`origins` maps each path of a merged entry to the path in the file that its value comes from."""

    def __init__(self) -> None:
        self.origins: dict[KeyPath, KeyPath] = {}

    def over(self, own: dict[str, Any], base: dict[str, Any], path: KeyPath, base_path: KeyPath) -> dict[str, Any]:
        """`own`, at `path`, laid over `base`, at `base_path`."""
        mine, theirs = _named(own, path), _named(base, path)
        merged: dict[str, Any] = {}
        for key in {**theirs, **mine}:
            here = (*path, key)
            if key not in mine:
                merged[key] = self._taken(base[theirs[key]], here, (*base_path, theirs[key]))
            elif isinstance(own[mine[key]], dict) and isinstance(base.get(theirs.get(key, "")), dict):
                merged[key] = self.over(own[mine[key]], base[theirs[key]], here, (*base_path, theirs[key]))
            else:
                merged[key] = self._taken(own[mine[key]], here, (*path, mine[key]))
        return merged

    def _taken(self, value: Any, path: KeyPath, origin: KeyPath) -> Any:
        self.origins[path] = origin
        match value:
            case dict():
                return {key: self._taken(item, (*path, key), (*origin, key)) for key, item in value.items()}
            case list():
                return [self._taken(item, (*path, i), (*origin, i)) for i, item in enumerate(value)]
            case _:
                return value


def _named(mapping: dict[str, Any], path: KeyPath) -> dict[str, str]:
    """Name → the key it has in the file. Only an entry's own keys have synonyms: a label may be called `tags`."""
    is_entry = len(path) == 2
    return {_SYNONYMS.get(key, key) if is_entry else key: key for key in mapping}
