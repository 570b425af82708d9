"""The `build` sections of a Compose file as a builds file: a service becomes an entry, its `image` a destination.

Services without `build` are left out, and so is everything that is about running them.
"""

from __future__ import annotations

from collections.abc import Mapping

from executor.dataclass import replace
from runner.buildsfile.findings import Findings
from runner.buildsfile.nodes import Node, list_node, map_node, text_node

_KEPT = {
    "cache_from", "cache_to", "context", "dockerfile", "dockerfile_inline", "no_cache", "platforms", "ssh",
    "target",
}  # fmt: skip
_PAIRS = {"args", "labels", "annotations"}
_ALWAYS = {"pull"}
_SERVICE = "service:"


def builds_of_compose(root: Node, environment: Mapping[str, str], findings: Findings) -> Node:
    """The file as the root of a builds file. Keys of `build` that krunner cannot do are noted."""
    reading = _Compose(root, environment, findings)
    services = root.get("services")
    entries = [
        reading.entry(name, service, service.entries["build"])
        for name, service in (services.entries if services else {}).items()
        if "build" in service.entries
    ]
    if include := root.get("include"):
        include.noted(findings, "`include` of Compose is not supported", "name the file by --file")
    version = replace(root, value=1, scalar=None)
    return map_node({"version": version, "builds": list_node(entries, services or root)}, root)


class _Compose:
    def __init__(self, root: Node, environment: Mapping[str, str], findings: Findings) -> None:
        secrets = root.get("secrets")
        self._secrets = secrets.entries if secrets else {}
        self._environment = environment
        self._findings = findings

    def entry(self, name: str, service: Node, build: Node) -> Node:
        """The entry of one service."""
        if extends := service.get("extends"):
            extends.noted(self._findings, "`extends` of Compose is not supported", "use YAML's `<<: *anchor`")
        entries = {"name": text_node(name, replace(service, path=service.path))}
        if not isinstance(build.value, dict):
            entries["context"] = build
        for key, node in build.entries.items():
            self._take(entries, key, node)
        tags = [node for node in (service.get("image"),) if node] + (
            entries["tags"].items if "tags" in entries else []
        )
        if tags:
            entries["tags"] = list_node(tags, entries.get("tags", tags[0]))
        if "platform" in service.entries and "platforms" not in entries:
            entries["platform"] = service.entries["platform"]
        return map_node(entries, service)

    def _take(self, entries: dict[str, Node], key: str, node: Node) -> None:
        if key in _KEPT or key == "tags":
            entries[key] = node
        elif key in _PAIRS:
            entries[key] = self._pairs(node)
        elif key == "additional_contexts":
            entries["contexts"] = self._contexts(node)
        elif key == "secrets":
            entries["secrets"] = map_node(dict(found for item in node.items for found in self._secret(item)), node)
        elif (
            key not in _ALWAYS and not key.startswith("x-") and not (key == "network" and node.value == "default")
        ):
            hint = "leave the key out, or build this image with Compose"
            node.noted(self._findings, f"`build.{key}` of Compose is not supported", hint)

    def _pairs(self, node: Node) -> Node:
        """A map, or a list of KEY=VALUE; a KEY alone has the environment's value, and is left out without one."""
        pairs = dict(node.entries)
        for item in node.items:
            key, equals, value = item.text.partition("=")
            pairs[key] = text_node(value, replace(item, key=item.place)) if equals else replace(item, value=None)
        for key, item in pairs.items():
            if item.value is None and key in self._environment:
                pairs[key] = text_node(
                    self._environment[key].replace("$", "$$"), item, origin=f"the variable {key}"
                )
        return map_node({key: item for key, item in pairs.items() if item.value is not None}, node)

    def _contexts(self, node: Node) -> Node:
        pairs = self._pairs(node).entries
        return map_node({name: _context(item) for name, item in pairs.items()}, node)

    def _secret(self, item: Node) -> list[tuple[str, Node]]:
        """A secret of the service by the id that RUN --mount knows, and its place at the file's top."""
        source = item.get("source") or item
        target = item.get("target") or source
        top = self._secrets.get(source.text)
        places = {"file": "file", "environment": "env"}
        found = {places[key]: node for key, node in (top.entries if top else {}).items() if key in places}
        if not found:
            hint = "give it a `file` or an `environment` in the `secrets` at the top level"
            item.noted(self._findings, f"the secret {source.text!r} has no place", hint)
            return []
        return [(target.text, map_node(found, replace(item, key=item.place)))]


def _context(item: Node) -> Node:
    if isinstance(item.value, str) and item.value.startswith(_SERVICE):
        return text_node("target:" + item.value.removeprefix(_SERVICE), item)
    return item
