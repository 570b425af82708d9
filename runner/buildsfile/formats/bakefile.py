"""A Bake file, from HCL or JSON, with everything in it evaluated: its groups and targets as plain values.

Variables take their value from the environment where it has one. Of HCL: variables, attributes, functions,
expressions, heredocs, and `validation` of variables. A target with a matrix becomes one of each combination.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

from executor.dataclass import dataclass, field, replace
from executor.errors import InvalidFileError, Location
from runner.buildsfile.findings import Findings
from runner.buildsfile.formats.hclexpressions import (
    Evaluation,
    Function,
    Names,
    branches,
    fault,
    node_of,
    parse_tree,
)
from runner.buildsfile.nodes import Node, data, map_node

if TYPE_CHECKING:
    from lark import Token

    from runner.buildsfile.formats.hclexpressions import Branch

Expression: TypeAlias = Callable[[Names], Node]
_MOST_COMBINATIONS = 10_000
_BLOCKS = ("variable", "group", "target", "function")
_WORDS = Names(variable=lambda name: node_of(name, Location("")), functions={})
"""For the parameters of a function, which are bare words: each stands for itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A block: its name, where it stands, its attributes, and the blocks in it by type."""

    name: str
    place: Location
    attributes: Mapping[str, tuple[Location, Expression]]
    blocks: Mapping[str, list[Block]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class BakeFile:
    """The evaluated file. `targets` are in order, matrices expanded; `matrices` has the targets that each made."""

    place: Location
    targets: Mapping[str, Node]
    groups: Mapping[str, Node]
    matrices: Mapping[str, tuple[str, ...]]


def read_hcl(data: bytes, file: str, environment: Mapping[str, str], findings: Findings) -> BakeFile:
    """Read `docker-bake.hcl`. Faults of single expressions go to `findings`.

    Raises InvalidFileError for what is not HCL, UsageError when the library that reads it is not installed.
    """
    try:
        source = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise fault(Location(file), "is not UTF-8 text") from error
    root = _body("", Location(file, 1, 1), branches(parse_tree(source, file))[0], file)
    return _Evaluated(root, environment, findings).file()


def read_json(root: Node, file: str, environment: Mapping[str, str], findings: Findings) -> BakeFile:
    """The same for `docker-bake.json`, whose texts are templates."""
    return _Evaluated(_json_body("", root, file), environment, findings).file()


class _Evaluated:
    """Evaluates a file's blocks. Variables are evaluated when they are used, each once."""

    def __init__(self, root: Block, environment: Mapping[str, str], findings: Findings) -> None:
        self._root = root
        self._environment = environment
        self._findings = findings
        self._variables = {block.name: block for block in root.blocks.get("variable", ())}
        self._values: dict[str, Node] = {}
        self._open: list[str] = []
        self._names = Names(variable=self._variable, functions=self._functions())

    def file(self) -> BakeFile:
        for block in self._variables.values():
            self._validated(block)
        targets: dict[str, Node] = {}
        matrices: dict[str, tuple[str, ...]] = {}
        for block in self._root.blocks.get("target", ()):
            made = dict(self._targets(block))
            if "matrix" in block.attributes:
                matrices[block.name] = tuple(made)
            targets.update(made)
        groups = {block.name: self._body_of(block, self._names) for block in self._root.blocks.get("group", ())}
        return BakeFile(place=self._root.place, targets=targets, groups=groups, matrices=matrices)

    def _variable(self, name: str) -> Node:
        if name in self._values:
            return self._values[name]
        if name in self._open:
            raise ValueError(f"the variable {name} depends on itself")
        self._open.append(name)
        try:
            value = self._computed(name)
        finally:
            self._open.pop()
        self._values[name] = value
        return value

    def _computed(self, name: str) -> Node:
        if name in self._variables:
            block = self._variables[name]
            default = block.attributes.get("default")
            value = default[1](self._names) if default else node_of(None, block.place)
            if name in self._environment:
                given = _typed(self._environment[name], data(value), name)
                return node_of(given, value.place, (f"the variable {name}",))
            return value
        if name in self._root.attributes:
            return self._root.attributes[name][1](self._names)
        raise KeyError(f"variable {name!r}")

    def _validated(self, block: Block) -> None:
        for check in block.blocks.get("validation", ()):
            with self._noted():
                if "condition" not in check.attributes:
                    raise fault(check.place, "a validation needs a `condition`")
                place, condition = check.attributes["condition"]
                if not data(condition(self._names)):
                    message = check.attributes.get("error_message")
                    reason = str(data(message[1](self._names))) if message else "its validation says no"
                    raise fault(place, f"the variable {block.name} is not valid: {reason}")

    def _functions(self) -> dict[str, Function]:
        return {block.name: self._function(block) for block in self._root.blocks.get("function", ())}

    def _function(self, block: Block) -> Function:
        def call(*arguments: Any) -> Any:
            words = [str(word) for word in data(block.attributes["params"][1](_WORDS))]
            local = dict(zip(words, arguments, strict=False))
            if rest := block.attributes.get("variadic_params"):
                local[str(data(rest[1](_WORDS)))] = list(arguments[len(words) :])
            elif len(words) != len(arguments):
                raise ValueError(f"the function {block.name} takes {len(words)} arguments, not {len(arguments)}")
            return data(block.attributes["result"][1](self._names.with_local(**local)))

        return call

    def _targets(self, block: Block) -> Iterator[tuple[str, Node]]:
        for local in self._matrix(block):
            names = self._names.with_local(**local)
            body = self._body_of(block, names)
            name = block.name
            if "name" in block.attributes:
                with self._noted():
                    name = str(data(block.attributes["name"][1](names)))
            yield name, body

    def _matrix(self, block: Block) -> Iterator[dict[str, Any]]:
        if "matrix" not in block.attributes:
            yield {}
            return
        with self._noted():
            place, expression = block.attributes["matrix"]
            matrix = data(expression(self._names))
            if not isinstance(matrix, dict) or not all(isinstance(values, list) for values in matrix.values()):
                raise fault(place, "a matrix is a map of lists")
            if "name" not in block.attributes:
                raise fault(place, "a target with a matrix needs a `name` with its variables")
            if math.prod(map(len, matrix.values())) > _MOST_COMBINATIONS:
                raise fault(place, f"a matrix has at most {_MOST_COMBINATIONS} combinations")
            yield from (dict(zip(matrix, chosen, strict=True)) for chosen in itertools.product(*matrix.values()))

    def _body_of(self, block: Block, names: Names) -> Node:
        entries = {}
        for key, (place, expression) in block.attributes.items():
            if key in ("matrix", "name"):
                continue
            with self._noted():
                entries[key] = replace(expression(names), key=place)
        return map_node(entries, Node(value=None, place=block.place))

    @contextmanager
    def _noted(self) -> Iterator[None]:
        """Note the fault of one expression, and go on after the block."""
        try:
            yield
        except InvalidFileError as error:
            self._findings.extend(error.diagnostics)


def _typed(text: str, default: Any, name: str) -> Any:
    """The environment's value as what the default is: a number, a boolean, or text; lists and maps as JSON."""
    try:
        match default:
            case bool():
                return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
            case int() | float():
                return float(text) if "." in text else int(text)
            case list() | dict():
                return json.loads(text)
            case _:
                return text
    except (KeyError, ValueError, RecursionError):
        kinds = {bool: "true or false", int: "a number", float: "a number"}
        kind = kinds.get(type(default), "JSON")
        raise ValueError(f"the value of {name} in the environment is not {kind}") from None


def _body(name: str, place: Location, tree: Branch, file: str) -> Block:
    attributes: dict[str, tuple[Location, Expression]] = {}
    blocks: dict[str, list[Block]] = {}
    for child in branches(tree):
        word = _first_token(child)
        if child.data == "attribute":
            attributes[str(word)] = (_at(word, file), _hcl_expression(branches(child)[-1], file))
        else:
            *head, inside = branches(child)
            inner = _body(_label(head[1]) if head[1:] else "", _at(word, file), inside, file)
            blocks.setdefault(str(word), []).append(inner)
    return Block(name=name, place=place, attributes=attributes, blocks=blocks)


def _first_token(tree: Branch) -> Token:
    return next(tree.scan_values(lambda _: True))


def _at(token: Token, file: str) -> Location:
    return Location(file, token.line or 0, token.column or 0)


def _label(tree: Branch) -> str:
    return "".join(str(token) for token in tree.scan_values(lambda _: True)).strip('"')


def _hcl_expression(tree: Branch, file: str) -> Expression:
    return lambda names: Evaluation(file, names).node(tree)


def _json_body(name: str, node: Node, file: str) -> Block:
    attributes = {}
    blocks: dict[str, list[Block]] = {}
    for key, item in node.entries.items():
        if not name and key in _BLOCKS:
            blocks[key] = [_json_body(label, body, file) for label, body in item.entries.items()]
        elif key == "validation":
            blocks[key] = [_json_body(name, body, file) for body in item.items or [item]]
        else:
            attributes[key] = (item.key or item.place, _json_expression(item, file))
    return Block(name=name, place=node.key or node.place, attributes=attributes, blocks=blocks)


def _json_expression(node: Node, file: str) -> Expression:
    return lambda names: _filled(node, file, names)


def _filled(node: Node, file: str, names: Names) -> Node:
    match node.value:
        case dict() as entries:
            return replace(node, value={key: _filled(item, file, names) for key, item in entries.items()})
        case list() as items:
            return replace(node, value=[_filled(item, file, names) for item in items])
        case str() as source:
            evaluation = Evaluation(file, names)
            value = evaluation.template(source, node.place)
            return replace(node_of(value, node.place, tuple(evaluation.origins)), key=node.key, path=node.path)
        case _:
            return node
