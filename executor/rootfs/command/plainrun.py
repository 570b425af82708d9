"""What a command finds in its root where nothing may be mounted: device nodes, resolv.conf and hosts of its own.

All of it is there for the time of the run only. /proc and /sys cannot be had this way.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress

from executor.errors import UnfitError
from executor.removal import remove
from executor.rootfs.command.runmounts import DEVICE_LINKS, DEVICES, write_scripts
from executor.rootfs.command.stubs import Stubs, directory_times, displaced
from executor.rootfs.files.safepath import resolve

_DEVICE_MODE = 0o666
_FILES = ("/etc/resolv.conf", "/etc/hosts")


@contextmanager
def plain_run(root: str, scratch: str, scripts: Mapping[str, bytes]) -> Iterator[None]:
    """Furnish `root` for a command within the context. `scratch` is a directory of the same file system.

    Raises UnfitError when that is not allowed.
    """
    with ExitStack() as stack:
        try:
            for number, path in enumerate(_FILES):
                if os.path.isfile(path):
                    stack.enter_context(_lent(root, path, os.path.join(scratch, f"lent-{number}")))
            stack.enter_context(_furnished_dev(root, scripts))
        except OSError as error:
            raise UnfitError(f"cannot prepare the root for a command: {error.strerror}") from error
        yield


@contextmanager
def _lent(root: str, path: str, aside: str) -> Iterator[None]:
    """This machine's `path` in place of the root's own, which lies `aside` meanwhile."""
    host = resolve(root, path)
    folder = os.path.dirname(host)
    if not os.path.isdir(folder):
        yield
        return
    with displaced(host, aside, lambda: shutil.copyfile(path, host)):
        yield


@contextmanager
def _furnished_dev(root: str, scripts: Mapping[str, bytes]) -> Iterator[None]:
    stubs = Stubs(root)
    dev = stubs.directory("/dev")
    try:
        if dev:
            with _contents(dev, scripts):
                yield
        else:
            yield
    finally:
        stubs.remove()


@contextmanager
def _contents(dev: str, scripts: Mapping[str, bytes]) -> Iterator[None]:
    """Devices, links and scripts that the image's own /dev lacks."""
    times = directory_times(dev)
    there = set(os.listdir(dev))
    try:
        for name in DEVICES:
            with suppress(FileExistsError, FileNotFoundError):
                number = os.stat(f"/dev/{name}").st_rdev
                os.mknod(f"{dev}/{name}", stat.S_IFCHR | _DEVICE_MODE, number)
                os.chmod(f"{dev}/{name}", _DEVICE_MODE)
        for name, link in DEVICE_LINKS.items():
            with suppress(FileExistsError):
                os.symlink(link, f"{dev}/{name}")
        write_scripts(dev, scripts)
        yield
    finally:
        for name in set(os.listdir(dev)) - there:
            remove(f"{dev}/{name}")
        os.utime(dev, ns=times)
