"""A builds file as frozen values: checked, merged with its defaults, with absolute paths. No I/O here."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from executor.errors import Location
from executor.spec import BuildSpec, RetryPolicy, RootfsChoice

PushMode = Literal["each", "end", "all-or-nothing"]
"""When images are pushed: each once it is built, all at the end, or all at the end unless one of them failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSpec:
    """One image of the list. `references` are the destinations in normal form; `location` is the entry's place.

    `timeout` is in seconds, 0 for none. `retry`: how often a build begins again that failed for a reason that may
    pass.
    """

    name: str
    build: BuildSpec
    references: tuple[str, ...] = ()
    location: Location
    timeout: float = 0.0
    retry: RetryPolicy = field(default_factory=RetryPolicy)

    def job(self, digests: Mapping[str, str], push: PushMode) -> BuildSpec:
        """The build, told which references were built before it in this run (reference → manifest digest)."""
        output = dataclasses.replace(self.build.output, defer=push != "each" and bool(self.build.output.keep))
        return dataclasses.replace(self.build, local_images=dict(digests), output=output)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """The whole list, in the order of the file."""

    file: str
    images: tuple[ImageSpec, ...]
    push: PushMode = "each"


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
