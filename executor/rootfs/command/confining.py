"""What a command is shut in with, for drivers whose commands have mounts of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from executor.dataclass import replace
from executor.rootfs.base import RunRequest
from executor.rootfs.command.commandmounts import command_places
from executor.rootfs.command.confinement import Confinement
from executor.rootfs.command.stubs import run_mounts

_HOSTS = "/etc/hosts"


@contextmanager
def confined(root: str, request: RunRequest, scratch: str) -> Iterator[Confinement]:
    """The confinement of a command in `root`; the places of its mounts exist within the context.

    `scratch` is a directory outside of the root. Raises UnfitError or StepError when a place cannot be made.
    """
    staging = os.path.join(scratch, "staging")
    os.makedirs(staging, mode=0o700, exist_ok=True)
    hosts = os.path.join(scratch, "hosts")
    with run_mounts(root) as found, command_places(root, request.mounts) as command_mounts:
        if any(mount.source == _HOSTS for mount in found):
            _write_hosts(hosts, request.host_name)
        mounts = [replace(mount, source=hosts) if mount.source == _HOSTS else mount for mount in found]
        yield Confinement(root=root, mounts=mounts, command_mounts=command_mounts, staging=staging)


def _write_hosts(path: str, host_name: str) -> None:
    """This machine's /etc/hosts with a name more for the loopback: a host that cannot find itself breaks tools."""
    with open(_HOSTS, "rb") as file:
        known = file.read()
    end = b"" if not known or known.endswith(b"\n") else b"\n"
    with open(path, "wb") as file:
        file.write(known + end + b"127.0.0.1\t" + os.fsencode(host_name) + b"\n")
    os.chmod(path, 0o644)  # whatever the umask is
