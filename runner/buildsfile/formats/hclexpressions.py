"""Evaluates HCL expressions: parse trees of python-hcl2, and templates in the strings of a JSON file.

Every value comes out as a Node that stands where its expression does.
"""

from __future__ import annotations

import operator
import re
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from executor.dataclass import dataclass, field, replace
from executor.errors import Diagnostic, InvalidFileError, Location, UsageError
from runner.buildsfile.formats.hclfunctions import FUNCTIONS, HclValue, text
from runner.buildsfile.nodes import Node, data
from runner.buildsfile.yamlfile import Scalar

if TYPE_CHECKING:
    from lark import Token, Tree

    Branch: TypeAlias = Tree[Token]

Function: TypeAlias = Callable[..., HclValue]
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_SIMPLE = re.compile(r"\$\{\s*([A-Za-z_][A-Za-z0-9_-]*)\s*\}")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)
_HEREDOC = re.compile(r"<<(-?)[^\n]*\n(.*?)\n?[ \t]*[A-Za-z][\w.-]*\r?\n\Z", re.DOTALL)
_BINARY: Mapping[str, Function] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": operator.mod,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
    "&&": lambda a, b: a and b,
    "||": lambda a, b: a or b,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What an expression can see. `variable` gives a value or raises KeyError; `local` counts before it."""

    variable: Callable[[str], Node]
    functions: Mapping[str, Function]
    local: Mapping[str, HclValue] = field(default_factory=dict)

    def with_local(self, **values: HclValue) -> Names:
        """The same, with more local names."""
        return replace(self, local={**self.local, **values})


def parse_tree(source: str, file: str) -> Branch:
    """The parse tree of an HCL file. Raises InvalidFileError, UsageError when the library is not installed."""
    try:
        from hcl2.api import parses_to_tree
        from lark.exceptions import UnexpectedInput
    except ImportError as error:
        hint = "pip install 'krunner-images[hcl]', or write the file as JSON or YAML"
        raise UsageError("reading HCL needs the library python-hcl2", hint=hint) from error
    try:
        return parses_to_tree(source)
    except UnexpectedInput as error:
        place = Location(file, max(error.line, 1), max(error.column, 1))
        raise InvalidFileError([Diagnostic(place, "is not HCL from here on")]) from error


class Evaluation:
    """Evaluates the expressions of one file. `origins` collects which variables of the environment were used."""

    def __init__(self, file: str, names: Names) -> None:
        self._file = file
        self._names = names
        self.origins: dict[str, None] = {}

    def node(self, tree: Branch) -> Node:
        """The value of an expression; literal lists and maps keep the places of what is in them."""
        place = self._place(tree)
        inner = _unwrapped(tree)
        if inner.data == "tuple":
            return Node(value=[self.node(item) for item in branches(inner)], place=place)
        if inner.data == "object":
            pairs = self.guarded(place, lambda: list(self._pairs(inner)))
            return Node(
                value={key: replace(self.node(value), key=where) for key, value, where in pairs}, place=place
            )
        leaf = Evaluation(self._file, self._names)
        value = leaf.guarded(place, lambda: leaf.value(tree))
        return node_of(value, place, tuple(leaf.origins))

    def guarded(self, place: Location, compute: Callable[[], HclValue]) -> HclValue:
        """What `compute` gives; its faults are those of the expression at `place`."""
        try:
            return compute()
        except KeyError as error:
            raise fault(place, f"there is no {error.args[0]}") from error
        except (
            TypeError,
            ValueError,
            IndexError,
            AttributeError,
            ArithmeticError,
            RecursionError,
            re.error,
        ) as error:
            raise fault(place, f"cannot be evaluated: {error}") from error

    def value(self, tree: Branch) -> HclValue:
        """The plain value of an expression. Raises KeyError for an unknown name, others for a wrong kind."""
        inner = _unwrapped(tree)
        handler = self._HANDLERS.get(str(inner.data))
        if handler is None:
            raise ValueError(f"HCL's {str(inner.data).replace('_', ' ')} is not supported")
        return handler(self, inner)

    def template(self, source: str, place: Location) -> HclValue:
        """The value of a template in a text of JSON, or of a heredoc."""
        if whole := _SIMPLE.fullmatch(source):
            return self.guarded(place, lambda: self._variable(whole[1]))
        return self.guarded(place, lambda: "".join(self._template_parts(source)))

    def _template_parts(self, source: str) -> Iterator[str]:
        position = 0
        while (start := source.find("${", position)) >= 0:
            if source[start - 1 : start] == "$" and start > position:
                yield source[position : start - 1] + "${"
                position = start + 2
                continue
            yield source[position:start]
            end = _closing(source, start + 2)
            yield text(self._embedded(source[start + 2 : end]))
            position = end + 1
        yield source[position:]

    def _embedded(self, source: str) -> HclValue:
        if _NAME.fullmatch(source.strip()):
            return self._variable(source.strip())
        tree = parse_tree(f"x = ({source})", self._file)
        return self.value(branches(next(tree.find_data("attribute")))[-1])

    def _variable(self, name: str) -> HclValue:
        if name in self._names.local:
            return self._names.local[name]
        node = self._names.variable(name)
        self.origins.update(dict.fromkeys(node.origin))
        return data(node)

    def _pairs(self, tree: Branch) -> Iterator[tuple[str, Branch, Location]]:
        for element in branches(tree):
            key, value = branches(element)
            yield self._key(key), value, self._place(key)

    def _key(self, tree: Branch) -> str:
        """A key: a bare word is itself, one in parentheses a variable."""
        inner = _unwrapped(branches(tree)[0] if branches(tree) else tree)
        bare = inner.data in ("identifier", "keyword") and next(tree.scan_values(lambda _: True)) != "("
        return str(inner.children[0]) if bare else text(self.value(inner))

    def _place(self, tree: Branch) -> Location:
        token = next(tree.scan_values(lambda _: True), None)
        return Location(self._file, token.line or 0, token.column or 0) if token else Location(self._file)

    def _literal(self, tree: Branch) -> HclValue:
        return {"true": True, "false": False, "null": None}[str(tree.children[0])]

    def _string(self, tree: Branch) -> HclValue:
        return "".join(self._string_part(part) for part in branches(tree))

    def _string_part(self, part: Branch) -> str:
        (inner,) = part.children
        if isinstance(inner, str):
            return _unescaped(inner)
        return text(self.value(inner))

    def _heredoc(self, tree: Branch) -> HclValue:
        found = _HEREDOC.match(str(tree.children[0]))
        body = f"{found[2]}\n" if found and found[2] else ""
        if found and found[1]:
            body = textwrap.dedent(body)
        return "".join(self._template_parts(body))

    def _interpolation(self, tree: Branch) -> HclValue:
        return self.value(branches(tree)[0])

    def _tuple(self, tree: Branch) -> HclValue:
        return [self.value(item) for item in branches(tree)]

    def _object(self, tree: Branch) -> HclValue:
        return {key: self.value(value) for key, value, _ in self._pairs(tree)}

    def _conditional(self, tree: Branch) -> HclValue:
        condition, yes, no = branches(tree)
        return self.value(yes if self.value(condition) else no)

    def _binary(self, tree: Branch) -> HclValue:
        left, term = branches(tree)[:2]
        sign, right = branches(term)
        return _BINARY[str(sign.children[0]).strip()](self.value(left), self.value(right))

    def _unary(self, tree: Branch) -> HclValue:
        operand = self.value(branches(tree)[0])
        return not operand if str(tree.children[0]) == "!" else -operand

    def _call(self, tree: Branch) -> HclValue:
        name, *arguments = branches(tree)
        function = self._names.functions.get(str(name.children[0])) or FUNCTIONS.get(str(name.children[0]))
        if function is None:
            raise KeyError(f"function {str(name.children[0])!r} here; {', '.join(sorted(FUNCTIONS))} are known")
        values = [self.value(argument) for argument in branches(arguments[0])] if arguments else []
        if arguments and arguments[0].children[-1] == "...":
            values = [*values[:-1], *values[-1]]
        return function(*values)

    def _index(self, tree: Branch) -> HclValue:
        of, place = branches(tree)
        key = self.value(branches(place)[0]) if place.data == "braces_index" else int(str(place.children[-1]))
        value = self.value(of)
        if isinstance(value, dict) and key not in value:
            raise KeyError(f"key {key!r}")
        return value[key]

    def _attribute(self, tree: Branch) -> HclValue:
        of, name = branches(tree)
        key = str(branches(name)[0].children[0])
        value = self.value(of)
        if not isinstance(value, dict) or key not in value:
            raise KeyError(f"key {key!r}")
        return value[key]

    def _for_tuple(self, tree: Branch) -> HclValue:
        intro, value, *condition = branches(tree)
        return [inner.value(value) for inner in self._loop(intro, condition)]

    def _for_object(self, tree: Branch) -> HclValue:
        intro, key, value, *condition = branches(tree)
        return {text(inner.value(key)): inner.value(value) for inner in self._loop(intro, condition)}

    def _loop(self, intro: Branch, condition: list[Branch]) -> Iterator[Evaluation]:
        """One evaluation, with the loop's names, for each item that the condition takes."""
        *names, over = branches(intro)
        words = [str(name.children[0]) for name in names]
        items = self.value(over)
        pairs = items.items() if isinstance(items, dict) else enumerate(items)
        for key, value in pairs:
            given = (key, value) if len(words) == 2 else (value,)
            inner = Evaluation(self._file, self._names.with_local(**dict(zip(words, given, strict=True))))
            inner.origins = self.origins
            if not condition or inner.value(branches(condition[0])[0]):
                yield inner

    _HANDLERS: ClassVar[Mapping[str, Callable[[Evaluation, Branch], HclValue]]] = {
        "literal_value": _literal,
        "int_lit": lambda _, tree: int(str(tree.children[0])),
        "float_lit": lambda _, tree: float(str(tree.children[0])),
        "identifier": lambda self, tree: self._variable(str(tree.children[0])),
        "string": _string,
        "heredoc_template": _heredoc,
        "heredoc_template_trim": _heredoc,
        "interpolation": _interpolation,
        "tuple": _tuple,
        "object": _object,
        "conditional": _conditional,
        "binary_op": _binary,
        "unary_op": _unary,
        "function_call": _call,
        "index_expr_term": _index,
        "get_attr_expr_term": _attribute,
        "for_tuple_expr": _for_tuple,
        "for_object_expr": _for_object,
    }


def node_of(value: HclValue, place: Location, origin: tuple[str, ...] = ()) -> Node:
    """A plain value as a Node, all of it at `place`."""
    match value:
        case dict():
            content = {key: replace(node_of(item, place, origin), key=place) for key, item in value.items()}
            return Node(value=content, place=place, origin=origin)
        case list():
            return Node(value=[node_of(item, place, origin) for item in value], place=place, origin=origin)
        case float() if value.is_integer():
            return node_of(int(value), place, origin)
        case None:
            return Node(value=None, place=place, origin=origin)
        case _:
            written = text(value)
            # no phase after this one may look for variables in it
            shown = value.replace("$", "$$") if isinstance(value, str) else value
            return Node(value=shown, place=place, scalar=Scalar(written, written, plain=False), origin=origin)


def fault(place: Location, message: str, hint: str = "") -> InvalidFileError:
    """The error of one place."""
    return InvalidFileError([Diagnostic(place, message, hint=hint)])


def branches(tree: Branch) -> list[Branch]:
    """The parts of a rule, without its punctuation, line ends and comments."""
    return [part for part in tree.children if not isinstance(part, str) and part.data != "new_line_or_comment"]


def _unwrapped(tree: Branch) -> Branch:
    """The rule within parentheses and within rules that only lead to another."""
    while tree.data in ("expr_term", "object_elem_key") and len(branches(tree)) == 1:
        tree = branches(tree)[0]
    return tree


def _unescaped(source: str) -> str:
    if source.startswith(("$${", "%%{")):
        return source[1:]
    return _ESCAPE.sub(
        lambda found: _character(found[1] or found[2]) if not found[3] else _escape(found[3]), source
    )


def _character(digits: str) -> str:
    """What `\\u` and `\\U` stand for; half of a surrogate pair is no character in HCL."""
    number = int(digits, 16)
    if number > sys.maxunicode or 0xD800 <= number <= 0xDFFF:
        raise ValueError(f"{digits} is not the number of a character")
    return chr(number)


def _escape(letter: str) -> str:
    if letter not in _ESCAPES:
        raise ValueError(f"\\{letter} is not an escape sequence")
    return _ESCAPES[letter]


def _closing(source: str, start: int) -> int:
    """Where the brace closes that was opened before `start`."""
    depth, quoted = 1, False
    for position in range(start, len(source)):
        character = source[position]
        if character == '"' and source[position - 1] != "\\":
            quoted = not quoted
        elif not quoted and character in "{}":
            depth += 1 if character == "{" else -1
            if depth == 0:
                return position
    raise ValueError("`${` is never closed")
