"""Where no process can be started: said as what it is, and nothing of the attempt stays."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from executor.errors import UnfitError
from executor.rootfs.base import RunRequest
from executor.rootfs.command import process
from executor.rootfs.command.confinement import Confinement
from executor.rootfs.inplace.keeper import watched
from executor.rootfs.kernel.forking import Child, fork_with_signals_blocked
from executor.rootfs.kernel.trial import try_in_child


@pytest.fixture
def no_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As at a pod's limit of processes. Afterwards the mask is as before and no descriptor is left."""

    def fork() -> int:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    mask, descriptors = signal.pthread_sigmask(signal.SIG_BLOCK, ()), set(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(os, "fork", fork)
    yield
    left = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    assert left == mask
    assert set(os.listdir("/proc/self/fd")) == descriptors


def run_a_command() -> object:
    request = RunRequest(argv=("true",), environment={})
    return process.run(request, Confinement(root="/", namespaces=False), lambda _line: None)


def watch() -> object:
    with watched((), lambda _line: None) as tell:
        return tell


@pytest.mark.parametrize(
    "work", [run_a_command, watch, lambda: try_in_child(dict), fork_with_signals_blocked, lambda: Child(dict)]
)
@pytest.mark.usefixtures("no_process")
def test_the_limit_of_processes_is_named(work: Callable[[], object]) -> None:
    with pytest.raises(UnfitError, match="no process can be started: Resource temporarily unavailable"):
        work()


def test_a_child_begins_with_signals_blocked() -> None:
    child, mask = fork_with_signals_blocked()
    if child == 0:
        stops = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
        os._exit(0 if stops <= signal.pthread_sigmask(signal.SIG_BLOCK, ()) else 1)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_what_a_child_has_done_is_there_when_it_has_ended(tmp_path: Path) -> None:
    child = Child((tmp_path / "made").touch)
    child.result()
    assert (tmp_path / "made").exists()


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(
    ("work", "number"),
    [(lambda: os.rmdir("/nowhere"), errno.ENOENT), (killed, errno.ECANCELED), (lambda: 1 / 0, errno.ECANCELED)],
)
def test_what_a_child_has_not_done_is_told(work: Callable[[], object], number: int) -> None:
    with pytest.raises(OSError, match=os.strerror(number)):
        Child(work).result()


def test_a_child_that_is_stopped_is_gone(tmp_path: Path) -> None:
    child = Child(lambda: (time.sleep(60), (tmp_path / "made").touch()))
    child.stop()
    assert not (tmp_path / "made").exists()
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
