"""The functions of HCL expressions that Bake's users meet: a part of its standard library. All pure."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

HclValue: TypeAlias = Any
"""str, int, float, bool, None, list, or dict of these."""


_LONGEST_RANGE = 1024
"""As in Bake."""


def text(value: HclValue) -> str:
    """A value as a template shows it. Raises ValueError for null, lists and maps."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case int():
            return str(value)
        case float():
            return str(int(value)) if value.is_integer() else repr(value)
        case None:
            raise ValueError("a value is null")
        case _:
            raise ValueError(f"{'a list' if isinstance(value, list) else 'a map'} cannot become text")


def _format(pattern: str, *values: HclValue) -> str:
    """%s, %q, %d, %v and %%."""
    left = list(values)

    def shown(found: re.Match[str]) -> str:
        if found[0] == "%%":
            return "%"
        value = text(left.pop(0))
        return json.dumps(value) if found[0] == "%q" else value

    return re.sub(r"%[%sqdv]", shown, pattern)


def _substr(value: str, offset: int, length: int) -> str:
    start = offset if offset >= 0 else max(len(value) + offset, 0)
    return value[start:] if length < 0 else value[start : start + length]


def _go_template(template: str) -> str:
    """Go's $1 and ${name} in a replacement, as Python's."""
    return re.sub(r"\$\{?(\w+)\}?", r"\\g<\1>", template)


def _flat(value: HclValue) -> list[HclValue]:
    return [inner for item in value for inner in (_flat(item) if isinstance(item, list) else [item])]


def _coalesce(*values: HclValue) -> HclValue:
    return next((value for value in values if value not in (None, "")), None)


def _range(*bounds: int) -> list[int]:
    numbers = range(*bounds)
    if len(numbers) > _LONGEST_RANGE:
        raise ValueError(f"a range has at most {_LONGEST_RANGE} numbers")
    return list(numbers)


FUNCTIONS: Mapping[str, Callable[..., HclValue]] = {
    "abs": abs,
    "add": lambda a, b: a + b,
    "and": lambda a, b: a and b,
    "ceil": math.ceil,
    "coalesce": _coalesce,
    "compact": lambda items: [item for item in items if item != ""],
    "concat": lambda *lists: [item for items in lists for item in items],
    "contains": lambda items, value: value in items,
    "distinct": lambda items: [item for number, item in enumerate(items) if item not in items[:number]],
    "divide": lambda a, b: a / b,
    "element": lambda items, index: items[index % len(items)],
    "equal": lambda a, b: a == b,
    "flatten": _flat,
    "floor": math.floor,
    "format": _format,
    "greaterthan": lambda a, b: a > b,
    "hasindex": lambda items, key: key in items if isinstance(items, dict) else 0 <= key < len(items),
    "index": lambda items, key: items[key],
    "indent": lambda count, value: value.replace("\n", "\n" + " " * count),
    "join": lambda between, *lists: between.join(text(item) for items in lists for item in items),
    "jsondecode": json.loads,
    "jsonencode": lambda value: json.dumps(value, separators=(",", ":")),
    "keys": sorted,
    "length": len,
    "lessthan": lambda a, b: a < b,
    "lookup": lambda mapping, key, default: mapping.get(key, default),
    "lower": str.lower,
    "max": max,
    "md5": lambda value: hashlib.md5(value.encode(), usedforsecurity=False).hexdigest(),
    "merge": lambda *maps: {key: value for mapping in maps for key, value in mapping.items()},
    "min": min,
    "modulo": math.fmod,
    "multiply": lambda a, b: a * b,
    "not": lambda a: not a,
    "notequal": lambda a, b: a != b,
    "or": lambda a, b: a or b,
    "range": _range,
    "regex_replace": lambda value, pattern, new: re.sub(pattern, _go_template(new), value),
    "replace": lambda value, old, new: value.replace(old, new),
    "reverse": lambda value: value[::-1],
    "sha256": lambda value: hashlib.sha256(value.encode()).hexdigest(),
    "slice": lambda items, start, end: items[start:end],
    "sort": sorted,
    "split": lambda between, value: value.split(between),
    "strlen": len,
    "substr": _substr,
    "subtract": lambda a, b: a - b,
    "title": str.title,
    "trim": lambda value, characters: value.strip(characters),
    "trimprefix": str.removeprefix,
    "trimspace": str.strip,
    "trimsuffix": str.removesuffix,
    "upper": str.upper,
    "values": lambda mapping: [mapping[key] for key in sorted(mapping)],
}
