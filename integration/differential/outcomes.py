"""How a build came out, and in what two outcomes differ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from integration.support.compare import Difference, compare_configs, compare_trees
from integration.support.flatten import Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltImage:
    """A flattened image and its configuration."""

    tree: Tree
    config: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A build that fails: the lines of the Dockerfile that are to blame (none: no place), and what was said."""

    lines: tuple[int, ...]
    message: str


Outcome = BuiltImage | Failure


def compare_outcomes(ours: Outcome, expected: Outcome) -> Iterator[Difference]:
    """Tree and configuration of two images; of two failures the line, when both name one."""
    match ours, expected:
        case BuiltImage(), BuiltImage():
            yield from compare_trees(ours.tree, expected.tree)
            yield from compare_configs(ours.config, expected.config)
        case Failure(), Failure():
            if ours.lines and expected.lines and not set(ours.lines) <= set(expected.lines):
                yield Difference("fails:line", (ours.lines, ours.message), (expected.lines, expected.message))
        case _:
            yield Difference(
                "fails", *(one.message if isinstance(one, Failure) else "" for one in (ours, expected))
            )
