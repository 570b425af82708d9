"""Whether this process may put another root filesystem in place of `/`: only in a container of our own image.

Three things must hold, and nobody can ask for less: the image's marker, an interpreter that lives in the image's
own folder and needs nothing outside of it, and signs that this is a container. Who changes `/` asks each time.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator

from executor.dataclass import dataclass
from executor.errors import UnfitError
from executor.ownroot import HOME, MARKER
from executor.rootfs.kernel import syscalls
from executor.rootfs.kernel.mountinfo import mount_of

_HINT = "use --rootfs=overlay or --rootfs=chroot here; in-place is for containers of the krunner:debug image"
_VARIABLES = ("KUBERNETES_SERVICE_HOST", "container")
_ROOT_FILE_SYSTEMS = frozenset({"overlay", "fuse.fuse-overlayfs", "btrfs", "zfs", "aufs"})


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave to change `/`, given once and valid for this very root only: its device and inode number."""

    device: int
    inode: int

    def check(self) -> None:
        """Raise UnfitError unless this is still the container that the permit was given in."""
        _refuse(_what_is_missing())
        self.check_root()

    def check_root(self) -> None:
        """Raise UnfitError unless `/` is still the same: enough to bring it back, whatever a command removed."""
        now = os.stat("/")
        if (now.st_dev, now.st_ino) != (self.device, self.inode):
            _refuse("/ is not the root that leave was given for")


def permit() -> Permit:
    """Leave to change `/`. Raises UnfitError outside of a container of our image."""
    _refuse(_what_is_missing() or ("" if is_container() else "this is no container"))
    root = os.stat("/")
    return Permit(root.st_dev, root.st_ino)


def is_our_image() -> bool:
    """Whether the root has the mark of our image; that alone permits nothing."""
    return os.path.exists(MARKER)


def keep_to_oneself() -> None:
    """In a container of our image, hide memory, environment and files of this process, and of its forks.

    They hold credentials, and a command in place runs as the same user. See also `confinement`.
    """
    if os.geteuid() == 0 and is_our_image():
        syscalls.forbid_reading()


def is_container() -> bool:
    """Whether there are signs that this is a container."""
    return any(_signs_of_a_container())


def _refuse(reason: str) -> None:
    if reason:
        raise UnfitError(f"/ must not be taken over: {reason}", hint=_HINT)


def _what_is_missing() -> str:
    try:
        marker = os.lstat(MARKER)
    except OSError:
        return f"{MARKER} is not there, so this is not our image"
    if not stat.S_ISREG(marker.st_mode) or marker.st_uid != 0:
        return f"{MARKER} is not a file of root's"
    if not os.path.realpath(sys.executable).startswith(f"{HOME}/"):
        return f"the interpreter {sys.executable} is not the image's own"
    if os.geteuid() != 0:
        return "not root"
    return ""


def _signs_of_a_container() -> Iterator[bool]:
    """Each is enough: the marker has said already that the image is ours."""
    yield os.path.exists("/.dockerenv") or os.path.exists("/run/.containerenv")
    yield any(map(os.environ.get, _VARIABLES))
    yield _root_file_system() in _ROOT_FILE_SYSTEMS


def _root_file_system() -> str:
    root = mount_of("/")
    return root.kind if root else ""
