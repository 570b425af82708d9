"""Holds a document against `schemas/builds.schema.json` and says each fault in plain words, with its place.

The schema keeps to keywords whose errors need no unfolding (no oneOf/anyOf), so one error is one message here.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend

from executor.errors import Location
from runner.findings import Findings, KeyPath
from runner.yamlfile import Document

# What the same thing is called in Bake, Compose and kaniko, where it is not just spelled another way.
_FOREIGN_NAMES = {
    "cache_from": "from",
    "cache_repo": "repositories",
    "cache_ttl": "ttl",
    "build_arg": "args",
    "build_args": "args",
    "buildargs": "args",
    "destination": "destinations",
    "file": "dockerfile",
    "image": "destinations",
    "images": "builds",
    "label": "labels",
    "oci_layout_path": "oci_layout",
    "platforms": "platform",
    "retry": "retries",
    "push_retry": "push",
    "services": "builds",
    "tag": "tags",
    "targets": "builds",
}
_TYPE_NAMES = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "empty",
}
_EXAMPLES = {"version": "`version: 1`", "builds": "a list `builds:` of images", "name": "for example `name: web`"}
_PATTERNS = {
    "name": (
        "letters, digits, `.`, `_` and `-`, at most 64, the first one a letter or digit",
        "for example web-1.2",
    ),
    "platform": ("os/architecture or os/architecture/variant", "for example linux/amd64"),
    "ttl": ("a number and s, m, h or d", "for example 14d"),
}


_Fault: TypeAlias = tuple[KeyPath, Location, str, str]  # path, place, message, hint


class _SchemaError(Protocol):
    """The part of jsonschema's ValidationError that is used here."""

    validator: str
    validator_value: Any
    instance: Any
    schema: Any
    absolute_path: Any


def text(name: Literal["builds", "result", "events"] = "builds") -> str:
    """A schema, as JSON. It is package data of an installed runner and lies beside it in a checkout."""
    file = f"{name}.schema.json"
    packaged = resources.files("runner").joinpath("schemas", file)
    if packaged.is_file():
        return packaged.read_text("utf-8")
    return (Path(__file__).parent.parent / "schemas" / file).read_text("utf-8")


def check(document: Document, findings: Findings) -> None:
    """Note every fault of the document's shape; not where an earlier phase has already noted one."""
    known = findings.paths
    for error in _validator(json.loads(text())).iter_errors(document.value):
        for path, location, message, hint in _explain(error, document):
            if path not in known:
                findings.add(location, message, path=path, hint=hint)


def _validator(schema: Mapping[str, Any]) -> Any:
    """A validator for which .nan and .inf are no numbers (no bound would catch them) and `$` is the text's end."""
    types = Draft202012Validator.TYPE_CHECKER.redefine(
        "number",
        lambda _checker, value: (
            isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        ),
    )
    kind = extend(Draft202012Validator, {"pattern": _whole_pattern}, type_checker=types)  # type: ignore[no-untyped-call]  # untyped in the stubs
    return kind(schema)


def _whole_pattern(_validator: Any, pattern: str, value: Any, _schema: Any) -> Iterator[ValidationError]:
    """JSON Schema's `pattern`, whose `$` does not match before a last newline as Python's does."""
    if isinstance(value, str) and ("\n" in value or not re.search(pattern, value)):
        yield ValidationError(f"does not match {pattern}")


def _explain(error: _SchemaError, document: Document) -> Iterator[_Fault]:
    path: KeyPath = tuple(error.absolute_path)
    if error.validator == "additionalProperties":
        yield from _unknown_keys(error, path, document)
        return
    if error.validator == "required":
        yield from _missing_keys(error, path, document)
        return
    message, hint = _EXPLANATIONS[error.validator](error, path, document)
    yield path, document.positions[path], message, hint


def _unknown_keys(error: _SchemaError, path: KeyPath, document: Document) -> Iterator[_Fault]:
    known = list(error.schema.get("properties", {}))
    for key in error.instance:
        if key not in known and not key.startswith("x-"):
            here = (*path, key)
            yield here, document.keys[here], f"the key {key!r} is not known", _similar(key, known)


def _similar(key: str, known: list[str]) -> str:
    """The did-you-mean for a key: another spelling, another tool's word, or a typing error."""
    plain = key.strip().lower().replace("-", "_")
    squeezed = plain.replace("_", "")
    for name in known:
        if name.replace("_", "") == squeezed:
            return f"did you mean `{name}`?"
    if (translated := _FOREIGN_NAMES.get(plain)) in known:
        return f"did you mean `{translated}`?"
    close = difflib.get_close_matches(plain, known, n=1)
    return f"did you mean `{close[0]}`?" if close else f"known here: {', '.join(known)}"


def _missing_keys(error: _SchemaError, path: KeyPath, document: Document) -> Iterator[_Fault]:
    place = "" if path else " at the top level"
    for key in error.validator_value:
        if key not in error.instance:
            yield path, document.positions[path], f"the key `{key}` is missing", f"add {_EXAMPLES[key]}{place}"


def _type(error: _SchemaError, path: KeyPath, document: Document) -> tuple[str, str]:
    wanted = [error.validator_value] if isinstance(error.validator_value, str) else error.validator_value
    expected = " or ".join(_TYPE_NAMES[name] for name in wanted)
    return f"must be {expected}, not {_described(error.instance, path, document)}", _type_hint(error, wanted)


def _type_hint(error: _SchemaError, wanted: list[str]) -> str:
    value = error.instance
    if "string" in wanted and isinstance(value, bool | int | float):
        return "put it in quotes"
    if wanted == ["array"] and isinstance(value, str):
        return "write it as a list, with `- ` before each item"
    if wanted == ["object"] and isinstance(value, list):
        return "write it as `key: value`, one a line, without `- `"
    if value is None:
        return 'leave the key out, or write "" for an empty text' if "string" in wanted else "leave the key out"
    return ""


def _described(value: Any, path: KeyPath, document: Document) -> str:
    match value:
        case None:
            return "empty"
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case bool():
            return f"the boolean {document.quote(path)}"
        case int() | float():
            return f"the number {document.quote(path)}"
        case _:
            return f"the text {document.quote(path)}"


def _const(error: _SchemaError, path: KeyPath, document: Document) -> tuple[str, str]:
    value = error.validator_value
    return f"must be {value}, not {_described(error.instance, path, document)}", f"write `{path[-1]}: {value}`"


def _enum(error: _SchemaError, path: KeyPath, document: Document) -> tuple[str, str]:
    choices = [str(choice) for choice in error.validator_value]
    close = difflib.get_close_matches(str(error.instance), choices, n=1)
    hint = f"did you mean `{close[0]}`?" if close else ""
    return f"must be one of {', '.join(choices)}, not {_described(error.instance, path, document)}", hint


def _pattern(_error: _SchemaError, path: KeyPath, document: Document) -> tuple[str, str]:
    rule, hint = _PATTERNS[str(path[-1])]
    return f"must be {rule}, not {document.quote(path)}", hint


def _bound(error: _SchemaError, path: KeyPath, document: Document) -> tuple[str, str]:
    side = "least" if error.validator == "minimum" else "most"
    return f"must be at {side} {error.validator_value}, not {document.quote(path)}", ""


def _too_few(_error: _SchemaError, path: KeyPath, _document: Document) -> tuple[str, str]:
    return "must have at least one item", "" if path == ("builds",) else "leave the key out if there is none"


def _too_short(_error: _SchemaError, path: KeyPath, document: Document) -> tuple[str, str]:
    scalar = document.scalars[path]
    if scalar.source != scalar.text:
        return f"must not be empty, but {scalar.source!r} is", "check the variables in it"
    return "must not be empty", "leave the key out"


def _both(_error: _SchemaError, _path: KeyPath, _document: Document) -> tuple[str, str]:
    return "`destinations` and `tags` are the same thing", "use one of them"


_Explanation = Callable[[_SchemaError, KeyPath, Document], tuple[str, str]]
_EXPLANATIONS: Mapping[str, _Explanation] = {
    "const": _const,
    "enum": _enum,
    "maximum": _bound,
    "minItems": _too_few,
    "minLength": _too_short,
    "minimum": _bound,
    "not": _both,
    "pattern": _pattern,
    "type": _type,
}
