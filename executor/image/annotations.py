"""Annotations as `docker buildx build --annotation` takes them: which part of an image they are written on.

    KEY=VALUE                        the manifest
    KIND[PLATFORM],KIND:KEY=VALUE    each of the kinds: manifest, index, manifest-descriptor, index-descriptor

A descriptor is what points at a manifest or an index: an entry of the index, or of a layout's index.json.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Literal, cast, get_args

from executor.dataclass import dataclass
from executor.errors import UsageError
from executor.image.platform import Platform

Kind = Literal["manifest", "index", "manifest-descriptor", "index-descriptor"]
_KIND = re.compile(r"([a-z-]+)(?:\[([A-Za-z0-9_/-]+)\])?")


@dataclass(frozen=True, slots=True)
class Annotation:
    """One annotation. `platform` is that of the manifest it is meant for, None for all."""

    kind: Kind
    key: str
    value: str
    platform: Platform | None = None


@dataclass(frozen=True, slots=True)
class Annotations:
    """The annotations of one build."""

    rows: tuple[Annotation, ...] = ()

    def on(self, kind: Kind, platform: Platform | None = None) -> dict[str, str]:
        """What to write on the part `kind`, of the manifest for `platform`; one platform's beat those of all."""
        chosen = [row for row in self.rows if row.kind == kind]
        general = {row.key: row.value for row in chosen if row.platform is None}
        return general | {row.key: row.value for row in chosen if row.platform and row.platform == platform}

    def platforms(self) -> tuple[Platform, ...]:
        """The platforms that annotations name."""
        return tuple(dict.fromkeys(row.platform for row in self.rows if row.platform))


def parse_annotations(texts: Mapping[str, str]) -> Annotations:
    """Read a map of `[KINDS:]KEY` to values. Raises UsageError for a kind or a platform that is none."""
    return Annotations(tuple(row for text, value in texts.items() for row in _rows(text, value)))


def _rows(text: str, value: str) -> Iterator[Annotation]:
    kinds, colon, key = text.partition(":")
    if not colon:
        kinds, key = "manifest", text
    if not key:
        raise UsageError(f"the annotation {text!r} has no key", hint="write KEY=VALUE, or manifest:KEY=VALUE")
    for written in kinds.split(","):
        found = _KIND.fullmatch(written)
        if not found or found[1] not in get_args(Kind):
            known = ", ".join(get_args(Kind))
            raise UsageError(f"the annotation {text!r} is for {written!r}", hint=f"it can be for {known}")
        platform = Platform.parse(found[2]) if found[2] else None
        if platform and found[1].startswith("index"):
            raise UsageError(f"the annotation {text!r} is for an index, which has no platform")
        yield Annotation(cast(Kind, found[1]), key, value, platform)
