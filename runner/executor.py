"""What the runner uses of the executor beyond its vocabulary, in one place: see the import rule in pyproject.toml.

Imports are late: the first happens in the zygote, the second when Dockerfiles are read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from executor.diagnosis import Diagnosis
from executor.spec import BuildSpec
from runner.plan import BaseImages
from runner.worker import JobEntry
from runner.zygote import EntryLoader


def _diagnose(home: str) -> Diagnosis:
    from executor.build.diagnose import diagnose

    return diagnose(home)


@dataclass(frozen=True, slots=True)
class Executor:
    """`load_entry` imports what a build needs and returns the entry; `base_images` reads a Dockerfile's bases.

    `diagnose` finds what this machine allows, with the store in a folder ('' for the default).
    """

    load_entry: EntryLoader
    base_images: BaseImages
    diagnose: Callable[[str], Diagnosis] = _diagnose


def _load_entry() -> JobEntry:
    from executor.build import worker

    worker.preload()
    return worker.run_job


def _base_images(spec: BuildSpec) -> tuple[str, ...]:
    from executor.build.inspect import base_images

    return base_images(spec)


INSTALLED = Executor(load_entry=_load_entry, base_images=_base_images)
