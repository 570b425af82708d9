"""The list with everything merged and filled in, before it becomes images: what `krunner plan --print` shows."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence

from executor.dataclass import dataclass, replace
from executor.errors import Location
from runner.buildsfile.entry import Claim, Entry
from runner.buildsfile.findings import Findings
from runner.buildsfile.nodes import Node, list_node, map_node, text_node, to_document, walk
from runner.buildsfile.paths import FolderOf
from runner.buildsfile.printing import ordered
from runner.model import Overrides, PushMode, RunConfig

_TAKEN = {
    "destination": "{value} is already a destination of the image {owner!r}",
    "output": "{value} is already written by the image {owner!r}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """`entries` are whole, in order; `groups` the images of each by name, `families` the entry that an image with
    `targets` comes from. `unsound` are names whose entries have faults; the faults so far are in `findings`.
    """

    file: str
    folder_of: FolderOf
    entries: tuple[Node, ...]
    groups: Mapping[str, tuple[str, ...]]
    families: Mapping[str, str]
    push: PushMode
    unsound: frozenset[str]
    findings: Findings

    def config(self, overrides: Overrides) -> RunConfig:
        """The list as images. Raises InvalidFileError with every fault."""
        config = self.assembled(self.checked(), overrides)
        self.findings.check()
        return config

    def assembled(self, entries: Sequence[Entry], overrides: Overrides) -> RunConfig:
        """The list as images, of which those with faults are of use for more checks only."""
        references = dict.fromkeys(self.unsound, "") | {entry.name: entry.reference for entry in entries}
        images = tuple(
            replace(
                entry.image(overrides, references), family=self.families.get(entry.name, ""), files=_files_of(node)
            )
            for entry, node in zip(entries, self.entries, strict=True)
        )
        return RunConfig(file=self.file, images=images, groups=self.groups, push=self.push)

    def as_file(self, names: Collection[str]) -> Node:
        """The list as the root of one builds file: the entries of these names, with every path whole."""
        here = Node(value=None, place=Location(self.file))
        entries = [
            ordered(_with_paths(node, entry))
            for node, entry in zip(self.entries, self.checked(), strict=True)
            if entry.name in names
        ]
        top = {"version": replace(here, value=1)}
        if self.push != "each":
            top["push"] = text_node(self.push, here)
        members = {name: [one for one in group if one in names] for name, group in self.groups.items()}
        if groups := {name: [text_node(one, here) for one in found] for name, found in members.items() if found}:
            top["groups"] = map_node({name: list_node(found, here) for name, found in groups.items()}, here)
        return map_node({**top, "builds": list_node(entries, here)}, here)

    def checked(self) -> list[Entry]:
        """The entries; two that want the same destination or file are noted."""
        root = Node(value={"builds": _listed(self.entries)}, place=Location(self.file))
        document = to_document(root, self.file)
        entries = [Entry(document, index, self.folder_of, self.findings) for index in range(len(self.entries))]
        _check_unique(entries)
        return entries


def _files_of(node: Node) -> frozenset[str]:
    names = {inner.place.file for _, inner in walk(node)}
    return frozenset(os.path.realpath(name) for name in names if os.path.isfile(name))


def _with_paths(node: Node, entry: Entry) -> Node:
    """The entry with its context and Dockerfile as they were found."""
    context = entry.context()
    own = replace(node, origin=("by default",))
    found = node.with_entries(context=text_node(context, node.get("context") or own))
    if "dockerfile_inline" in node.entries:
        return found
    return found.with_entries(dockerfile=text_node(entry.dockerfile(context), node.get("dockerfile") or own))


def _listed(entries: tuple[Node, ...]) -> Node:
    return Node(value=list(entries), place=entries[0].place if entries else Location(""))


def _check_unique(entries: list[Entry]) -> None:
    """No two images of one destination or one output file."""
    taken: dict[tuple[str, str], tuple[Entry, Claim]] = {}
    for entry in entries:
        for claim in entry.claims():
            owner, first = taken.setdefault((claim.kind, claim.value), (entry, claim))
            if first is not claim:
                message = _TAKEN[claim.kind].format(value=entry.quote(claim.key), owner=owner.name)
                entry.note(claim.key, message, f"see line {owner.place(first.key).line}")
