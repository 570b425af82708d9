"""What the runner uses of the executor beyond its vocabulary, in one place: see the import rule in pyproject.toml.

Imports are late: the first happens in the zygote, the second when Dockerfiles are read.
"""

from __future__ import annotations

from dataclasses import dataclass

from executor.spec import BuildSpec
from runner.plan import BaseImages
from runner.worker import BuildEntry
from runner.zygote import EntryLoader


@dataclass(frozen=True, slots=True)
class Executor:
    """`load_build` imports what a build needs and returns the entry; `base_images` reads a Dockerfile's bases."""

    load_build: EntryLoader
    base_images: BaseImages


def _load_build() -> BuildEntry:
    from executor.build import worker

    worker.preload()
    return worker.run_build


def _base_images(spec: BuildSpec) -> tuple[str, ...]:
    from executor.build.inspect import base_images

    return base_images(spec)


INSTALLED = Executor(load_build=_load_build, base_images=_base_images)
