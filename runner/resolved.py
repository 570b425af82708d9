"""The list with everything merged and filled in, before it becomes images: what `krunner plan --print` shows."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from executor.errors import Location
from runner.entry import Claim, Entry
from runner.findings import Findings
from runner.model import Overrides, PushMode, RunConfig
from runner.nodes import Node, to_document
from runner.paths import FolderOf

_TAKEN = {
    "destination": "{value} is already a destination of the image {owner!r}",
    "output": "{value} is already written by the image {owner!r}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """`entries` are whole, in order; `groups` the images of each by name, `families` the entry that an image with
    `targets` comes from. The faults so far are in `findings`.
    """

    file: str
    folder_of: FolderOf
    entries: tuple[Node, ...]
    groups: Mapping[str, tuple[str, ...]]
    families: Mapping[str, str]
    push: PushMode
    findings: Findings

    def config(self, overrides: Overrides) -> RunConfig:
        """The list as images. Raises InvalidFileError with every fault."""
        entries = self.checked()
        references = {entry.name: entry.reference for entry in entries}
        images = tuple(
            dataclasses.replace(entry.image(overrides, references), family=self.families.get(entry.name, ""))
            for entry in entries
        )
        self.findings.check()
        return RunConfig(file=self.file, images=images, groups=self.groups, push=self.push)

    def checked(self) -> list[Entry]:
        """The entries; two that want the same destination or file are noted."""
        root = Node(value={"builds": _listed(self.entries)}, place=Location(self.file))
        document = to_document(root, self.file)
        entries = [Entry(document, index, self.folder_of, self.findings) for index in range(len(self.entries))]
        _check_unique(entries)
        return entries


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
