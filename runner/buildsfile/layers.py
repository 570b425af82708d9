"""Lays entries over what they inherit: files over earlier files, an entry over `inherits`, all over `defaults`.

Maps are merged key by key; everything else is replaced. Values keep the place they came from, so a fault of an
inherited value points at its own line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from executor.dataclass import replace
from runner.buildsfile.findings import Findings
from runner.buildsfile.nodes import Node, merged, with_origin
from runner.suggest import did_you_mean

_OWN_KEYS = ("name", "description", "inherits")  # what an entry does not give to those that inherit from it


def stacked(layers: Sequence[Mapping[str, Node]]) -> dict[str, Node]:
    """The entries by name, those of later files over those of earlier ones, in the order of first appearance."""
    entries: dict[str, Node] = {}
    for layer in layers:
        for name, node in layer.items():
            entries[name] = merged(node, entries[name]) if name in entries else node
    return entries


def is_template(name: str) -> bool:
    """Whether an entry is there only to be inherited from: Bake's custom of a leading `_`."""
    return name.startswith("_")


class Inheritance:
    """Resolves `inherits` among `entries`, over `defaults`. `unsound` are names whose entries have faults."""

    def __init__(
        self, entries: Mapping[str, Node], defaults: Node | None, unsound: frozenset[str], findings: Findings
    ) -> None:
        self._entries = entries
        self._defaults = with_origin(defaults, "defaults") if defaults else None
        self._unsound = unsound
        self._findings = findings
        self._resolved: dict[str, Node | None] = {}

    def resolved(self, name: str) -> Node | None:
        """The whole entry; None when something it inherits from is at fault, which is noted."""
        entry = self._chain(name)
        if entry is None or self._defaults is None:
            return entry
        own = entry.entries
        defaults = self._defaults.without(*(("dockerfile",) if "dockerfile_inline" in own else ()))
        return replace(merged(entry, defaults), origin=())

    def _chain(self, name: str, heirs: tuple[str, ...] = ()) -> Node | None:
        """The entry over all it inherits from; `heirs` are those on whose behalf it is asked for."""
        if name not in self._resolved:
            self._resolved[name] = self._laid(self._entries[name], (*heirs, name))
        return self._resolved[name]

    def _laid(self, entry: Node, heirs: tuple[str, ...]) -> Node | None:
        inherits = entry.get("inherits")
        base: Node | None = None
        for wanted in inherits.items if inherits else ():
            parent = self._parent(wanted, heirs)
            if parent is None:
                return None
            given = with_origin(parent.without(*_OWN_KEYS), f"inherits {wanted.text}")
            base = merged(given, base) if base else given
        return merged(entry, base) if base else entry

    def _parent(self, wanted: Node, heirs: tuple[str, ...]) -> Node | None:
        name = wanted.text
        if name in heirs:
            wanted.noted(self._findings, f"{name!r} inherits from itself", "remove one of the `inherits`")
        elif name in self._entries:
            return self._chain(name, heirs)
        elif name not in self._unsound:
            hint = did_you_mean(name, self._entries, "name an entry of `builds`")
            wanted.noted(self._findings, f"there is no entry {name!r} to inherit from", hint)
        return None
