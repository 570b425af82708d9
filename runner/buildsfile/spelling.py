"""Keys of an entry by other names, and their values in other forms: as Bake and Compose write them.

`spelled` renames the keys before anything looks at them. `normal` brings the values, whose shape is right by then,
to the one form that is merged and printed: secrets and agents as maps, `output` and the caches as the keys they
stand for.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator

from executor.dataclass import replace
from executor.errors import UsageError
from runner.buildsfile.findings import Findings
from runner.buildsfile.nodes import Node, list_node, map_node, merged, text_node

SYNONYMS = {
    "additional_contexts": "contexts",
    "cache-from": "cache_from",
    "cache-to": "cache_to",
    "dockerfile-inline": "dockerfile_inline",
    "no-cache": "no_cache",
    "secret": "secrets",
    "tags": "destinations",
}
_LOCAL_CACHE_HINT = "registry and local are supported: `type=registry,ref=registry.example.com/team/cache`"
_OUTPUT_HINT = "registry, image, cacheonly, docker with dest, and oci with tar=false and dest are supported"


def spelled(entry: Node, findings: Findings) -> Node:
    """The entry, or the defaults, with each key by its own name. Two names of one key are noted."""
    if not isinstance(entry.value, dict):
        return entry
    entries: dict[str, Node] = {}
    names: dict[str, str] = {}
    for key, node in entry.value.items():
        name = SYNONYMS.get(key, key)
        if name in names:
            node.noted(findings, f"`{names[name]}` and `{key}` are the same thing", "use one of them")
        names[name] = key
        entries[name] = node
    if "platform" in entries and "platforms" in entries:
        entries["platform"].noted(findings, "`platform` and `platforms` are the same thing", "use one of them")
    return replace(entry, value=entries)


def normal(entry: Node, findings: Findings) -> Node:
    """The entry, or the defaults, with the values in their one form. What cannot be understood is noted."""
    for key, change in _CHANGES.items():
        if node := entry.get(key):
            try:
                entry = change(entry.without(key), node)
            except UsageError as error:
                node.noted(findings, error.message, error.hint)
    return entry


def fields(node: Node) -> dict[str, str]:
    """`type=registry,ref=x` as a map; a word without `=` is its own key, with ''. A map gives its texts.

    Raises UsageError for text that is no line of CSV.
    """
    if isinstance(node.value, dict):
        return {key: item.text for key, item in node.value.items()}
    try:
        words = next(csv.reader([node.text], strict=True), [])
    except csv.Error as error:
        raise UsageError(f"{node.text!r} is not a list of key=value: {error}") from error
    return {key.strip().lower(): value for key, _, value in (word.partition("=") for word in words)}


def _platform(entry: Node, node: Node) -> Node:
    return entry.with_entries(platforms=list_node([node], node))


def _secrets(entry: Node, node: Node) -> Node:
    if isinstance(node.value, dict):
        return entry.with_entries(secrets=node)
    return entry.with_entries(secrets=map_node(dict(map(_secret, node.items)), node))


def _secret(item: Node) -> tuple[str, Node]:
    """`id=ID,src=FILE` or `id=ID,env=VARIABLE`, as text or as a map."""
    given = fields(item)
    name = given.pop("id", "")
    if not name:
        raise UsageError("a secret of the list has no id", hint="write id=ID,src=FILE or id=ID,env=VARIABLE")
    kind = given.pop("type", "file")
    places = {"src": "file", "source": "file", "file": "file", "env": "env"}
    odd = sorted(set(given) - set(places))
    if odd or kind not in ("file", "env"):
        raise UsageError(f"the secret {name!r} has {odd[0] if odd else 'type'!r}", hint="its place is src or env")
    entries = {places[key]: text_node(value, item) for key, value in given.items()}
    return name, map_node(entries, replace(item, key=item.place))


def _ssh(entry: Node, node: Node) -> Node:
    if isinstance(node.value, dict):
        return entry.with_entries(ssh=node)
    agents = {}
    for item in node.items:
        given = fields(item)
        name, socket = next(iter(given.items()), ("", "")) if "id" not in given else (given["id"], "")
        agents[name] = text_node(given.get("paths", socket), replace(item, key=item.place))
    return entry.with_entries(ssh=map_node(agents, node))


def _cache_from(entry: Node, node: Node) -> Node:
    places = list_node([_place(item, "src") for item in node.items], node)
    entries = {"from": places}
    if not _writes(entry):
        entries["push"] = replace(node, value=False, scalar=None)
    return _with_cache(entry, map_node(entries, node))


def _cache_to(entry: Node, node: Node) -> Node:
    places = list_node([_place(item, "dest") for item in node.items], node)
    return _with_cache(entry, map_node({"repositories": places}, node))


def _writes(entry: Node) -> bool:
    """Whether the entry itself says where its cache is written."""
    cache = entry.get("cache")
    return "cache_to" in entry.entries or (cache is not None and cache.value is not False)


def _with_cache(entry: Node, asked: Node) -> Node:
    own = entry.get("cache")
    if own is not None and own.value is False:
        raise UsageError("the cache is off", hint="leave out `cache: false`")
    return entry.with_entries(cache=merged(asked, own) if own else asked)


def _place(item: Node, folder: str) -> Node:
    """A cache of Bake as a place of ours: a repository without a tag, or a folder."""
    given = fields(item)
    if isinstance(item.value, str) and "=" not in item.value:
        given = {"type": "registry", "ref": item.value}
    match given.get("type"):
        case "registry" if given.get("ref"):
            return text_node(_untagged(given["ref"]), item)
        case "local" if given.get(folder):
            return text_node(f"oci:{given[folder]}", item)
        case kind:
            raise UsageError(f"a cache of type {kind!r} is not supported", hint=_LOCAL_CACHE_HINT)


def _untagged(reference: str) -> str:
    name, colon, tag = reference.rpartition(":")
    return name if colon and "/" not in tag else reference


def _no_cache(entry: Node, node: Node) -> Node:
    if not node.value:
        return entry
    if "cache" in entry.entries:
        raise UsageError("`no_cache` and `cache` contradict each other", hint="use one of them")
    return entry.with_entries(cache=replace(node, value=False))


def _output(entry: Node, node: Node) -> Node:
    for item in node.items:
        for key, value in _outputs(item):
            named = entry.get(key)
            joined = list_node([*named.items, *value.items], named) if named and key == "destinations" else value
            entry = entry.with_entries(**{key: joined})
    return entry


def _outputs(item: Node) -> Iterator[tuple[str, Node]]:
    """The keys that one output of Bake stands for."""
    given = fields(item)
    if isinstance(item.value, str) and "=" not in item.value:
        given = {"type": "local", "dest": item.value}
    names = [text_node(name, item) for name in given.get("name", "").split(",") if name]
    pushed = given.get("push") == "true"
    match given.get("type"):
        case "registry" | "image" as kind:
            yield "no_push", replace(item, value=not (pushed or kind == "registry"), scalar=None)
        case "cacheonly":
            yield "no_push", replace(item, value=True, scalar=None)
        case "docker" if given.get("dest"):
            yield "tar_path", text_node(given["dest"], item)
        case "oci" if given.get("dest") and given.get("tar") == "false":
            yield "oci_layout", text_node(given["dest"], item)
        case kind:
            raise UsageError(f"an output of type {kind!r} like this is not supported", hint=_OUTPUT_HINT)
    if names:
        yield "destinations", list_node(names, item)


# In this order: what one makes, the next may look at.
_CHANGES: dict[str, Callable[[Node, Node], Node]] = {
    "platform": _platform,
    "secrets": _secrets,
    "ssh": _ssh,
    "no_cache": _no_cache,
    "cache_from": _cache_from,
    "cache_to": _cache_to,
    "output": _output,
}
