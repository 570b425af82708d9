"""The files of a run: those that are named, before each the ones it includes, all in the shape of a builds file.

Each value keeps the place it has in its own file; relative paths start at the folder of that file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence

from executor.dataclass import dataclass, replace
from executor.errors import Diagnostic, InvalidFileError, UsageError
from runner.buildsfile import yamlfile
from runner.buildsfile.findings import Findings
from runner.buildsfile.interpolate import filled
from runner.buildsfile.nodes import Node, from_document
from runner.model import FileFormat

_BAKE_KEYS = frozenset({"target", "group", "variable", "function"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file: its values, its name in messages, and the folder at which its relative paths start."""

    root: Node
    file: str
    folder: str
    format: FileFormat


class Sources:
    """Reads files. Every file is read once, however often it is included."""

    def __init__(
        self, environment: Mapping[str, str], findings: Findings, file_format: FileFormat | None = None
    ) -> None:
        self._environment = environment
        self._findings = findings
        self._format = file_format
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
        for wanted in include.items if include and source.format == "builds" else ():
            path = filled(wanted, self._environment, self._findings)
            if path.text:
                yield wanted, os.path.normpath(os.path.join(source.folder, path.text))

    def _source(self, file: str) -> Source:
        data = yamlfile.read_bytes(file)
        name = "<stdin>" if file == "-" else file
        folder = os.path.dirname(os.path.abspath(file)) if file != "-" else os.getcwd()
        root, file_format = self._parsed(data, name)
        return Source(root=root, file=name, folder=folder, format=file_format)

    def _parsed(self, data: bytes, name: str) -> tuple[Node, FileFormat]:
        if self._format == "hcl" or (self._format is None and name.endswith(".hcl")):
            from runner.buildsfile.formats import bake, bakefile

            file = bakefile.read_hcl(data, name, self._environment, self._findings)
            return bake.builds_of_bake(file, self._findings), "hcl"
        root = self._tree(data, name)
        file_format = self._format or recognised(root)
        return self._translated(root, name, file_format), file_format

    def _translated(self, root: Node, name: str, file_format: FileFormat) -> Node:
        match file_format:
            case "bake":
                from runner.buildsfile.formats import bake, bakefile

                file = bakefile.read_json(root, name, self._environment, self._findings)
                return bake.builds_of_bake(file, self._findings)
            case "compose":
                from runner.buildsfile.formats.compose import builds_of_compose

                return builds_of_compose(root, self._environment, self._findings)
            case _:
                return without_extensions(root)

    def _tree(self, data: bytes, name: str) -> Node:
        try:
            root = from_document(yamlfile.parse(data, name))
        except InvalidFileError as error:
            if name == "<stdin>" and self._format is None and b"{" in data:
                raise UsageError(
                    f"standard input is not YAML: {error.diagnostics[0].message}",
                    hint="for HCL add --input-format hcl",
                ) from error
            raise
        if not isinstance(root.value, dict):
            what = "a list" if isinstance(root.value, list) else "text alone"
            message, hint = f"is {what}, not a builds file", "start with `version: 1` and a list `builds:`"
            raise InvalidFileError([Diagnostic(root.place, message, hint=hint)])
        return root


def recognised(root: Node) -> FileFormat:
    """What kind of file a YAML or JSON document is, by its top-level keys."""
    keys = set(root.entries)
    if "builds" in keys:
        return "builds"
    if "services" in keys:
        return "compose"
    return "bake" if keys & _BAKE_KEYS else "builds"


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
