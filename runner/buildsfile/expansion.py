"""Entries that stand for several images: one for each combination of a `matrix`, one for each of the `targets`.

An image of a matrix sees its values as variables: ${version}, and ${item.key} where a value is a map. An image of
`targets` is called NAME-TARGET, sees ${target}, and builds that stage; NAME is the group of them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping

from executor.dataclass import dataclass, field, replace
from runner.buildsfile.findings import Findings
from runner.buildsfile.interpolate import Scope, filled
from runner.buildsfile.nodes import Node, map_node, merged, text_node, with_origin
from runner.buildsfile.spelling import spelled

MAX_IMAGES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An entry as one image: its values with ${…} still in them, and the variables that only it sees.

    `name` is the image's name filled in, as far as it can be; `group` the name that `targets` share; `layer` the
    number of its file.
    """

    node: Node
    scope: Scope = field(default_factory=dict)
    name: str = ""
    group: str = ""
    layer: int = 0

    def named(self, environment: Mapping[str, str]) -> Draft:
        """The draft with its names. What is wrong with them is noted when all values are filled in."""
        unheard = Findings()
        name = self.node.get("name") or self.node
        text = filled(name, environment, unheard, self.scope).text
        target = self.scope.get("target")
        if target is None or "targets" not in self.node.entries:
            return replace(self, name=text)
        own = self.node.without("targets").with_entries(
            name=text_node(f"{name.text}-{target.text}", name), target=target
        )
        return replace(self, node=own, name=f"{text}-{target.text}", group=text)


def drafts(entry: Node, environment: Mapping[str, str], findings: Findings) -> list[Draft]:
    """The images that an entry stands for. One whose `matrix` or `targets` has another shape is left as it is."""
    return [
        Draft(node=node, scope=scope).named(environment)
        for scope, base in _combinations(entry, environment, findings)
        for node, scope in _targets(base, scope, findings)
    ]


def _combinations(
    entry: Node, environment: Mapping[str, str], findings: Findings
) -> Iterator[tuple[dict[str, Node], Node]]:
    matrix = entry.get("matrix")
    if matrix is None or not _is_matrix(matrix):
        yield {}, entry
        return
    values = filled(matrix, environment, findings).entries
    count = math.prod(len(node.items) for node in values.values())
    if count > MAX_IMAGES:
        matrix.noted(findings, f"makes {count} images", f"{MAX_IMAGES} are the most")
        return
    for chosen in itertools.product(*(node.items for node in values.values())):
        scope: dict[str, Node] = {}
        for name, node in zip(values, chosen, strict=True):
            scope.update(_variables(name, with_origin(node, f"matrix {name}")))
        yield scope, entry.without("matrix")


def _is_matrix(matrix: Node) -> bool:
    return bool(matrix.entries) and all(node.items for node in matrix.entries.values())


def _variables(name: str, node: Node) -> Iterator[tuple[str, Node]]:
    """The variable of a value, and those of what is in it."""
    yield name, node
    for key, item in node.entries.items():
        yield from _variables(f"{name}.{key}", item)


def _targets(entry: Node, scope: dict[str, Node], findings: Findings) -> Iterator[tuple[Node, dict[str, Node]]]:
    targets = entry.get("targets")
    if targets is None or not _is_targets(targets):
        yield entry, scope
        return
    if "target" in entry.entries:
        entry.entries["target"].noted(findings, "`target` and `targets` contradict each other", "use one of them")
        return
    own = {item.text: map_node({}, item) for item in targets.items}
    own |= {name: spelled(map_node(dict(node.entries), node), findings) for name, node in targets.entries.items()}
    for name, keys in own.items():
        target = text_node(name, replace(keys, origin=("targets",)))
        laid = merged(map_node(dict(keys.entries), entry), entry)
        yield laid, {**scope, "target": target}


def _is_targets(targets: Node) -> bool:
    if targets.entries:
        return all(isinstance(node.value, dict) or node.value is None for node in targets.entries.values())
    return bool(targets.items) and all(isinstance(node.value, str) for node in targets.items)
