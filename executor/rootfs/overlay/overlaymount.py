"""Mounting an overlay of hundreds of layers: by the new mount API, else by mount(2) with names short enough.

redirect_dir, metacopy and index stay off, so that the upper directory can be read as the difference; `volatile`
leaves out every sync, since a root that a crash takes is made again.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from executor.dataclass import dataclass, replace
from executor.errors import UnfitError
from executor.rootfs.kernel import syscalls

MOST_LOWERS = 500  # the kernel's OVL_MAX_STACK
_NOT_THERE = (errno.ENOSYS, errno.EINVAL, errno.EPERM, errno.EOPNOTSUPP)


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlayMount:
    """What to mount where. `lowers` has the topmost first and is not empty; `work` must be new for each mount."""

    target: str
    lowers: Sequence[str]
    upper: str
    work: str
    user_xattrs: bool = False

    @property
    def options(self) -> Sequence[tuple[str, str | None]]:
        """The mount options but for the directories; `userxattr` implies that redirects are off."""
        features: list[tuple[str, str | None]] = [("metacopy", "off"), ("index", "off")]
        return [*features, ("userxattr", None) if self.user_xattrs else ("redirect_dir", "off")]


def mount_overlay(overlay: OverlayMount) -> None:
    """Mount it. Raises UnfitError for more layers than the kernel stacks, OSError when it refuses.

    A directory that is there twice (images repeat layers) counts where it is topmost: that shows all it has and
    hides all it hides, and overlayfs refuses the other (ELOOP).
    """
    overlay = replace(overlay, lowers=list(dict.fromkeys(overlay.lowers)))
    if len(overlay.lowers) > MOST_LOWERS:
        raise UnfitError(
            f"the image has {len(overlay.lowers)} layers; overlayfs stacks {MOST_LOWERS}",
            hint="use --rootfs=chroot for this image",
        )
    ways = (_by_descriptor, _by_string)
    for volatile in (True, False):
        for way in ways:
            try:
                way(overlay, volatile=volatile)
            except OSError as error:
                if error.errno not in _NOT_THERE or (way is ways[-1] and not volatile):
                    raise
            else:
                return


def _by_descriptor(overlay: OverlayMount, *, volatile: bool) -> None:
    """fsopen(2) and fsconfig(2): each lower on its own, of any length (Linux 6.5)."""
    descriptor = syscalls.open_file_system("overlay")
    try:
        for lower in overlay.lowers:
            syscalls.configure(descriptor, "lowerdir+", lower)
        syscalls.configure(descriptor, "upperdir", overlay.upper)
        syscalls.configure(descriptor, "workdir", overlay.work)
        for option, value in overlay.options:
            syscalls.configure(descriptor, option, value)
        if volatile:
            syscalls.configure(descriptor, "volatile")
        syscalls.attach(descriptor, overlay.target)
    finally:
        os.close(descriptor)


def _by_string(overlay: OverlayMount, *, volatile: bool) -> None:
    """mount(2): all options in one page, so layers get one-letter links beside the work directory."""
    with _short_names((*overlay.lowers, overlay.upper, overlay.work), overlay.work + "-links") as (base, names):
        options = [f"lowerdir={':'.join(names[:-2])}", f"upperdir={names[-2]}", f"workdir={names[-1]}"]
        options += [f"{option}={value}" if value else option for option, value in overlay.options]
        options += ["volatile"] * volatile
        _in_directory(base, lambda: syscalls.mount("overlay", overlay.target, "overlay", 0, ",".join(options)))


@contextmanager
def _short_names(paths: Sequence[str], base: str) -> Iterator[tuple[str, list[str]]]:
    names = [f"{number:x}" for number in range(len(paths))]
    os.mkdir(base, 0o700)
    try:
        for name, path in zip(names, paths, strict=True):
            os.symlink(path, os.path.join(base, name))
        yield base, names
    finally:
        for name in names:
            os.unlink(os.path.join(base, name))
        os.rmdir(base)


def _in_directory(directory: str, action: Callable[[], None]) -> None:
    """Run `action` with a working directory of its own, which only a thread of its own can have."""
    failures: list[OSError] = []

    def run() -> None:
        try:
            syscalls.unshare(syscalls.CLONE_FS)
            os.chdir(directory)
            action()
        except OSError as error:
            failures.append(error)

    thread = threading.Thread(target=run, name="mount")
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
