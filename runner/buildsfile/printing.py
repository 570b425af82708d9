"""The resolved list as a builds file again: everything merged and filled in, paths whole, secrets masked.

Reading the text gives the same images, but for what is masked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from executor.dataclass import dataclass
from runner.buildsfile.nodes import Node
from runner.buildsfile.scalars import resolve

_SECRET_NAME = re.compile(
    r"pass(word|wd|phrase)?\b|secret|token|credential|(api|private|access|auth)_?key", re.IGNORECASE
)
_USERINFO = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_MASK = "***"
_PLAIN = re.compile(r"[A-Za-z0-9_./+][A-Za-z0-9_./@+=,-]*(?::[A-Za-z0-9_./@+=,-]+)*\Z")
_LITERAL = re.compile(r"[^\s\x00-\x1f\x7f-\x9f][^\x00-\x09\x0b-\x1f\x7f-\x9f\ufeff\ufffe\uffff\u2028\u2029]*\Z")
_UNPRINTABLE = re.compile(r"[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")
_FIRST_KEYS = ("name", "description")
_LEFT_OUT = ("inherits",)
_FREE_MAPS = frozenset({"args", "labels", "annotations"})


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    node: Node | None = None


def printed(top: Node, *, origins: bool = False) -> str:
    """The root of a builds file as YAML. With `origins` each value is followed by where it comes from."""
    lines = list(_mapping(top, "", masked=False))
    if not origins:
        return "".join(f"{line.text}\n" for line in lines)
    width = min(max((len(line.text) for line in lines if line.node and "\n" not in line.text), default=0), 70)
    return "".join(f"{_with_origin(line, width)}\n" for line in lines)


def ordered(entry: Node) -> Node:
    """An entry with its name first, and without what has been followed already."""
    keys = [key for key in _FIRST_KEYS if key in entry.entries]
    keys += [key for key in entry.entries if key not in (*keys, *_LEFT_OUT)]
    return Node(value={key: entry.entries[key] for key in keys}, place=entry.place)


def origin_of(node: Node) -> str:
    """Where a value comes from, in words: its place, and by which way it came here."""
    return ", ".join(dict.fromkeys((str(node.place), *node.origin)))


def _with_origin(line: _Line, width: int) -> str:
    if line.node is None:
        return line.text
    head, newline, rest = line.text.partition("\n")
    return f"{head:{width}}  # {origin_of(line.node)}{newline}{rest}"


def _mapping(node: Node, indent: str, *, masked: bool, free: bool = False) -> Iterator[_Line]:
    for key, item in node.entries.items():
        hidden = masked or (free and bool(_SECRET_NAME.search(key)))
        yield from _value(f"{indent}{_text(key)}:", item, indent, masked=hidden, key=key)


def _value(head: str, node: Node, indent: str, *, masked: bool, key: str = "") -> Iterator[_Line]:
    """A key or a dash, and its value: beside it, or below it and further in."""
    match node.value:
        case dict() if node.value:
            yield _Line(head)
            yield from _mapping(node, indent + "  ", masked=masked, free=key in _FREE_MAPS)
        case list() if node.value:
            yield _Line(head)
            for item in node.items:
                yield from _item(item, indent + "  ", masked=masked)
        case dict() | list():
            yield _Line(f"{head} {'{}' if isinstance(node.value, dict) else '[]'}", node)
        case _:
            yield _Line(f"{head} {_scalar(node, indent + '  ', masked=masked)}", node)


def _item(node: Node, indent: str, *, masked: bool) -> Iterator[_Line]:
    """An item of a list; a mapping begins beside its dash."""
    if not node.entries:
        yield from _value(f"{indent}-", node, indent, masked=masked)
        return
    first, *others = _mapping(node, indent + "  ", masked=masked)
    yield _Line(f"{indent}- {first.text.removeprefix(indent + '  ')}", first.node)
    yield from others


def _scalar(node: Node, indent: str, *, masked: bool) -> str:
    secret = any(word.startswith("the variable ") and _SECRET_NAME.search(word) for word in node.origin)
    if masked or secret:
        return json.dumps(_MASK)
    if not isinstance(node.value, str):
        return node.text or json.dumps(node.value)
    return _text(_USERINFO.sub(_MASK, node.value).replace("$", "$$"), indent)


def _text(text: str, indent: str = "") -> str:
    """A text as a scalar of YAML that is read as that text again."""
    if _PLAIN.match(text) and resolve(text) == text:
        return text
    lines = text.splitlines()
    if indent and len(lines) > 1 and text.endswith("\n") and "\n".join(lines) + "\n" == text and _is_block(lines):
        return "|\n" + "\n".join(f"{indent}{line}" if line else "" for line in lines)
    quoted = json.dumps(text, ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted)


def _is_block(lines: list[str]) -> bool:
    """Whether the lines can stand as they are in a block: the first one sets how far in all of them are."""
    return (
        bool(_LITERAL.match(lines[0]))
        and lines[-1] != ""
        and all(_LITERAL.match(line.lstrip(" ") or "x") for line in lines)
    )
