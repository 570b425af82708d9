"""Holds a document against the schema of builds files and says each fault in plain words, with its place.

The schema is `schemas/builds.schema.json` and the parts of it in `schemas/builds/`; `text` puts them into one.

The schema keeps to keywords whose errors need no unfolding (no oneOf/anyOf), so one error is one message here.
"""

from __future__ import annotations

import difflib
import functools
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend

from executor.errors import Location
from runner.buildsfile.findings import Findings, KeyPath
from runner.buildsfile.yamlfile import Document
from runner.schemanames import Name

Part: TypeAlias = Literal["file", "frame", "build"]
_ID = "urn:krunner:schema:builds:1"

# What the same thing is called in Bake, Compose and kaniko, where it is not just spelled another way.
_FOREIGN_NAMES = {
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
    "retry": "retries",
    "push_retry": "push",
    "services": "builds",
    "tag": "tags",
    "targets": "builds",
    "template": "inherits",
    "extends": "inherits",
    "depends_on": "needs",
    "ignore_path": "ignore_paths",
    "image_fs_extract_retry": "pull",
    "image_download_retry": "pull",
    "named_contexts": "contexts",
    "build_contexts": "contexts",
    "build_context": "contexts",
    "registry_certificate": "registry_certificates",
    "registry_mirror": "registry_mirrors",
    "registry_client_cert": "registry_client_certificates",
    "custom_platform": "platforms",
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
_BOOLEANS = {"yes": "true", "on": "true", "no": "false", "off": "false"}
_MOST_LISTED = 12
_EXAMPLES = {
    "certificate": "the path of a PEM file",
    "key": "the path of a PEM file",
    "name": "for example `name: web`",
    "version": "`version: 1`",
}
_PATTERNS = {
    "name": (
        "letters, digits, `.`, `_` and `-`, at most 64, the first one a letter, a digit or `_`",
        "for example web-1.2",
    ),
    "platform": ("os/architecture or os/architecture/variant", "for example linux/amd64"),
    "size": ("a number of bytes, or one with a unit", "for example 5GB"),
    "ttl": ("a number and s, m, h or d", "for example 14d"),
    "timeout": ("a number and s, m, h or d", "for example 30m"),
}
_PATTERNS["platforms"] = _PATTERNS["platform"]


_Fault: TypeAlias = tuple[KeyPath, Location, str, str]  # path, place, message, hint


class _SchemaError(Protocol):
    """The part of jsonschema's ValidationError that is used here."""

    validator: str
    validator_value: Any
    instance: Any
    schema: Any
    absolute_path: Any


def text(name: Name = "builds") -> str:
    """A schema as one JSON document. Schemas are package data of an installed runner, beside it in a checkout."""
    if name != "builds":
        return _folder().joinpath(f"{name}.schema.json").read_text("utf-8")
    return json.dumps(bundled(), ensure_ascii=False, indent=2) + "\n"


def bundled() -> dict[str, Any]:
    """The schema of builds files with its parts as `$defs`, so that every `$ref` is in the document."""
    root = json.loads(_folder().joinpath("builds.schema.json").read_text("utf-8"))
    parts = sorted(_folder().joinpath("builds").iterdir(), key=lambda part: part.name)
    definitions: dict[str, Any] = {}
    for part in parts:
        definitions |= json.loads(part.read_text("utf-8"))["$defs"]
    whole = {"$schema": root.pop("$schema"), "$id": _ID, **root, "$defs": definitions}
    inner: dict[str, Any] = _with_inner_references(whole)
    return inner


def _with_inner_references(node: Any) -> Any:
    match node:
        case {"$ref": str(reference)}:
            return {**node, "$ref": "#" + reference.partition("#")[2]}
        case dict():
            return {key: _with_inner_references(item) for key, item in node.items()}
        case list():
            return [_with_inner_references(item) for item in node]
        case _:
            return node


def _folder() -> Traversable:
    packaged = resources.files("runner").joinpath("schemas")
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "schemas"


def check(document: Document, findings: Findings, *, part: Part = "file") -> bool:
    """Note every fault of the document's shape; not where an earlier phase has already noted one.

    `part`: the document is a whole file, a file whose entries are not looked at, or one entry. Tells whether the
    shape is right.
    """
    known = findings.faulty
    is_right = True
    for error in _validator(part).iter_errors(document.value):
        is_right = False
        for path, location, message, hint in _explain(error, document):
            shown = document.path(path)
            if (location.file, shown) not in known:
                findings.add(location, message, path=shown, hint=hint)
    return is_right


@functools.cache
def _validator(part: Part) -> Any:
    """A validator of the schema's `part`.

    For it .nan and .inf are no numbers (no bound would catch them), and `$` is the text's end.
    """
    types = Draft202012Validator.TYPE_CHECKER.redefine(
        "number",
        lambda _checker, value: (
            isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        ),
    )
    kind = extend(Draft202012Validator, {"pattern": _whole_pattern}, type_checker=types)  # type: ignore[no-untyped-call]  # untyped in the stubs
    return kind(_schema_of(part))


def _schema_of(part: Part) -> dict[str, Any]:
    schema = bundled()
    match part:
        case "file":
            return schema
        case "frame":
            builds = {key: value for key, value in schema["properties"]["builds"].items() if key != "items"}
            return {**schema, "properties": {**schema["properties"], "builds": builds}}
        case "build":
            return {"$schema": schema["$schema"], "$ref": "#/$defs/build", "$defs": schema["$defs"]}


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
    if close:
        return f"did you mean `{close[0]}`?"
    return f"known here: {', '.join(known)}" if len(known) <= _MOST_LISTED else "`krunner schema` lists the keys"


def _missing_keys(error: _SchemaError, path: KeyPath, document: Document) -> Iterator[_Fault]:
    place = "" if path else " at the top level"
    for key in error.validator_value:
        if key not in error.instance:
            yield path, document.positions[path], f"the key `{key}` is missing", f"add {_EXAMPLES[key]}{place}"


def _type(error: _SchemaError, path: KeyPath, document: Document) -> tuple[str, str]:
    wanted = [error.validator_value] if isinstance(error.validator_value, str) else error.validator_value
    expected = " or ".join(_TYPE_NAMES[name] for name in wanted)
    return f"must be {expected}, not {_described(error.instance, path, document)}", _type_hint(error, wanted, path)


def _type_hint(error: _SchemaError, wanted: list[str], path: KeyPath) -> str:
    value = error.instance
    if value is False and path[-1:] == ("push",):
        return "write `no_push: true` for an image that is only built"
    match value:
        case None:
            empty = ', or write "" for an empty text' if "string" in wanted else ""
            return f"leave the key out{empty}"
        case str():
            return _hint_for_text(value, wanted)
        case bool() | int() | float() if "string" in wanted:
            is_right_in_quotes = re.search(error.schema.get("pattern", ""), str(value))
            return "put it in quotes" if is_right_in_quotes else _rule(path)[1]
        case list() if wanted == ["object"]:
            return "write it as `key: value`, one a line, without `- `"
        case _:
            return ""


def _hint_for_text(value: str, wanted: list[str]) -> str:
    if "boolean" in wanted and value.lower() in _BOOLEANS:
        return f"write `{_BOOLEANS[value.lower()]}`: in YAML 1.2 {value!r} is a text"
    return "write it as a list, with `- ` before each item" if "array" in wanted else ""


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
    rule, hint = _rule(path)
    return f"must be {rule}, not {document.quote(path)}", hint


def _rule(path: KeyPath) -> tuple[str, str]:
    """What the pattern of a value, or of the items of a list, asks for in words, and an example."""
    return _PATTERNS[str(path[-2] if isinstance(path[-1], int) else path[-1])]


def _bound(error: _SchemaError, path: KeyPath, document: Document) -> tuple[str, str]:
    side = "least" if error.validator == "minimum" else "most"
    return f"must be at {side} {error.validator_value}, not {document.quote(path)}", ""


def _too_few(_error: _SchemaError, path: KeyPath, _document: Document) -> tuple[str, str]:
    return "must have at least one item", "" if path == ("builds",) else "leave the key out if there is none"


def _too_short(_error: _SchemaError, path: KeyPath, document: Document) -> tuple[str, str]:
    scalar = document.scalars.get(path)
    if scalar and scalar.source != scalar.text:
        return f"must not be empty, but {scalar.source!r} is", "check the variables in it"
    return "must not be empty", "leave the key out"


def _no_keys(_error: _SchemaError, _path: KeyPath, _document: Document) -> tuple[str, str]:
    return "must have at least one key", "leave the key out if there is none"


_Explanation = Callable[[_SchemaError, KeyPath, Document], tuple[str, str]]
_EXPLANATIONS: Mapping[str, _Explanation] = {
    "const": _const,
    "enum": _enum,
    "maximum": _bound,
    "minItems": _too_few,
    "minLength": _too_short,
    "minProperties": _no_keys,
    "minimum": _bound,
    "pattern": _pattern,
    "type": _type,
}
