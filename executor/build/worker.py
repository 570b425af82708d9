"""The entry for a worker process: a job in, events out as JSON objects, errors as the last of them."""

from __future__ import annotations

import importlib
import signal
from collections.abc import Callable
from typing import Any

from executor import events
from executor.errors import Error, InternalError, machine_faults_explained
from executor.spec import BuildResult, BuildSpec, Job, job_from_json, job_to_json

_LATE_IMPORTS = (
    "encodings.idna",  # looking up a host
    "executor.build.copying.pickedfiles",
    "executor.build.lookahead.buildcache",
    "executor.build.build",
    "executor.build.lookahead.inputs",
    "executor.build.output.pushing",
    "executor.context.git",
    "executor.registry.credentialhelper",
    "executor.registry.dockerconfig",
    "executor.rootfs.inplace.driver",
    "isal.igzip",
    "isal.isal_zlib",
    "zstandard",
)


def preload() -> None:
    """Import everything that a build needs, so that a fork begins with it."""
    from executor.rootfs.inplace.guard import is_our_image, keep_to_oneself
    from executor.rootfs.inplace.sealing import hold_modules

    for name in _LATE_IMPORTS:
        importlib.import_module(name)
    if is_our_image():  # where commands may get the root: see sealing.py
        hold_modules()
    keep_to_oneself()


def find_out_for_forks() -> None:
    """Find out what is the same for all workers, which are forked from this process and have its rights."""
    from executor.rootfs.kernel import namespaces

    job_from_json(job_to_json(BuildSpec(context=".")))  # what the types of its fields say
    namespaces.find_out_for_forks()


def run_job(job: Job, emit: Callable[[dict[str, Any]], None]) -> BuildResult:
    """Build or push in this process, which has one thread, and give every event to `emit`.

    It is stopped when the process that it was forked from has ended: nobody would hear of it any more. Raises what
    `build.build` and `pushing.push` raise, after the BuildFailed event that tells of it.
    """
    from executor.build.build import build
    from executor.build.output.pushing import push
    from executor.rootfs.kernel.syscalls import die_with_parent

    die_with_parent(signal.SIGTERM)

    def sink(event: events.Event) -> None:
        emit(events.to_json(event))

    try:
        with machine_faults_explained():
            return build(job, sink) if isinstance(job, BuildSpec) else push(job, sink)
    except Error as error:
        sink(events.BuildFailed.of(error))
        raise
    except Exception as error:
        sink(events.BuildFailed.of(InternalError(f"{type(error).__name__}: {error}")))
        raise
