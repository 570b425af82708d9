"""YAML text to plain values, with the place of every value and key, so that each fault can be pointed at.

One document of YAML 1.2: core scalars (`scalars.py`), anchors, aliases and `<<` merges. Refused: duplicate keys,
tags, several documents, other encodings than UTF-8, and files that grow huge by their aliases.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from yaml.composer import Composer
from yaml.error import Mark, MarkedYAMLError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.parser import Parser
from yaml.reader import Reader, ReaderError
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

from executor.dataclass import dataclass, field
from executor.errors import Diagnostic, InvalidFileError, Location
from runner.buildsfile.findings import Findings, KeyPath
from runner.buildsfile.scalars import ScalarValue, resolve

MAX_BYTES = 4 << 20
MAX_NODES = 100_000
MAX_DEPTH = 60

_TAG = "tag:yaml.org,2002:"
_PLAIN = "plain"
_HINTS = (
    ("'\\t'", "indent with spaces: YAML does not allow tabs there"),
    ("mapping values are not allowed", "check the indentation, and quote a value that contains ': '"),
    ("could not find expected ':'", "a key needs ': ' after it; check the indentation of the lines before"),
    ("expected <block end>", "check the indentation: this line is not aligned with the lines above it"),
    ("cannot start any token", "quote a value that starts with one of @ ` % & * ! | > { } [ ]"),
    ("'<stream end>'", "a [ or { is opened and never closed"),
    ("unexpected end of stream", "a quote is opened here and never closed"),
    ("but got '{'", "inside { } and [ ] put a value with ${…} in quotes"),
    ("expected ',' or", "a comma is missing, or the } or ] that ends this, in or above this line"),
    ("undefined alias", "define it above with &NAME"),
    ("single document", "keep one document: remove the line `---` and move the rest to a file of its own"),
)


@dataclass(frozen=True, slots=True)
class Scalar:
    """A scalar's text: as in the file, and with its `${…}` filled in. `plain`: neither quoted nor tagged."""

    source: str
    text: str
    plain: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A file's values (dict, list, str, int, float, bool, None).

    The three maps go from a path such as `("builds", 0, "name")` to the place of the value there, to the place of
    its key, and to the text of a scalar. What came through an alias or a merge has the place of its anchor. Where
    entries were moved, `shown` has the path that a value has in its own file.
    """

    file: str
    value: Any
    positions: Mapping[KeyPath, Location]
    keys: Mapping[KeyPath, Location]
    scalars: Mapping[KeyPath, Scalar]
    shown: Mapping[KeyPath, KeyPath] = field(default_factory=dict)

    def quote(self, path: KeyPath) -> str:
        """The value at `path` for a message: its text in the file, so that nothing of the environment is shown."""
        scalar = self.scalars.get(path)
        return repr(scalar.source) if scalar else "this value"

    def path(self, path: KeyPath) -> KeyPath:
        """The path, in its own file, of the value at `path` or of the nearest one that has a place."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.shown:
                return (*self.shown[path[:length]], *path[length:])
        return path

    def text(self, path: KeyPath) -> str:
        """The scalar at `path` as text, exactly as written: the version `3.10` stays `3.10`."""
        return self.scalars[path].text


def read_bytes(path: str) -> bytes:
    """The bytes of a file, `-` for standard input. Raises InvalidFileError: it cannot be read or is too large."""
    try:
        with open(0 if path == "-" else path, "rb", closefd=path != "-") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise _fault(Location(path), f"cannot be read: {os.strerror(error.errno or 0)}") from error
    if len(data) > MAX_BYTES:
        raise _fault(Location(path), f"is larger than {MAX_BYTES >> 20} MiB; this is not a builds file")
    return data


def parse(data: bytes, file: str) -> Document:
    """Parse the bytes of a file. `file` is the name used in messages. Raises InvalidFileError."""
    root = _compose(_decode(data, file), file)
    builder = _Builder(file)
    value = builder.build(root, ())
    builder.findings.check()
    return Document(
        file=file, value=value, positions=builder.positions, keys=builder.keys, scalars=builder.scalars
    )


def _fault(location: Location, message: str, hint: str = "") -> InvalidFileError:
    return InvalidFileError([Diagnostic(location, message, hint=hint)])


def _decode(data: bytes, file: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line_start = before.rfind(b"\n") + 1
        place = Location(file, before.count(b"\n") + 1, error.start - line_start + 1)
        raise _fault(place, "is not UTF-8 text", "save the file with the encoding UTF-8") from error


class _Loader(Reader, Scanner, Parser, Composer, BaseResolver):
    """PyYAML up to nodes. Its own resolver and constructor (YAML 1.1) are left out."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        BaseResolver.__init__(self)
        self._depth = 0

    def resolve(self, kind: type[Node], value: Any, implicit: Any) -> str:
        if kind is ScalarNode and implicit[0]:
            return _PLAIN
        tag: str = super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]  # untyped in the stubs
        return tag

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise MarkedYAMLError(
                problem=f"is nested deeper than {MAX_DEPTH}", problem_mark=parent.start_mark if parent else None
            )
        node: Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def get_single_node(self) -> Node | None:
        try:
            node: Node | None = super().get_single_node()
        except (ValueError, OverflowError) as error:  # PyYAML takes the numbers after \U and %YAML as they come
            raise MarkedYAMLError(
                problem="has a number that is too large", problem_mark=self.get_mark()
            ) from error
        return node

    def compose_scalar_node(self, anchor: Any) -> ScalarNode:
        node: ScalarNode = super().compose_scalar_node(anchor)
        try:  # JSON writes characters beyond U+FFFF as two, which YAML has no word for
            node.value = node.value.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            raise MarkedYAMLError(problem="has half of a character", problem_mark=node.start_mark) from None
        return node


def _compose(text: str, file: str) -> Node:
    try:
        node = _Loader(text).get_single_node()
    except MarkedYAMLError as error:
        raise _syntax_fault(error, file) from error
    except ReaderError as error:
        before = text[: error.position]
        place = Location(file, before.count("\n") + 1, error.position - before.rfind("\n"))
        raise _fault(place, f"contains the control character {chr(int(error.character))!r}") from error
    if node is None:
        raise _fault(Location(file, 1, 1), "is empty", "start with `version: 1` and a list `builds:`")
    return node


def _syntax_fault(error: MarkedYAMLError, file: str) -> InvalidFileError:
    problem = error.problem or "is not YAML"
    text = f"{error.context}, {problem}" if error.context else problem
    hint = next((hint for words, hint in _HINTS if words in text), "")
    opened = any(end in problem for end in ("unexpected end of stream", "<stream end>")) and error.context_mark
    mark = error.context_mark if opened else error.problem_mark or error.context_mark
    return _fault(_place(file, mark), text, hint)


def _place(file: str, mark: Mark | None) -> Location:
    return Location(file, mark.line + 1, mark.column + 1) if mark else Location(file)


class _Builder:
    """Nodes to values. Faults are collected, so that three duplicate keys are three findings of one reading."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.findings = Findings()
        self.positions: dict[KeyPath, Location] = {}
        self.keys: dict[KeyPath, Location] = {}
        self.scalars: dict[KeyPath, Scalar] = {}
        self._open: set[int] = set()  # ids of the collections that are being built
        self._merges = 0

    def build(self, node: Node, path: KeyPath) -> Any:
        self.positions[path] = self._place(node)
        self._bound(node)
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
        if id(node) in self._open:
            self.findings.add(self._place(node), "contains itself through an alias", path=path)
            return None
        self._open.add(id(node))
        value = self._mapping(node, path) if isinstance(node, MappingNode) else self._sequence(node, path)
        self._open.discard(id(node))
        return value

    def _bound(self, node: Node) -> None:
        if len(self.positions) + self._merges > MAX_NODES:
            raise _fault(self._place(node), f"grows beyond {MAX_NODES} values by its aliases")
        if len(self._open) > 2 * MAX_DEPTH:
            raise _fault(self._place(node), "is nested too deeply by its aliases")

    def _scalar(self, node: ScalarNode, path: KeyPath) -> ScalarValue:
        plain = node.tag == _PLAIN
        self.scalars[path] = Scalar(node.value, node.value, plain)
        if plain:
            return resolve(node.value)
        self._check_tag(node, path, "str")
        return str(node.value)

    def _sequence(self, node: Node, path: KeyPath) -> list[Any]:
        self._check_tag(node, path, "seq")
        items = node.value if isinstance(node, SequenceNode) else []
        return [self.build(item, (*path, index)) for index, item in enumerate(items)]

    def _mapping(self, node: MappingNode, path: KeyPath) -> dict[str, Any]:
        self._check_tag(node, path, "map")
        own, merged = self._split(node, path)
        entries = {key: pair for source in merged for key, pair in self._inherited(source, path).items()}
        entries.update(own)
        return {key: self._entry(key, pair, path) for key, pair in entries.items()}

    def _entry(self, key: str, pair: tuple[Node, Node], path: KeyPath) -> Any:
        here = (*path, key)
        self.keys[here] = self._place(pair[0])
        return self.build(pair[1], here)

    def _split(self, node: MappingNode, path: KeyPath) -> tuple[dict[str, tuple[Node, Node]], list[MappingNode]]:
        """A mapping's own entries, and the mappings it merges, those that count least first."""
        own: dict[str, tuple[Node, Node]] = {}
        merged: list[MappingNode] = []
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                self.findings.add(self._place(key), "a key must be a single word or text", path=path)
            elif key.value in own:
                first = self._place(own[key.value][0]).line
                self.findings.add(
                    self._place(key),
                    f"the key {key.value!r} is given twice",
                    path=(*path, key.value),
                    hint=f"the first one is in line {first}; remove one of them",
                )
            elif key.value == "<<" and key.tag == _PLAIN:
                merged[:0] = reversed(list(self._merge_sources(value, path)))
            else:
                own[key.value] = (key, value)
        return own, merged

    def _merge_sources(self, node: Node, path: KeyPath) -> Iterator[MappingNode]:
        for item in node.value if isinstance(node, SequenceNode) else [node]:
            if isinstance(item, MappingNode):
                yield item
            else:
                self.findings.add(
                    self._place(item), "`<<` can merge mappings only", path=path, hint="for example `<<: *common`"
                )

    def _inherited(self, node: MappingNode, path: KeyPath) -> dict[str, tuple[Node, Node]]:
        self._merges += 1
        self._bound(node)
        if id(node) in self._open:
            self.findings.add(self._place(node), "merges itself", path=path)
            return {}
        self._open.add(id(node))
        own, merged = self._split(node, path)
        entries = {key: pair for source in merged for key, pair in self._inherited(source, path).items()}
        self._open.discard(id(node))
        return {**entries, **own}

    def _check_tag(self, node: Node, path: KeyPath, kind: str) -> None:
        if node.tag != _TAG + kind:
            shown = node.tag.replace(_TAG, "!!")
            self.findings.add(
                self._place(node), f"the tag {shown} is not supported", path=path, hint="remove the tag"
            )

    def _place(self, node: Node) -> Location:
        return _place(self.file, node.start_mark)
