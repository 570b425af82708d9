"""Values of the command line over those of the file: `--set NAME.KEY=VALUE`, NAME a pattern of image names.

The value is written as in the file: `[a, b]` is a list, `true` a boolean, and ${VAR} is filled in. Faults in it
are told with the option in place of the file's name.
"""

from __future__ import annotations

import copy
import dataclasses
import difflib
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any

from executor.errors import Location, UsageError
from runner import yamlfile
from runner.findings import KeyPath
from runner.yamlfile import Document

_FREE_KEYS = ("args", "labels")  # maps whose keys are the user's own and may have dots
_FORM = "write NAME.KEY=VALUE, for example web.args.VERSION=2"


def with_settings(document: Document, settings: Sequence[str]) -> Document:
    """The document with each setting in every entry it names; the last one counts.

    Raises UsageError for a setting of another form or of no image, InvalidFileError for a value that is not YAML.
    """
    if not settings or not isinstance(document.value, dict) or not isinstance(document.value.get("builds"), list):
        return document
    changed = dataclasses.replace(
        document,
        value=copy.deepcopy(document.value),
        positions=dict(document.positions),
        keys=dict(document.keys),
        scalars=dict(document.scalars),
    )
    for setting in settings:
        changed = _with_setting(changed, setting)
    return changed


def _with_setting(document: Document, setting: str) -> Document:
    target, equals, text = setting.partition("=")
    if not equals:
        raise UsageError(f"--set {setting!r} has no value", hint=_FORM)
    option = f"--set {target}"
    value = yamlfile.parse((text or "''").encode(), option)
    for index, keys in _places(document, target):
        document = _grafted(document, ("builds", index), keys, value)
    return document


def _places(document: Document, target: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    """The entries that `NAME.KEY` is about, and the keys below. Names may have dots: the longest that fits."""
    names = [entry.get("name") if isinstance(entry, dict) else None for entry in document.value["builds"]]
    words = target.split(".")
    for length in range(len(words) - 1, 0, -1):
        pattern = ".".join(words[:length])
        found = [
            number for number, name in enumerate(names) if isinstance(name, str) and fnmatchcase(name, pattern)
        ]
        if found:
            keys = tuple(words[length:])
            if keys[0] in _FREE_KEYS and len(keys) > 1:
                keys = (keys[0], ".".join(keys[1:]))
            yield from ((number, keys) for number in found)
            return
    known = [name for name in names if isinstance(name, str)]
    close = difflib.get_close_matches(words[0], known, n=1) if len(words) > 1 else []
    raise UsageError(
        f"--set {target!r} names no image and key", hint=f"did you mean {close[0]!r}?" if close else _FORM
    )


def _grafted(document: Document, entry: KeyPath, keys: tuple[str, ...], value: Document) -> Document:
    """The document with `value` at the path `entry` + `keys`; maps on the way are made where there are none."""
    place = Location(value.file)
    path = entry
    parent: Any = document.value["builds"][entry[1]]
    positions, key_places = {}, {}
    for key in keys[:-1]:
        path = (*path, key)
        if not isinstance(parent.get(key), dict):
            parent[key] = {}
            positions[path] = key_places[path] = place
        parent = parent[key]
    path = (*path, keys[-1])
    parent[keys[-1]] = copy.deepcopy(value.value)
    key_places[path] = place
    positions |= {(*path, *below): place for below in value.positions}
    key_places |= {(*path, *below): place for below in value.keys}
    scalars = {(*path, *below): scalar for below, scalar in value.scalars.items()}
    return dataclasses.replace(
        document,
        positions={**document.positions, **positions},
        keys={**document.keys, **key_places},
        scalars={**document.scalars, **scalars},
    )
