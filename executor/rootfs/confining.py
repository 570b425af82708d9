"""What a command is shut in with, for drivers whose commands have mounts of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from executor.rootfs.base import RunRequest
from executor.rootfs.commandmounts import command_places
from executor.rootfs.confinement import Confinement
from executor.rootfs.stubs import run_mounts


@contextmanager
def confined(root: str, request: RunRequest, scratch: str) -> Iterator[Confinement]:
    """The confinement of a command in `root`; the places of its mounts exist within the context.

    `scratch` is a directory outside of the root. Raises UnfitError or StepError when a place cannot be made.
    """
    staging = os.path.join(scratch, "staging")
    os.makedirs(staging, mode=0o700, exist_ok=True)
    with run_mounts(root) as mounts, command_places(root, request.mounts) as command_mounts:
        yield Confinement(root=root, mounts=mounts, command_mounts=command_mounts, staging=staging)
