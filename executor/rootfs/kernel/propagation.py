"""Cuts a new mount namespace off from the one it was copied from, so that no mount made in it shows outside.

In a plain chroot (a build server's) "/" is no mount point and mount(2) refuses to change it. A child then leaves
the chroot and changes it from outside. Only `os` and system calls here: this runs after forks too.
"""

from __future__ import annotations

import errno
import os

from executor.rootfs.kernel import syscalls

_PRIVATE = syscalls.MS_REC | syscalls.MS_PRIVATE


def make_mounts_private() -> None:
    """Make every mount of this process's namespace private. Raises OSError where that is not allowed."""
    try:
        syscalls.mount("none", "/", None, _PRIVATE)
    except OSError as error:
        if error.errno != errno.EINVAL or not _done_from_outside():
            raise


def _done_from_outside() -> bool:
    child = os.fork()
    if child == 0:
        status = 1
        try:
            _leave_chroot()
            syscalls.mount("none", ".", None, _PRIVATE)
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1] == 0


def _leave_chroot() -> None:
    """Make the top of the namespace the working directory: with the root moved below it, `..` is not stopped."""
    os.chdir("/")
    with os.scandir("/") as entries:
        below = next(entry.path for entry in entries if entry.is_dir(follow_symlinks=False))
    os.chroot(below)
    while not os.path.samefile(".", ".."):
        os.chdir("..")
