"""The values of builds files as immutable trees, each value with its place: what the phases of reading pass on.

A tree is merged, expanded and filled in by making a new one; values that stay are shared. At the end it becomes a
Document, which the schema and the checks look at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from executor.dataclass import dataclass, replace
from executor.errors import Location
from runner.buildsfile.findings import Findings, KeyPath
from runner.buildsfile.scalars import ScalarValue
from runner.buildsfile.yamlfile import Document, Scalar

Value: TypeAlias = "dict[str, Node] | list[Node] | ScalarValue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A value, where it stands, where its key stands, and its path in its own file.

    `origin` tells in words what brought it here: `defaults`, `inherits base`, `the variable TAG`; nearest last.
    """

    value: Value
    place: Location
    key: Location | None = None
    path: KeyPath = ()
    scalar: Scalar | None = None
    origin: tuple[str, ...] = ()

    @property
    def entries(self) -> Mapping[str, Node]:
        """The entries of a mapping; none of anything else."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> list[Node]:
        """The items of a list; none of anything else."""
        return self.value if isinstance(self.value, list) else []

    @property
    def text(self) -> str:
        """A scalar as it is written; '' for a mapping or a list."""
        return self.scalar.text if self.scalar else ""

    def get(self, key: str) -> Node | None:
        """The value of a mapping's key."""
        return self.entries.get(key)

    def with_entries(self, **entries: Node) -> Node:
        """The mapping with these entries added or replaced."""
        return replace(self, value={**self.entries, **entries})

    def without(self, *keys: str) -> Node:
        """The mapping without these keys."""
        return replace(self, value={key: node for key, node in self.entries.items() if key not in keys})

    def noted(self, findings: Findings, message: str, hint: str = "") -> None:
        """Note a fault of this value."""
        findings.add(self.place, message, path=self.path, hint=hint)


def data(node: Node) -> Any:
    """The plain values of a tree: dict, list, str, int, float, bool, None."""
    match node.value:
        case dict() as entries:
            return {key: data(item) for key, item in entries.items()}
        case list() as items:
            return [data(item) for item in items]
        case value:
            return value


def text_node(text: str, like: Node, *, origin: str = "") -> Node:
    """A text that stands where `like` does."""
    added = (origin,) if origin else ()
    return replace(like, value=text, scalar=Scalar(text, text, plain=False), origin=(*like.origin, *added))


def list_node(items: list[Node], like: Node) -> Node:
    """A list that stands where `like` does."""
    return replace(like, value=items, scalar=None)


def map_node(entries: dict[str, Node], like: Node) -> Node:
    """A mapping that stands where `like` does."""
    return replace(like, value=entries, scalar=None)


def with_origin(node: Node, origin: str) -> Node:
    """The tree, each of its values with one more word about where it comes from."""
    match node.value:
        case dict() as entries:
            value: Value = {key: with_origin(item, origin) for key, item in entries.items()}
        case list() as items:
            value = [with_origin(item, origin) for item in items]
        case scalar:
            value = scalar
    return replace(node, value=value, origin=(*node.origin, origin))


def merged(over: Node, base: Node) -> Node:
    """`over` laid upon `base`: maps key by key, everything else replaced. Keys of the base come first."""
    if not (isinstance(over.value, dict) and isinstance(base.value, dict)):
        return over
    entries = dict(base.value)
    for key, node in over.value.items():
        entries[key] = merged(node, entries[key]) if key in entries else node
    return replace(over, value=entries)


def from_document(document: Document, path: KeyPath = (), value: Any = ...) -> Node:
    """The tree of a document's value at `path`."""
    here = document.value if value is ... else value
    match here:
        case dict():
            content: Value = {key: from_document(document, (*path, key), item) for key, item in here.items()}
        case list():
            content = [from_document(document, (*path, index), item) for index, item in enumerate(here)]
        case _:
            content = here
    return Node(
        value=content,
        place=document.positions[path],
        key=document.keys.get(path),
        path=path,
        scalar=document.scalars.get(path),
    )


def to_document(root: Node, file: str) -> Document:
    """The tree as a Document; `shown` has each value's path in its own file."""
    document = Document(file=file, value=data(root), positions={}, keys={}, scalars={}, shown={})
    positions, keys, scalars, shown = {}, {}, {}, {}
    for path, node in walk(root):
        positions[path] = node.place
        shown[path] = node.path
        if node.key:
            keys[path] = node.key
        if node.scalar:
            scalars[path] = node.scalar
    return replace(document, positions=positions, keys=keys, scalars=scalars, shown=shown)


def walk(node: Node, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Node]]:
    """Every value of the tree with its path, parents first."""
    yield path, node
    for key, item in node.entries.items():
        yield from walk(item, (*path, key))
    for index, item in enumerate(node.items):
        yield from walk(item, (*path, index))
