"""Dataclasses as the standard library's, made so that hundreds of them cost a start little: docs/decisions/0013.

The standard `dataclass` writes and compiles the source of seven methods for each class while its module is being
imported. Here all classes share their methods, but for `__init__`, which has to be quick: it is compiled when a
class has been called some times. The limits, which all of ours keep: `slots=True`, no ClassVar, InitVar or
`__post_init__`.

Type checkers see the standard library's own, and its functions (`dataclasses.fields`, `replace`, …) take these
classes as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar

if TYPE_CHECKING:
    from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace

__all__ = ["asdict", "dataclass", "field", "fields", "is_dataclass", "prepare_next", "replace"]

_T = TypeVar("_T")
_NOTHING: Any = object()
_NOT_COMPILED: list[Callable[[], None]] = []
_CALLS_BEFORE = 12
"""Calls of a class before its `__init__` is compiled, which costs as much as twenty; few have so many."""


class _Field:
    """A field of a class; `default` and `factory` are _NOTHING and None when its value has to be given."""

    __slots__ = ("compare", "default", "factory", "hint", "kw_only", "name", "shown")

    def __init__(
        self, default: Any = _NOTHING, factory: Callable[[], Any] | None = None, *, shown: bool, compare: bool
    ) -> None:
        self.name = ""
        self.hint: Any = None
        self.kw_only = False
        self.default = default
        self.factory = factory
        self.shown = shown
        self.compare = compare


class _Shape:
    """The fields of a class; `values` reads all of an instance, `compared` those that make it equal to another.

    `positional` are the names of those that can be given by position.
    """

    __slots__ = ("compared", "fields", "positional", "values")

    def __init__(self, fields_: tuple[_Field, ...]) -> None:
        self.fields = fields_
        self.positional = tuple([each.name for each in fields_ if not each.kw_only])
        self.values = _reader([each.name for each in fields_])
        self.compared = _reader([each.name for each in fields_ if each.compare])


def _reader(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    """A function that gives the attributes `names` of an object."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda instance: tuple([getattr(instance, name) for name in names])


def _field(
    *,
    default: Any = _NOTHING,
    default_factory: Callable[[], Any] | None = None,
    repr: bool = True,  # noqa: A002
    compare: bool = True,
) -> _Field:
    """See dataclasses.field."""
    return _Field(default, default_factory, shown=repr, compare=compare)


def _dataclass(
    *, slots: Literal[True], frozen: bool = False, kw_only: bool = False
) -> Callable[[type[_T]], type[_T]]:
    """See dataclasses.dataclass. A class that has slots cannot be given them later: `slots` must be said."""
    del slots
    return lambda cls: _made(cls, frozen=frozen, kw_only=kw_only)


def _made(cls: type[_T], *, frozen: bool, kw_only: bool) -> type[_T]:
    """`cls` once more, with slots and the methods that it does not bring itself."""
    hints = cls.__annotations__
    written = dict(cls.__dict__)
    own = {name: _declared(name, hint, written.pop(name, _NOTHING), kw_only) for name, hint in hints.items()}
    inherited = {each.name: each for base in cls.__mro__[:0:-1] for each in _fields_of(base)}
    shape = _Shape(tuple((inherited | own).values()))
    del written["__dict__"], written["__weakref__"]
    namespace = {
        **(_FROZEN_METHODS if frozen else _METHODS),
        **written,
        "__slots__": tuple([name for name in own if name not in inherited]),
        "__qualname__": cls.__qualname__,
        "__match_args__": shape.positional,
        "__shape__": shape,
    }
    metaclass: Any = type(cls)
    made = metaclass(cls.__name__, cls.__bases__, namespace)

    calls = 0

    def compiled() -> None:
        if made.__init__ is early_call:
            made.__init__ = _compiled_init(made, shape, frozen=frozen)

    def early_call(self: _T, *arguments: Any, **named: Any) -> None:
        nonlocal calls
        calls += 1
        if calls > _CALLS_BEFORE or not _is_filled(self, shape, arguments, named):
            compiled()
            made.__init__(self, *arguments, **named)

    made.__init__ = early_call
    _NOT_COMPILED.append(compiled)
    result: type[_T] = made
    return result


def prepare_next() -> bool:
    """Compile a class that was not called yet, so that what is forked from here need not. False after the last."""
    if _NOT_COMPILED:
        _NOT_COMPILED.pop()()
    return bool(_NOT_COMPILED)


def _declared(name: str, hint: Any, value: Any, kw_only: bool) -> _Field:
    if type(value).__hash__ is None:
        raise ValueError(f"all instances would share the default of {name}: use default_factory")
    field_ = value if isinstance(value, _Field) else _Field(value, shown=True, compare=True)
    field_.name, field_.hint, field_.kw_only = name, hint, kw_only
    return field_


def _fields_of(cls: type) -> tuple[_Field, ...]:
    shape: _Shape | None = cls.__dict__.get("__shape__")
    return shape.fields if shape else ()


def _is_filled(instance: object, shape: _Shape, arguments: tuple[Any, ...], named: dict[str, Any]) -> bool:
    """Set the fields as the compiled `__init__` would; False when that has to say what is wrong with the call."""
    if len(arguments) > len(shape.positional):
        return False
    given = dict(zip(shape.positional, arguments, strict=False))
    if given.keys() & named.keys():
        return False
    given |= named
    for each in shape.fields:
        if each.name in given:
            value = given.pop(each.name)
        elif each.factory:
            value = each.factory()
        elif each.default is not _NOTHING:
            value = each.default
        else:
            return False
        object.__setattr__(instance, each.name, value)
    return not given


def _compiled_init(made: type, shape: _Shape, *, frozen: bool) -> Callable[..., None]:
    """The `__init__` of a class. A frozen one's slots are set by their descriptors, past its `__setattr__`."""
    known: dict[str, Any] = {"__nothing": _NOTHING, "__name__": made.__module__}
    parameters: list[str] = []
    lines: list[str] = []
    for each in sorted(shape.fields, key=lambda each: each.kw_only):
        name = value = each.name
        if each.kw_only and "*" not in parameters:
            parameters.append("*")
        if each.factory:
            known[f"__make_{name}"] = each.factory
            parameters.append(f"{name}=__nothing")
            value = f"__make_{name}() if {name} is __nothing else {name}"
        elif each.default is not _NOTHING:
            known[f"__default_{name}"] = each.default
            parameters.append(f"{name}=__default_{name}")
        else:
            parameters.append(name)
        known[f"__set_{name}"] = getattr(made, name).__set__
        lines.append(f" __set_{name}(self, {value})" if frozen else f" self.{name} = {value}")
    exec(f"def __init__(self, {', '.join(parameters)}):\n{chr(10).join(lines) or ' pass'}", known)  # noqa: S102
    init: Callable[..., None] = known["__init__"]
    init.__qualname__ = f"{made.__qualname__}.__init__"
    return init


def _eq(self: Any, other: Any) -> Any:
    if other.__class__ is not self.__class__:
        return NotImplemented
    compared = self.__shape__.compared
    return compared(self) == compared(other)


def _repr(self: Any) -> str:
    shown = [f"{each.name}={getattr(self, each.name)!r}" for each in self.__shape__.fields if each.shown]
    return f"{self.__class__.__qualname__}({', '.join(shown)})"


def _hash(self: Any) -> int:
    return hash(self.__shape__.compared(self))


def _refuse_assignment(_self: Any, name: str, _value: Any) -> NoReturn:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_deletion(_self: Any, name: str) -> NoReturn:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _state(self: Any) -> tuple[Any, ...]:
    """What copies and pickles are made of."""
    values: tuple[Any, ...] = self.__shape__.values(self)
    return values


def _set_state(self: Any, state: tuple[Any, ...]) -> None:
    for each, value in zip(self.__shape__.fields, state, strict=True):
        object.__setattr__(self, each.name, value)


class _StandardFields:
    """What the standard library's functions ask a dataclass for, made when one does."""

    def __get__(self, _instance: Any, owner: type) -> Mapping[str, Any]:
        import dataclasses

        described = [(each.name, each.hint, _standard(each)) for each in _fields(owner)]
        standard: Any = dataclasses.make_dataclass(owner.__name__, described)
        found: Mapping[str, Any] = standard.__dataclass_fields__
        return found


def _standard(field_: _Field) -> Any:
    import dataclasses

    options: dict[str, Any] = {"repr": field_.shown, "compare": field_.compare, "kw_only": field_.kw_only}
    if field_.factory:
        options["default_factory"] = field_.factory
    elif field_.default is not _NOTHING:
        options["default"] = field_.default
    return dataclasses.field(**options)


_METHODS: Mapping[str, Any] = {
    "__eq__": _eq,
    "__repr__": _repr,
    "__dataclass_fields__": _StandardFields(),
}
_FROZEN_METHODS: Mapping[str, Any] = {
    **_METHODS,
    "__hash__": _hash,
    "__setattr__": _refuse_assignment,
    "__delattr__": _refuse_deletion,
    "__getstate__": _state,
    "__setstate__": _set_state,
}


def _fields(class_or_instance: Any) -> tuple[_Field, ...]:
    """See dataclasses.fields."""
    shape: _Shape = class_or_instance.__shape__
    return shape.fields


def _is_dataclass(value: Any) -> bool:
    """See dataclasses.is_dataclass."""
    return hasattr(value, "__shape__")


def _replace(instance: Any, **changes: Any) -> Any:
    """See dataclasses.replace."""
    return type(instance)(**{each.name: getattr(instance, each.name) for each in _fields(instance)} | changes)


def _asdict(instance: Any) -> dict[str, Any]:
    """See dataclasses.asdict. What is no dataclass, list, tuple or dict is not copied."""
    return {each.name: _plain(getattr(instance, each.name)) for each in _fields(instance)}


def _plain(value: Any) -> Any:
    if _is_dataclass(value):
        return _asdict(value)
    if isinstance(value, list | tuple):
        return type(value)(map(_plain, value))
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return value


if not TYPE_CHECKING:
    asdict, fields, is_dataclass, replace = _asdict, _fields, _is_dataclass, _replace
    dataclass, field = _dataclass, _field
