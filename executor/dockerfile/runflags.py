"""The values of RUN's flags: `--mount=type=cache,target=/c`, `--device=…`. One row a key of a mount.

A value with a `$` in it is judged when it has been expanded, all others when they are read.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias, TypeVar, get_args

from executor.dataclass import dataclass, replace
from executor.dockerfile.instructions import Device, Mount
from executor.dockerfile.suggest import did_you_mean, one_of
from executor.errors import Location

MountType: TypeAlias = Literal["bind", "cache", "tmpfs", "secret", "ssh"]
TYPES: Mapping[str, MountType] = {name: name for name in get_args(MountType)}
SHARING = ("shared", "private", "locked")
NETWORKS = ("default", "none", "host")
SECURITIES = ("sandbox", "insecure")

_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_SIZE = re.compile(r"([0-9]{1,18})(?:\.([0-9]{1,9}))? ?([kmgtp])?i?b?", re.IGNORECASE)


class FlagValueError(ValueError):
    """A value of a flag is wrong; the message is for the user, `hint` may hold a way out.

    `part` is what of the value is wrong, '' when it is all of it.
    """

    def __init__(self, message: str, hint: str = "", part: str = "") -> None:
        super().__init__(message)
        self.hint = hint
        self.part = part


def parse_bool(text: str) -> bool:
    """A truth value as Go reads it (`1`, `t`, `true`, … `0`, `f`, `false`, …). Raises ValueError."""
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise ValueError(f"{text!r} is not true or false")


def parse_size(text: str) -> int:
    """Bytes, from a number with a binary unit (`64m`, `1.5GiB`, `512`). Raises ValueError."""
    match = _SIZE.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not a size (like 64m)")
    whole, fraction, unit = match.groups(default="")
    shift = 10 * " kmgtp".index(unit.lower() or " ")
    return (int(whole) << shift) + int((int(fraction or 0) << shift) // 10 ** len(fraction))


def is_read_only(mount: Mount) -> bool:
    """Whether a mount is read-only: as its last `ro` or `rw` says, else all but cache and tmpfs are."""
    read_only = mount.type not in ("cache", "tmpfs")
    for key, value in mount.options:
        if key in ("readonly", "ro", "readwrite", "rw"):
            read_only = (not value or parse_bool(value)) == (key in ("readonly", "ro"))
    return read_only


def _unsigned(base: int) -> Callable[[str], object]:
    digits = re.compile(f"[0-{base - 1}]{{1,11}}")

    def check(text: str) -> object:
        if not digits.fullmatch(text) or int(text, base) >= 2**32:
            raise ValueError(f"{text!r} is not {'an octal' if base == 8 else 'a'} number")
        return None

    return check


def _choice(options: tuple[str, ...]) -> Callable[[str], object]:
    def check(text: str) -> object:
        if text.lower() not in options:
            raise FlagValueError(f"{text!r} is not {one_of(options)}", did_you_mean(text, options))
        return None

    return check


@dataclass(frozen=True, slots=True)
class _Key:
    """A key of a mount: its names, the types that have it (none: all), its values; bare, it means true."""

    names: tuple[str, ...]
    types: tuple[MountType, ...] = ()
    check: Callable[[str], object] | None = None
    bare: bool = False


_OWNED: tuple[MountType, ...] = ("cache", "secret", "ssh")
_ROWS = (
    _Key(("type",), check=_choice(tuple(TYPES))),
    _Key(("from",), types=("bind", "cache", "tmpfs", "ssh")),
    _Key(("source", "src")),
    _Key(("target", "dst", "destination")),
    _Key(("readonly", "ro"), check=parse_bool, bare=True),
    _Key(("readwrite", "rw"), check=parse_bool, bare=True),
    _Key(("required",), types=("secret", "ssh"), check=parse_bool, bare=True),
    _Key(("size",), types=("tmpfs",), check=parse_size),
    _Key(("id",)),
    _Key(("sharing",), types=("cache",), check=_choice(SHARING)),
    _Key(("mode",), types=_OWNED, check=_unsigned(8)),
    _Key(("uid",), types=_OWNED, check=_unsigned(10)),
    _Key(("gid",), types=_OWNED, check=_unsigned(10)),
    _Key(("env",)),
)
_KEYS = {name: row for row in _ROWS for name in row.names}


def parse_mount(text: str, location: Location) -> Mount:
    """Read the value of one `--mount`. Raises FlagValueError."""
    options: list[tuple[str, str]] = []
    for field in _fields(text):
        name, equals, value = field.partition("=")
        key = _KEYS.get(name.lower())
        if not name:
            hint = "the list is type=…,target=…: no spaces, and no comma without a key"
            raise FlagValueError("a comma of the mount has no key behind it", hint)
        if key is None:
            raise FlagValueError(f"unexpected key {name!r} in mount", did_you_mean(name, _KEYS), part=field)
        if not (value if key.check else equals) and not (key.bare and not equals):
            raise FlagValueError(f"mount key {name!r} needs a value", f"write {name}=…", part=field)
        options.append((name.lower(), value))
    _refuse_variable_source(options)
    mount = Mount(type=_type_of(options), options=tuple(options), location=location)
    _check_mount(mount)
    return mount


def expand_mount(mount: Mount, expand: Callable[[str], str]) -> Mount:
    """The mount with every value expanded, and judged again. Raises FlagValueError, and what `expand` does."""
    options = tuple((name, expand(value)) for name, value in mount.options)
    for (name, value), (_, written) in zip(options, mount.options, strict=True):
        if written and not value and _KEYS[name].check:
            raise FlagValueError(f"{written!r} for mount key {name!r} is empty")
    expanded = replace(mount, type=_type_of(options), options=options)
    _check_mount(expanded)
    return expanded


def parse_device(text: str) -> Device:
    """Read the value of one `--device` (`vendor.com/class=name`, `name=…,required`). Raises FlagValueError."""
    device: Device | None = None
    required = False
    for field in _fields(text):
        key, equals, value = field.partition("=")
        if key.lower() == "required":
            required = _apply(parse_bool, "required", value if equals else "true")
        elif device:
            raise FlagValueError(f"unexpected {field!r} in device", did_you_mean(key, ("name", "required")))
        else:
            device = Device(value if key.lower() == "name" else field)
    return Device(device.name if device else "", required)


def _fields(text: str) -> list[str]:
    if not text:
        raise FlagValueError("it is empty")
    try:
        return next(csv.reader([text], strict=True))
    except csv.Error as error:
        raise FlagValueError(f"cannot part {text!r} at its commas: {error}") from None


def _refuse_variable_source(options: list[tuple[str, str]]) -> None:
    for name, value in options:
        if name == "from" and "$" in value[:-1]:
            raise FlagValueError(
                "mount key 'from' does not take variables", "define a stage: FROM ${name} AS alias"
            )


def _type_of(options: tuple[tuple[str, str], ...] | list[tuple[str, str]]) -> MountType:
    """The type as far as it is known: a variable's is bind until it is expanded."""
    written = next((value for name, value in reversed(options) if name == "type"), "bind")
    return TYPES.get(written.lower(), "bind")


def _check_mount(mount: Mount) -> None:
    if "$" in (mount.get("type") or ""):
        return
    for name, value in mount.options:
        key = _KEYS[name]
        if key.types and mount.type not in key.types:
            message = f"mount key {name!r} is for {one_of(key.types)} mounts, not for {mount.type}"
            raise FlagValueError(message, part=name)
        if value and key.check and "$" not in value:
            _apply(key.check, name, value)
    if mount.type == "secret":
        _check_secret(mount)


def _check_secret(mount: Mount) -> None:
    source, identity = mount.get("source", "src"), mount.get("id")
    if source and identity:
        raise FlagValueError("a secret mount has either an id or a source, not both")
    if not (source or identity or mount.get("target", "dst", "destination")):
        raise FlagValueError("a secret mount needs an id, a source or a target")


_T = TypeVar("_T")


def _apply(check: Callable[[str], _T], name: str, value: str) -> _T:
    try:
        return check(value)
    except FlagValueError as error:
        raise FlagValueError(f"invalid {name}: {error}", error.hint, part=f"{name}={value}") from None
    except ValueError as error:
        raise FlagValueError(f"invalid {name}: {error}", part=f"{name}={value}") from None
