"""A builds file as frozen values: checked, merged with its defaults, with absolute paths. No I/O here."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from executor.errors import Location
from executor.spec import BuildSpec, RootfsChoice


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSpec:
    """One image of the list. `references` are the destinations in normal form; `location` is the entry's place."""

    name: str
    build: BuildSpec
    references: tuple[str, ...] = ()
    location: Location

    def with_local_images(self, digests: Mapping[str, str]) -> BuildSpec:
        """The build, told which references were built before it in this run (reference → manifest digest)."""
        return dataclasses.replace(self.build, local_images=dict(digests))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """The whole list, in the order of the file."""

    file: str
    images: tuple[ImageSpec, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """What the command line decides for all images. None and '': not given.

    `context_excludes` are absolute paths that are never part of a context: the reports of this very run.
    `settings` are `NAME.KEY=VALUE`: see setting.py.
    """

    rootfs: RootfsChoice | None = None
    home: str = ""
    context_excludes: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
