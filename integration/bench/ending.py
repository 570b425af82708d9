"""Nothing is left behind: no process, no mount, no loop device and no file, however a run ends."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import NoReturn

from integration.bench.filesystem import detach
from integration.support.leftovers import adopt_orphans, descendants, mounts, unmount_below
from integration.support.programs import wait_until

_SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


def end_on_signals() -> None:
    """Signals that end a program make it clean up first. Those that come while it does so change nothing."""
    for number in _SIGNALS:
        signal.signal(number, _end)


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    _disregard_signals()
    raise SystemExit(128 + number)


def _disregard_signals() -> None:
    for number in _SIGNALS:
        signal.signal(number, lambda *_: None)  # not SIG_IGN, which children would inherit


@contextlib.contextmanager
def work_folder() -> Iterator[Path]:
    """A folder on a real disk. At the end it is gone, with every process and mount and loop device of the body."""
    adopt_orphans()
    folder = Path(tempfile.mkdtemp(prefix="krunner-bench-", dir="/var/tmp"))
    try:
        yield folder
    finally:
        _disregard_signals()
        try:
            _kill_all()
        finally:
            _remove(folder)


def _remove(folder: Path) -> None:
    unmount_below(folder)
    for image in folder.glob("*.ext4"):
        detach(image)
    if not mounts(below=folder):  # or what is mounted would be deleted
        shutil.rmtree(folder, ignore_errors=True)


def _kill_all() -> None:
    """End all children and what they started and left."""

    def none_lives() -> bool:
        for pid in descendants(os.getpid()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not descendants(os.getpid())

    wait_until(none_lives, "end of all processes")
