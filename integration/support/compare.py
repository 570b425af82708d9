"""Two images beside each other: every difference in tree and configuration as one line with a stable place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from integration.support.flatten import Entry, Tree, link_groups

RECENT = 1_500_000_000
"""Times after this are a build's own and never equal; those before came from a context, an archive or a base."""

CONFIG_FIELDS = (
    *("Cmd", "Entrypoint", "Env", "ExposedPorts", "Healthcheck", "Labels", "OnBuild", "Shell", "StopSignal"),
    *("User", "Volumes", "WorkingDir"),
)
PLATFORM_FIELDS = ("architecture", "os", "variant")


@dataclass(frozen=True, slots=True)
class Difference:
    """`place` is `tree:/path:aspect`, `config:Field`, or `image:aspect`."""

    place: str
    ours: object
    expected: object

    def __str__(self) -> str:
        return f"{self.place}\n      ours:     {self.ours}\n      expected: {self.expected}"


def compare_trees(ours: Tree, expected: Tree) -> Iterator[Difference]:
    """Kind, mode, owner, content, link target, device, xattrs, hard links, and the times that were copied."""
    ours_links, expected_links = link_groups(ours), link_groups(expected)
    for path in sorted(ours.keys() | expected.keys()):
        mine, other = ours.get(path), expected.get(path)
        if mine is None or other is None:
            yield Difference(f"tree:{path}:exists", mine and mine.kind, other and other.kind)
            continue
        yield from _compare_entries(path, mine, other)
        if ours_links.get(path) != expected_links.get(path):
            yield Difference(f"tree:{path}:names", ours_links.get(path), expected_links.get(path))


def _compare_entries(path: str, ours: Entry, expected: Entry) -> Iterator[Difference]:
    for aspect in ("kind", "uid", "gid", "size", "sha256", "link", "device", "xattrs"):
        mine, other = getattr(ours, aspect), getattr(expected, aspect)
        if mine != other:
            yield Difference(f"tree:{path}:{aspect}", mine, other)
    if ours.mode != expected.mode and ours.kind != "symlink":
        yield Difference(f"tree:{path}:mode", f"{ours.mode:04o}", f"{expected.mode:04o}")
    if ours.kind != "dir" and ours.mtime != expected.mtime and min(ours.mtime, expected.mtime) < RECENT:
        yield Difference(f"tree:{path}:mtime", ours.mtime, expected.mtime)


def compare_configs(ours: Mapping[str, Any], expected: Mapping[str, Any]) -> Iterator[Difference]:
    """The run configuration, with absent, null and empty taken as one; and the history's shape."""
    mine, other = ours.get("config") or {}, expected.get("config") or {}
    for name in CONFIG_FIELDS:
        if (mine.get(name) or None) != (other.get(name) or None):
            yield Difference(f"config:{name}", mine.get(name), other.get(name))
    for name in PLATFORM_FIELDS:
        if ours.get(name) != expected.get(name):
            yield Difference(f"image:{name}", ours.get(name), expected.get(name))
    if _history(ours) != _history(expected):
        yield Difference("image:history", _history(ours), _history(expected))


def _history(config: Mapping[str, Any]) -> str:
    """`L` for each entry with a layer, `-` for each without."""
    return "".join("-" if entry.get("empty_layer") else "L" for entry in config.get("history") or [])
