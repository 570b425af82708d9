"""What the runner uses of the executor beyond its vocabulary, in one place: see the import rule in pyproject.toml.

Imports are late: the first happens in the zygote, the second when Dockerfiles are read.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Literal

from executor.dataclass import dataclass
from executor.events import discard

if TYPE_CHECKING:
    import click

    from executor.diagnosis import Diagnosis
    from executor.errors import Diagnostic, Error, Location
    from executor.explanation import Explanation
    from executor.spec import BuildSpec, PruneResult, PruneSpec, WaitingImage
    from runner.planning.changes import ReadsAny
    from runner.planning.plan import BaseImages
    from runner.run.worker import JobEntry
    from runner.run.zygote import EntryLoader


def _diagnose(home: str) -> Diagnosis:
    from executor.build.survey.diagnose import diagnose

    return diagnose(home)


def _prune(home: str, wanted: PruneSpec) -> PruneResult:
    from executor.build.storekeeping import prune_store

    return prune_store(home, wanted)


def _store_session(home: str, size: int | None) -> AbstractContextManager[str]:
    from executor.build.storekeeping import store_session

    return store_session(home, size)


def _stages(spec: BuildSpec) -> str:
    from executor.build.survey.inspect import stages
    from executor.build.survey.source import read_source

    with read_source(spec, discard) as frontend:
        return stages(spec, frontend.dockerfile)


def _required_mounts(spec: BuildSpec) -> tuple[tuple[str, str, Location], ...]:
    from executor.build.survey.inspect import required_mounts

    return required_mounts(spec)


def _unreachable(spec: BuildSpec, local: Collection[str]) -> list[tuple[str, str, Error]]:
    from executor.build.survey.reach import unreachable

    return unreachable(spec, local)


def _explain(spec: BuildSpec) -> Explanation:
    from executor.build.survey.explain import explain

    return explain(spec)


def _holds(spec: BuildSpec, digest: str) -> bool:
    from executor.build.survey.reach import holds

    return holds(spec, digest)


def _reads_any(spec: BuildSpec, files: Collection[str]) -> bool:
    from executor.build.survey.inspect import reads_any

    return reads_any(spec, files)


def _builds_at_once(drivers: Collection[str], home: str) -> int:
    from executor.build.capacity import builds_at_once

    return builds_at_once(drivers, home)


def _one(_drivers: Collection[str], _home: str) -> int:
    return 1


def _no_session(_home: str, _size: int | None) -> AbstractContextManager[str]:
    return nullcontext("")


def _waiting_images(home: str) -> tuple[WaitingImage, ...]:
    from executor.build.output.pushing import waiting_images

    return waiting_images(home)


def _check(spec: BuildSpec) -> tuple[tuple[Diagnostic, ...], bool]:
    from executor.build.lookahead.checking import check
    from executor.build.survey.source import read_source

    with read_source(spec, discard) as frontend:
        checked = check(frontend, spec.build_args)
    return checked.findings, checked.error


@dataclass(frozen=True, slots=True)
class Executor:
    """`load_entry` imports what a build needs and returns the entry; `base_images` reads a Dockerfile's bases,
    `reads_any` tells whether it is built from some files, `stages` in text what of it is built, `required_mounts`
    the secrets and agents that it must be given, `check` what is legal in it and most often not meant (and whether
    the file wants that to be an error), and `unreachable` asks the registries for bases (but those of the
    run itself) and for the permission to push. `explain` finds out what a build would do, `holds` whether all its
    destinations are the image of a digest.

    The others take the folder of the store, '' for the default: `diagnose` finds what this machine allows, `prune`
    makes room, `waiting_images` finds what waits to be pushed, `store_session` is the time of a run, after which
    the store is kept within a size in bytes (None: what the disk has room for, 0: no bound); it gives a folder for
    what the builds of the run share.
    """

    load_entry: EntryLoader
    base_images: BaseImages
    diagnose: Callable[[str], Diagnosis] = _diagnose
    prune: Callable[[str, PruneSpec], PruneResult] = _prune
    store_session: Callable[[str, int | None], AbstractContextManager[str]] = _no_session
    waiting_images: Callable[[str], tuple[WaitingImage, ...]] = _waiting_images
    stages: Callable[[BuildSpec], str] = _stages
    reads_any: ReadsAny = _reads_any
    required_mounts: Callable[[BuildSpec], tuple[tuple[str, str, Location], ...]] = _required_mounts
    check: Callable[[BuildSpec], tuple[tuple[Diagnostic, ...], bool]] = _check
    unreachable: Callable[[BuildSpec, Collection[str]], list[tuple[str, str, Error]]] = _unreachable
    explain: Callable[[BuildSpec], Explanation] = _explain
    holds: Callable[[BuildSpec, str], bool] = _holds
    builds_at_once: Callable[[Collection[str], str], int] = _one
    """By the drivers that the builds ask for, with the store in a folder."""


def _load_entry() -> JobEntry:
    from executor.build import worker

    worker.preload()
    worker.find_out_for_forks()
    return worker.run_job


def _base_images(spec: BuildSpec) -> tuple[str, ...]:
    from executor.build.survey.inspect import base_images

    return base_images(spec)


INSTALLED = Executor(
    load_entry=_load_entry,
    base_images=_base_images,
    store_session=_store_session,
    builds_at_once=_builds_at_once,
)


def login_command(name: Literal["login", "logout"]) -> click.Command:
    """See executor.login.cli."""
    from executor.login.cli import command

    return command(name)


def given_flags(words: Sequence[str]) -> dict[str, Any]:
    """See executor.options.flagwords."""
    from executor.options.flagwords import given_flags

    return given_flags(words)


def overlaid(spec: BuildSpec, given: Mapping[str, Any]) -> BuildSpec:
    """See executor.options.flagwords."""
    from executor.options.flagwords import overlaid

    return overlaid(spec, given)
