"""The files of a run: those that are named, before each the ones it includes.

Each value keeps the place it has in its own file; relative paths start at the folder of that file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from runner import yamlfile
from runner.findings import Findings
from runner.interpolate import filled
from runner.nodes import Node, from_document


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file: its values, its name in messages, and the folder at which its relative paths start."""

    root: Node
    file: str
    folder: str


class Sources:
    """Reads files. Every file is read once, however often it is included."""

    def __init__(self, environment: Mapping[str, str], findings: Findings) -> None:
        self._environment = environment
        self._findings = findings
        self._read: set[str] = set()

    def read(self, files: Sequence[str]) -> list[Source]:
        """The sources of `files` (`-` is standard input), those that count more later.

        Raises InvalidFileError for a file that cannot be read or has no structure at all.
        """
        return [source for file in files for source in self._with_included(file, ())]

    def _with_included(self, file: str, includers: tuple[str, ...]) -> Iterator[Source]:
        place = os.path.realpath(file) if file != "-" else file
        if place in self._read:
            return
        self._read.add(place)
        source = self._source(file)
        for wanted, path in self._included(source):
            if os.path.realpath(path) in (*includers, place):
                wanted.noted(self._findings, "includes itself", "remove one of the `include`")
            elif not os.path.isfile(path):
                wanted.noted(self._findings, "there is no such file", f"relative paths start at {source.folder}")
            else:
                yield from self._with_included(path, (*includers, place))
        yield replace(source, root=source.root.without("include"))

    def _included(self, source: Source) -> Iterator[tuple[Node, str]]:
        include = source.root.get("include")
        for wanted in include.items if include else ():
            path = filled(wanted, self._environment, self._findings)
            if path.text:
                yield wanted, os.path.normpath(os.path.join(source.folder, path.text))

    def _source(self, file: str) -> Source:
        name = "<stdin>" if file == "-" else file
        folder = os.path.dirname(os.path.abspath(file)) if file != "-" else os.getcwd()
        return Source(root=without_extensions(from_document(yamlfile.read(file))), file=name, folder=folder)


def without_extensions(root: Node) -> Node:
    """The file without its `x-*` keys and those of its entries. Where anchors of theirs are used, values stay."""
    top = _stripped(root)
    entries = dict(top.entries)
    if "defaults" in entries:
        entries["defaults"] = _stripped(entries["defaults"])
    builds = entries.get("builds")
    if builds is not None and isinstance(builds.value, list):
        entries["builds"] = replace(builds, value=[_stripped(entry) for entry in builds.value])
    return replace(top, value=entries) if isinstance(top.value, dict) else top


def _stripped(node: Node) -> Node:
    """A mapping without its own `x-*` keys; deeper maps (args, labels) may have such names for real."""
    return node.without(*(key for key in node.entries if key.startswith("x-"))) if node.entries else node
