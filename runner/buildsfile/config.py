"""Builds files from disk to a RunConfig: read, expanded, filled in, checked for shape, merged, and checked again.

The phases share one list of findings, so that a wrong file is reported whole: an entry that is sound is checked to
the end, although its neighbour is not.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import cast, get_args

from executor.dataclass import replace
from runner.buildsfile import schema
from runner.buildsfile.entry import PLACES
from runner.buildsfile.expansion import Draft, drafts
from runner.buildsfile.findings import Findings
from runner.buildsfile.groups import group_members
from runner.buildsfile.interpolate import filled
from runner.buildsfile.layers import Inheritance, is_template, stacked
from runner.buildsfile.nodes import Node, merged, to_document
from runner.buildsfile.paths import anchored, folder_finder
from runner.buildsfile.resolved import Resolved
from runner.buildsfile.setting import with_settings
from runner.buildsfile.sources import Source, Sources
from runner.buildsfile.spelling import normal, spelled
from runner.model import FileFormat, Overrides, PushMode, RunConfig


def load(
    files: str | Sequence[str],
    environment: Mapping[str, str],
    overrides: Overrides,
    *,
    file_format: FileFormat | None = None,
) -> RunConfig:
    """Read builds files, `-` from standard input; later ones lie over earlier ones.

    Looks at the disk for contexts and Dockerfiles, and nowhere else. Raises InvalidFileError with every fault it
    can find, UsageError for a setting that names nothing.
    """
    return resolve(files, environment, overrides.settings, file_format=file_format).config(overrides)


def resolve(
    files: str | Sequence[str],
    environment: Mapping[str, str],
    settings: Sequence[str] = (),
    *,
    file_format: FileFormat | None = None,
) -> Resolved:
    """The list with everything merged and filled in; its faults so far are in `findings`.

    Raises what `load` does for files without structure and for settings.
    """
    findings = Findings()
    sources = Sources(environment, findings, file_format).read([files] if isinstance(files, str) else files)
    return _Reading(sources, environment, findings).resolved(settings)


class _Reading:
    """The phases between the files and the merged list."""

    def __init__(self, sources: Sequence[Source], environment: Mapping[str, str], findings: Findings) -> None:
        self._sources = sources
        self._environment = environment
        self._findings = findings
        self._unsound: set[str] = set()

    def resolved(self, settings: Sequence[str]) -> Resolved:
        """Everything merged."""
        written = list(self._drafts())
        found = with_settings(written, settings) if written else []
        frames = [self._frame(source.root) for source in self._sources]
        layers = [self._layer([draft for draft in found if draft.layer == n]) for n in range(len(frames))]
        defaults = self._defaults(frames)
        entries = self._inherited(stacked(layers), defaults)
        folders = {source.file: source.folder for source in self._sources}
        main = self._sources[-1]
        groups = {name: node for frame in frames for name, node in _entries_of(frame, "groups").items()}
        if not (entries or self._unsound or len(self._findings)):
            hint = "a name with a leading `_` is a template" if found else "add a list `builds:` of images"
            main.root.noted(self._findings, "the key `builds` is missing" if not found else "no image", hint)
        push = [frame.entries["push"].text for frame in frames if frame.get("push")]
        families = {draft.name: draft.group for draft in found if draft.group}
        folder_of = folder_finder(folders, main.folder)
        return Resolved(
            file=main.file,
            folder_of=folder_of,
            entries=tuple(anchored(self._with_purpose(entry), folder_of) for entry in entries),
            groups=group_members(groups, found, [entry.entries["name"].text for entry in entries], self._findings),
            families=families,
            unsound=frozenset(self._unsound - {""}),
            push=cast(PushMode, push[-1]) if push and push[-1] in get_args(PushMode) else "each",
            findings=self._findings,
        )

    def _with_purpose(self, entry: Node) -> Node:
        """The entry. One of another tool's files that names no place for its image is built all the same."""
        formats = {source.file: source.format for source in self._sources}
        if formats.get(entry.place.file, "builds") == "builds" or entry.entries.keys() & PLACES:
            return entry
        return entry.with_entries(no_push=Node(value=True, place=entry.place, path=entry.path))

    def _drafts(self) -> Iterator[Draft]:
        for layer, source in enumerate(self._sources):
            builds = source.root.get("builds")
            for entry in builds.items if builds else ():
                for draft in drafts(spelled(entry, self._findings), self._environment, self._findings):
                    yield replace(draft, layer=layer)

    def _frame(self, root: Node) -> Node:
        """A file without its entries, filled in and checked."""
        if not isinstance(root.value, dict):
            schema.check(to_document(root, root.place.file), self._findings)
            return root
        builds = root.get("builds")
        frame = filled(root.without("builds"), self._environment, self._findings)
        if defaults := frame.get("defaults"):
            frame = frame.with_entries(defaults=spelled(defaults, self._findings))
        checked = frame.with_entries(builds=builds) if builds else frame
        schema.check(to_document(checked, root.place.file), self._findings, part="frame")
        return frame

    def _layer(self, found: Sequence[Draft]) -> dict[str, Node]:
        """The sound entries of one file by name."""
        entries: dict[str, Node] = {}
        for draft in found:
            node = self._entry(draft)
            if node is None:
                self._unsound.add(draft.name)
                continue
            name = node.entries["name"]
            if name.text in entries:
                self._taken(name, entries[name.text])
            entries.setdefault(name.text, node)
        return entries

    def _taken(self, name: Node, first: Node) -> None:
        hint = f"see line {first.entries['name'].place.line}"
        if name.place == first.entries["name"].place:
            hint = "put the variables of the matrix into the name, as in `web-${version}`"
        shown = name.scalar.source if name.scalar else name.text
        name.noted(self._findings, f"the name {shown!r} is taken", hint)

    def _entry(self, draft: Draft) -> Node | None:
        before = len(self._findings)
        node = filled(draft.node, self._environment, self._findings, draft.scope)
        is_right = schema.check(to_document(node, node.place.file), self._findings, part="build")
        if not is_right or len(self._findings) > before:
            return None
        node = normal(node, self._findings)
        return node if len(self._findings) == before else None

    def _defaults(self, frames: Sequence[Node]) -> Node | None:
        """The defaults of all files; None where they have faults."""
        given = [frame.entries["defaults"] for frame in frames if frame.get("defaults")]
        if any(not isinstance(node.value, dict) for node in given) or self._findings.touch(("defaults",)):
            self._unsound.update({""})
            return None
        normals = [normal(node, self._findings) for node in given]
        return None if not normals else _stack(normals)

    def _inherited(self, entries: Mapping[str, Node], defaults: Node | None) -> list[Node]:
        if "" in self._unsound and self._findings.touch(("defaults",)):
            return []
        inheritance = Inheritance(entries, defaults, frozenset(self._unsound), self._findings)
        resolved = ((name, inheritance.resolved(name)) for name in entries)
        return [entry for name, entry in resolved if entry is not None and not is_template(name)]


def _stack(nodes: Sequence[Node]) -> Node:
    """The mappings over each other, the last one on top."""
    return list(itertools.accumulate(nodes, lambda base, over: merged(over, base)))[-1]


def _entries_of(frame: Node, key: str) -> Mapping[str, Node]:
    node = frame.get(key)
    return node.entries if node else {}
