"""A builds file as frozen values: checked, merged with its defaults, with absolute paths. No I/O here."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Literal, get_args

from executor.dataclass import dataclass, field, replace
from executor.errors import Location
from executor.spec import BuildSpec, ProvenDriver, RetryPolicy, RootfsChoice

FileFormat = Literal["builds", "bake", "hcl", "compose"]
"""What a file may be: ours, Bake's JSON, Bake's HCL, Compose's YAML."""
FILE_FORMATS: tuple[FileFormat, ...] = get_args(FileFormat)
PushMode = Literal["each", "end", "all-or-nothing"]
"""When images are pushed: each once it is built, all at the end, or all at the end unless one of them failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSpec:
    """One image of the list. `references` are the destinations in normal form; `location` is the entry's place.

    `files` are the real paths of the builds files that its entry comes from. `needs` are the images that the file
    itself says must be built before. Images of one `family` share stages: they are built one after another.
    `timeout` is in seconds, 0 for none. `retry` says how often a build is begun again that failed for a reason
    that may pass.
    """

    name: str
    build: BuildSpec
    references: tuple[str, ...] = ()
    files: frozenset[str] = frozenset()
    location: Location
    needs: tuple[str, ...] = ()
    family: str = ""
    timeout: float = 0.0
    retry: RetryPolicy = field(default_factory=RetryPolicy)

    @property
    def keep(self) -> str:
        """What the image is called while it waits in the store, '' if it is not pushed; the same in each run."""
        if self.build.output.no_push or not self.build.output.destinations:
            return ""
        identity = "\n".join(sorted(self.references))
        return f"{self.name}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"

    def job(
        self, digests: Mapping[str, str], push: PushMode, *, beside: bool = False, proven: ProvenDriver = ""
    ) -> BuildSpec:
        """The build, told which references were built before it in this run (reference → manifest digest).

        `beside` and `proven` are those of RootfsOptions.
        """
        output = replace(self.build.output, keep=self.keep, defer=bool(self.keep) and push != "each")
        rootfs = replace(self.build.rootfs, beside=beside, proven=proven)
        return replace(self.build, local_images=dict(digests), output=output, rootfs=rootfs, tell_inputs=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """The whole list, in the order of the file. `groups` are names of several images."""

    file: str
    images: tuple[ImageSpec, ...]
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    push: PushMode = "each"


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """What the command line decides for all images. None and '': not given.

    `context_excludes` are absolute paths that are never part of a context: the reports of this very run.
    `settings` are `NAME.KEY=VALUE`: see setting.py. `cache_dir` has warmed base images, and cached layers.
    `source_date_epoch` is in seconds; None: not set.
    """

    rootfs: RootfsChoice | None = None
    home: str = ""
    context_excludes: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    cache_dir: str = ""
    source_date_epoch: int | None = None
