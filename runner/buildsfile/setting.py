"""Values of the command line over those of the files: `--set NAME.KEY=VALUE`, NAME a pattern of image names.

The value is written as in the file: `[a, b]` is a list, `true` a boolean, and ${VAR} is filled in. Faults in it
are told with the option in place of the file's name.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from executor.dataclass import replace
from executor.errors import Location, UsageError
from runner.buildsfile import yamlfile
from runner.buildsfile.expansion import Draft
from runner.buildsfile.findings import KeyPath
from runner.buildsfile.nodes import Node, from_document, map_node, with_origin
from runner.buildsfile.spelling import SYNONYMS
from runner.suggest import did_you_mean

_FREE_KEYS = (
    "args",
    "labels",
    "annotations",
    "contexts",
    "secrets",
)  # their keys are the user's and may have dots
_FORM = "write NAME.KEY=VALUE, for example web.args.VERSION=2"


def with_settings(drafts: Sequence[Draft], settings: Sequence[str]) -> list[Draft]:
    """The drafts with each setting in every one it names; the last setting counts.

    Raises UsageError for a setting of another form or of no image, InvalidFileError for a value that is not YAML.
    """
    changed = list(drafts)
    for setting in settings:
        changed = _with_setting(changed, setting)
    return changed


def _with_setting(drafts: list[Draft], setting: str) -> list[Draft]:
    target, equals, text = setting.partition("=")
    if not equals:
        raise UsageError(f"--set {setting!r} has no value", hint=_FORM)
    value = with_origin(from_document(yamlfile.parse((text or "''").encode(), f"--set {target}")), "--set")
    pattern, keys = _addressed([draft.name for draft in drafts], target)
    return [
        replace(draft, node=_grafted(draft.node, keys, value)) if fnmatchcase(draft.name, pattern) else draft
        for draft in drafts
    ]


def _addressed(names: Sequence[str], target: str) -> tuple[str, tuple[str, ...]]:
    """The pattern and the keys of `NAME.KEY`. Names may have dots: the longest that fits."""
    words = target.split(".")
    for length in range(len(words) - 1, 0, -1):
        pattern = ".".join(words[:length])
        if any(fnmatchcase(name, pattern) for name in names):
            keys = (SYNONYMS.get(words[length], words[length]), *words[length + 1 :])
            return pattern, (keys[0], ".".join(keys[1:])) if keys[0] in _FREE_KEYS and len(keys) > 1 else keys
    hint = did_you_mean(words[0], filter(None, names), _FORM) if len(words) > 1 else _FORM
    raise UsageError(f"--set {target!r} names no image and key", hint=hint)


def _grafted(parent: Node, keys: tuple[str, ...], value: Node) -> Node:
    """The mapping with `value` at `keys`; maps on the way are made where there are none."""
    key = keys[0]
    path = (*parent.path, key)
    if len(keys) == 1:
        return parent.with_entries(**{key: _moved(value, path)})
    below = parent.get(key)
    if below is None or not isinstance(below.value, dict):
        below = _moved(map_node({}, value), path)
    return parent.with_entries(**{key: _grafted(below, keys[1:], value)})


def _moved(node: Node, path: KeyPath) -> Node:
    """The tree with the paths that it has now. It stands in the option, which has no lines."""
    place = Location(node.place.file)
    moved = replace(node, path=path, place=place, key=place)
    match node.value:
        case dict() as entries:
            return replace(moved, value={key: _moved(item, (*path, key)) for key, item in entries.items()})
        case list() as items:
            return replace(moved, value=[_moved(item, (*path, index)) for index, item in enumerate(items)])
        case _:
            return moved
