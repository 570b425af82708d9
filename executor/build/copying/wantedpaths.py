"""Which names of an image a COPY --from can need: what its sources stand for, what leads there, what lies below.

Pure: it sees names only. What links lead to is added by who reads the layers (picking.py).
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator

from executor.dataclass import dataclass
from executor.dockerfile.instructions import Copy
from executor.dockerfile.wildcard import PatternError, has_wildcards, wildcard_match

_PIVOT = "/./"
_SPECIAL = "*?[\\!"  # in a pattern of --parents


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A path by its components, of which the first `literal` are names and the others patterns.

    The first `stem` have to be there, even when nothing below them is wanted. It is wanted as it is after layer
    number `since` (the lowest is 0).
    """

    parts: tuple[str, ...]
    literal: int
    stem: int
    since: int

    @property
    def is_pattern(self) -> bool:
        """Whether it may be several paths."""
        return self.literal < len(self.parts)

    @property
    def name(self) -> str:
        """Its components that are names, as an entry of a layer has them."""
        return "/".join(self.parts[: self.literal])

    @property
    def place(self) -> str:
        """What has to be there, '' when that is not in question: the root, or what is wanted itself."""
        return "/".join(self.parts[: self.stem]) if self.stem < len(self.parts) else ""


def file_at(name: str, *, since: int) -> Wanted:
    """The path of an entry's name."""
    parts = tuple(name.split("/"))
    return Wanted(parts=parts, literal=len(parts), stem=len(parts), since=since)


def wanted_of(step: Copy, since: int) -> tuple[Wanted, ...] | None:
    """What the sources of `step` can need of an image whose topmost layer is `since`; None for all of it."""
    found = []
    for source in step.sources:
        wanted = _wanted_parents(source, since) if step.parents else _wanted(source, since)
        if wanted is None:
            return None
        found.append(wanted)
    return tuple(found) or None


def _wanted(source: str, since: int) -> Wanted | None:
    parts = tuple(_names(source))
    literal = next((at for at, part in enumerate(parts) if has_wildcards(part)), len(parts))
    if not parts or not _are_patterns(parts[literal:]):
        return None
    return Wanted(parts=parts, literal=literal, stem=literal, since=since)


def _wanted_parents(source: str, since: int) -> Wanted | None:
    """The start of a source of --parents with the names that follow; its pattern may mean anything below."""
    start, pivot, pattern = source.partition(_PIVOT)
    if not pivot:
        start, pattern = "/", source
    below = _wanted(start, since)
    if below is None:
        if any(_names(start)):
            return None
        below = Wanted(parts=(), literal=0, stem=0, since=since)
    if not below.is_pattern:
        names = list(_names(pattern))
        count = next((at for at, name in enumerate(names) if set(name) & set(_SPECIAL)), len(names))
        parts = (*below.parts, *names[:count])
        below = Wanted(parts=parts, literal=len(parts), stem=below.stem, since=since)
    return below if below.parts else None


def _names(path: str) -> Iterator[str]:
    return filter(None, posixpath.normpath(f"/{path}").split("/"))


def _are_patterns(parts: Iterable[str]) -> bool:
    try:
        return all(wildcard_match(part, "") in (True, False) for part in parts)
    except PatternError:
        return False  # whoever copies says so


class Selection:
    """The entries of layers that the files of `wanted` depend on, by their names."""

    def __init__(self, wanted: Iterable[Wanted]) -> None:
        self.wanted = tuple(wanted)
        plain = [each for each in self.wanted if not each.is_pattern]
        self._patterns = [(f"{each.name}/".lstrip("/"), each) for each in self.wanted if each.is_pattern]
        self.ancestors = {"", *(part for each in self.wanted for part in above(each.name) if part != each.name)}
        """What leads to something wanted, '' for the root."""
        self.ancestors |= {each.name for each in self.wanted if each.is_pattern}
        self.exact = {each.name for each in plain}
        self._below = tuple(f"{each.name}/" for each in plain)
        self._names = self.ancestors | self.exact

    def touches(self, name: str) -> bool:
        """Whether an entry of this name is wanted, leads to something that is, or lies below it."""
        if name in self._names or name.startswith(self._below):
            return True
        return any(name.startswith(prefix) and _fits(each, name.split("/")) for prefix, each in self._patterns)

    def leads_to(self, name: str) -> bool:
        """Whether `name` is above something wanted."""
        if name in self.ancestors:
            return True
        depth = name.count("/") + 1
        return any(
            name.startswith(prefix) and depth < len(each.parts) and _fits(each, name.split("/"))
            for prefix, each in self._patterns
        )


def above(name: str) -> Iterator[str]:
    """`name` and the directories above it, but for the root."""
    while name:
        yield name
        name = name.rpartition("/")[0]


def _fits(wanted: Wanted, names: list[str]) -> bool:
    """Whether a path below the names of a pattern matches, as far as both go."""
    pairs = zip(wanted.parts[wanted.literal :], names[wanted.literal :], strict=False)
    return all(wildcard_match(pattern, name) for pattern, name in pairs)


def led_to(wanted: Wanted, name: str, target: str) -> Wanted | None:
    """What is wanted too when `name` is a symbolic link to `target`; None when that is nothing.

    Raises ValueError where names alone cannot tell.
    """
    names = name.split("/")
    depth = len(names)
    if depth > wanted.literal and depth != len(wanted.parts):
        return None
    if tuple(names[: wanted.literal]) != wanted.parts[:depth][: wanted.literal] or not _fits(wanted, names):
        return None
    parts = (*_target(names[:-1], target), *wanted.parts[depth:])
    literal, stem = (
        len(parts) - max(0, len(wanted.parts) - max(depth, count)) for count in (wanted.literal, wanted.stem)
    )
    return Wanted(parts=parts, literal=literal, stem=stem, since=wanted.since)


def _target(folder: list[str], target: str) -> list[str]:
    """Where a link in `folder` leads, by components; what `..` behind a name is depends on what that name is."""
    parts = [] if target.startswith("/") else list(folder)
    plain = False
    for part in target.split("/"):
        if part == "..":
            if plain:
                raise ValueError(target)
            del parts[-1:]
        elif part not in ("", "."):
            plain = True
            parts.append(part)
    if not parts:
        raise ValueError(target)
    return parts
