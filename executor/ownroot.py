"""This container's own `/`, as programs beside a build need it: a credential helper, git, its ssh and shell.

While a RUN has an image in place of `/` (see `rootfs.recovery`), a program looked up on PATH would be the image's,
and it would be handed credentials. So who runs one shares a lock that is the in-place driver's alone meanwhile.
Where no image can take the place of `/`, there is nothing to lock.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

HOME = "/kaniko"
"""Where everything of our image is."""
MARKER = f"{HOME}/.krunner-image"
FOLDER = f"{HOME}/takeover"
"""What is kept while an image has `/`: where there is none, none has had it."""
LOCK = f"{FOLDER}/lock"


@contextmanager
def own_root(*, wait: bool = True) -> Iterator[None]:
    """Wait until `/` is this container's own, and keep it so within the context.

    Raises BlockingIOError instead of waiting when not told to `wait`.
    """
    descriptor = _opened()
    try:
        if descriptor >= 0:
            fcntl.flock(descriptor, fcntl.LOCK_SH if wait else fcntl.LOCK_SH | fcntl.LOCK_NB)
        yield
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _opened() -> int:
    """The lock's file, -1 where `/` cannot be taken over: outside of our image, or not as root."""
    if not os.path.lexists(MARKER):
        return -1
    try:
        os.makedirs(FOLDER, mode=0o700, exist_ok=True)
        return os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return -1
