"""An evaluated Bake file as a builds file: targets become entries, keys with a `-` their names with a `_`.

What Bake has and krunner has not is a fault, unless it asks for what krunner always does.
"""

from __future__ import annotations

from executor.dataclass import replace
from runner.buildsfile.findings import Findings
from runner.buildsfile.formats.bakefile import BakeFile
from runner.buildsfile.nodes import Node, list_node, map_node, text_node

_KEPT = {
    "annotations", "args", "cache-from", "cache-to", "context", "contexts", "description", "dockerfile",
    "dockerfile-inline", "inherits", "labels", "no-cache", "output", "platforms", "secret", "ssh", "tags",
    "target",
}  # fmt: skip
_EXPLAINED = {
    "attest": "attestations are not made: leave the key out",
    "call": "krunner builds; `krunner validate` checks",
    "entitlements": "nothing needs them: no build has more rights than another",
    "no-cache-filter": "use `no-cache`, which is for the whole image",
}


def builds_of_bake(file: BakeFile, findings: Findings) -> Node:
    """The file as the root of a builds file. Keys that krunner cannot do are noted."""
    root = Node(value=None, place=file.place)
    entries = [_entry(name, target, findings) for name, target in file.targets.items()]
    groups = {name: list_node(_members(group), group) for name, group in file.groups.items()}
    groups |= {
        name: list_node([text_node(made, root) for made in names], root)
        for name, names in file.matrices.items()
        if name not in groups and names
    }
    version = replace(root, value=1)
    top = {"version": version, "builds": list_node(entries, root)}
    return map_node({**top, "groups": map_node(groups, root)} if groups else top, root)


def _members(group: Node) -> list[Node]:
    targets = group.get("targets")
    return targets.items if targets else []


def _entry(name: str, target: Node, findings: Findings) -> Node:
    entries = {"name": text_node(name, target)}
    for key, node in target.entries.items():
        if node.value is None or _always(key, node):
            continue
        if key in _KEPT:
            entries[key] = _converted(key, node)
        else:
            hint = _EXPLAINED.get(key, "leave the key out, or build this image with buildx")
            node.noted(findings, f"`{key}` of Bake is not supported", hint)
    return map_node(entries, target)


def _always(key: str, node: Node) -> bool:
    """Whether a key asks for what is so anyway: bases are always looked up, RUN has the usual network."""
    return key == "pull" or (key == "network" and node.value == "default")


def _converted(key: str, node: Node) -> Node:
    match key:
        case "args" | "labels" | "contexts":
            return map_node({name: item for name, item in node.entries.items() if item.value is not None}, node)
        case "annotations" if isinstance(node.value, list):
            return map_node(dict(map(_annotation, node.items)), node)
        case _:
            return node


def _annotation(item: Node) -> tuple[str, Node]:
    key, _, value = item.text.partition("=")
    return key, text_node(value, replace(item, key=item.place))
