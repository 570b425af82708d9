"""Fills in `${VAR}` from the environment, by Compose's rules, on values only: never in keys or in the structure.

$VAR  ${VAR}     the value; unset is an error (Compose: a warning and an empty text)
${VAR:-x}  ${VAR-x}    x when unset or empty; x when unset
${VAR:?m}  ${VAR?m}    an error that says m when unset or empty; when unset
${VAR:+x}  ${VAR+x}    x when set and not empty; x when set; else nothing          $$  a dollar sign
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import TypeAlias

from executor.dataclass import dataclass, replace
from runner.buildsfile.findings import Findings
from runner.buildsfile.nodes import Node
from runner.buildsfile.scalars import resolve
from runner.buildsfile.yamlfile import Scalar

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DOTTED_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")
_OPERATOR = re.compile(r":?[-?+]")
_SPECIAL = re.compile(r"[$}]")
_MAX_NESTING = 20
_LITERAL_HINT = "write $$ for a dollar sign"


@dataclass(frozen=True, slots=True)
class Variable:
    """One `${name<operator>argument}`. `raw` is the argument's text as written, for messages."""

    name: str
    operator: str = ""
    argument: tuple[Part, ...] = ()
    raw: str = ""


Part: TypeAlias = str | Variable
Complain: TypeAlias = Callable[[str, str], None]
Scope: TypeAlias = Mapping[str, Node]
EMPTY_SCOPE: Scope = MappingProxyType({})


class MalformedError(ValueError):
    """A `$` that begins no variable. The message says what is wrong; `hint` says what to write."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def filled(node: Node, environment: Mapping[str, str], findings: Findings, scope: Scope = EMPTY_SCOPE) -> Node:
    """The tree with all variables filled in. A plain scalar made of variables alone gets its type anew.

    `scope` has variables of the file itself, which count more than those of the environment; one that is the whole
    scalar keeps its type. Every variable that is missing and every `$` that is not understood goes to `findings`.
    """
    return _Filling(environment, findings, scope).node(node)


def parse(text: str) -> tuple[Part, ...]:
    """Split a text into literal parts and variables. Raises MalformedError."""
    parts, _ = _parts(text, 0, 0)
    return parts


def expand(parts: tuple[Part, ...], environment: Mapping[str, str], complain: Complain) -> str:
    """Parts to text. Each missing variable is reported by `complain(message, hint)` and becomes ''."""
    return "".join(p if isinstance(p, str) else _expand_variable(p, environment, complain) for p in parts)


class _Filling:
    """One pass over a tree."""

    def __init__(self, environment: Mapping[str, str], findings: Findings, scope: Scope) -> None:
        self._environment = environment
        self._findings = findings
        self._scope = scope

    def node(self, node: Node) -> Node:
        match node.value:
            case dict() as entries:
                return replace(node, value={key: self.node(item) for key, item in entries.items()})
            case list() as items:
                return replace(node, value=[self.node(item) for item in items])
            case str() as source if "$" in source:
                return self._scalar(node, source)
            case _:
                return node

    def _scalar(self, node: Node, source: str) -> Node:
        try:
            parts = parse(source)
        except MalformedError as error:
            node.noted(self._findings, str(error), error.hint)
            return node
        plain = node.scalar is not None and node.scalar.plain
        if plain and (own := self._whole(parts)):
            return replace(own, place=node.place, key=node.key, path=node.path, origin=(*node.origin, *own.origin))
        seen = _Recorder(self._environment, self._scope)
        text = expand(parts, seen, lambda message, hint: node.noted(self._findings, message, hint))
        retyped = plain and all(isinstance(part, Variable) for part in parts)
        return replace(
            node,
            value=resolve(text) if retyped else text,
            scalar=Scalar(node.scalar.source if node.scalar else source, text, plain),
            origin=(*node.origin, *seen.origins),
        )

    def _whole(self, parts: tuple[Part, ...]) -> Node | None:
        """The value of the scope that is the whole scalar."""
        match parts:
            case (Variable(name=name, operator=""),):
                return self._scope.get(name)
            case _:
                return None


class _Recorder(Mapping[str, str]):
    """The variables that can be seen; remembers which were used."""

    def __init__(self, environment: Mapping[str, str], scope: Scope) -> None:
        self._environment = environment
        self._scope = scope
        self.origins: dict[str, None] = {}

    def __getitem__(self, name: str) -> str:
        if name in self._scope:
            node = self._scope[name]
            self.origins.update(dict.fromkeys(node.origin))
            return node.text
        value = self._environment[name]
        self.origins[f"the variable {name}"] = None
        return value

    def __iter__(self) -> Iterator[str]:
        return iter({**self._environment, **self._scope})

    def __len__(self) -> int:
        return len({**self._environment, **self._scope})


def _parts(text: str, start: int, depth: int) -> tuple[tuple[Part, ...], int]:
    """Parts from `start` on, and where they end: at the text's end or, inside braces, at the closing one."""
    parts: list[Part] = []
    position = start
    while match := _SPECIAL.search(text, position):
        if match[0] == "}" and depth == 0:
            end = match.end()
            parts.append(text[position:end])
            position = end
            continue
        parts.append(text[position : match.start()])
        if match[0] == "}":
            return _compact(parts), match.start()
        part, position = _dollar(text, match.start(), depth)
        parts.append(part)
    if depth:
        raise MalformedError("`${` is never closed", "add the missing `}`, or write $$ for a dollar sign")
    parts.append(text[position:])
    return _compact(parts), len(text)


def _compact(parts: list[Part]) -> tuple[Part, ...]:
    return tuple(part for part in parts if part != "")


def _dollar(text: str, start: int, depth: int) -> tuple[Part, int]:
    """The part that the `$` at `start` begins, and where the text goes on."""
    after = text[start + 1 : start + 2]
    if after == "$":
        return "$", start + 2
    if after == "{":
        return _braced(text, start + 2, depth + 1)
    name = _NAME.match(text, start + 1)
    if not name:
        shown = text[start : start + 2]
        raise MalformedError(f"`{shown}` is not a variable", _LITERAL_HINT)
    return Variable(name[0]), name.end()


def _braced(text: str, start: int, depth: int) -> tuple[Variable, int]:
    if depth > _MAX_NESTING:
        raise MalformedError(f"variables are nested deeper than {_MAX_NESTING}", "use fewer defaults of defaults")
    name = _DOTTED_NAME.match(text, start)
    if not name:
        raise MalformedError("`${` is not followed by a name", _LITERAL_HINT)
    if text.startswith("}", name.end()):
        return Variable(name[0]), name.end() + 1
    operator = _OPERATOR.match(text, name.end())
    if not operator:
        raise MalformedError(
            f"`${{{name[0]}` is followed by neither `}}` nor an operator", "the operators are :- - :? ? :+ +"
        )
    argument, end = _parts(text, operator.end(), depth)
    return Variable(name[0], operator[0], argument, text[operator.end() : end]), end + 1


def _expand_variable(variable: Variable, environment: Mapping[str, str], complain: Complain) -> str:
    value = environment.get(variable.name)
    present = bool(value) if variable.operator.startswith(":") else value is not None
    match variable.operator[-1:]:
        case "-" if not present:
            return expand(variable.argument, environment, complain)
        case "+":
            return expand(variable.argument, environment, complain) if present else ""
        case "?" | "" if not present:
            complain(*_missing(variable, value))
            return ""
        case _:
            return _checked(variable.name, value or "", complain)


def _missing(variable: Variable, value: str | None) -> tuple[str, str]:
    state = "not set" if value is None else "empty"
    reason = f": {variable.raw}" if variable.raw else ""
    hint = f"set {variable.name} in the environment"
    if not variable.operator:
        hint += f", or give a default: ${{{variable.name}:-value}}"
    return f"the variable {variable.name} is {state}{reason}", hint


def _checked(name: str, value: str, complain: Complain) -> str:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        complain(f"the variable {name} is not UTF-8 text", "encode its value, for example with base64")
        return ""
    return value
