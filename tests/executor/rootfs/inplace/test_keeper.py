"""A keeper brings back what a killed process had taken, with the last it was told; else it does nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from executor.errors import UnfitError
from executor.rootfs.inplace import keeper


def in_a_child(work: Callable[[], None]) -> int:
    """The status of a forked process that does `work`; whatever it started has ended with it."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            work()
        finally:
            os._exit(1)
    os.close(writing)
    _, status = os.waitpid(child, 0)
    os.close(reading)
    return os.waitstatus_to_exitcode(status)


@pytest.fixture
def written(tmp_path: Path) -> Callable[[bytes], bool]:
    """Writes what it is given to a file, by a descriptor that is held."""
    descriptor = os.open(tmp_path / "told", os.O_CREAT | os.O_WRONLY)

    def write(line: bytes) -> bool:
        os.write(descriptor, line)
        os.fsync(descriptor)
        return True

    write.descriptor = descriptor  # type: ignore[attr-defined]
    return write


@pytest.mark.parametrize("told", [[], [b"first"], [b"first", b"second " * 50_000]], ids=len)
def test_a_kill(written: Callable[[bytes], bool], told: list[bytes], tmp_path: Path) -> None:
    end, begin = os.pipe()

    def work() -> None:
        held = (written.descriptor, begin)  # type: ignore[attr-defined]
        with keeper.watched(held, written) as tell:
            for line in told:
                tell(line)
            os.kill(os.getpid(), signal.SIGKILL)

    assert in_a_child(work) == -signal.SIGKILL
    os.close(begin)
    assert os.read(end, 1) == b""  # the keeper has ended
    os.close(end)
    assert (tmp_path / "told").read_bytes() == (told[-1] if told else b"")


@pytest.mark.parametrize("error", [None, ValueError("x")])
def test_all_is_well(written: Callable[[bytes], bool], error: Exception | None, tmp_path: Path) -> None:
    watch = keeper.watched((written.descriptor,), written)  # type: ignore[attr-defined]
    with suppress(ValueError), watch as tell:
        tell(b"something")
        if error:
            raise error
    assert (tmp_path / "told").read_bytes() == b""


def test_what_cannot_be_brought_back_is_said(capfd: pytest.CaptureFixture[str]) -> None:
    end, begin = os.pipe()

    def fail(_line: bytes) -> None:
        raise UnfitError("it is gone", hint="start anew")

    def work() -> None:
        with keeper.watched((begin,), fail):
            os.kill(os.getpid(), signal.SIGKILL)

    in_a_child(work)
    os.close(begin)
    os.read(end, 1)
    os.close(end)
    assert capfd.readouterr().err == "it is gone\n    hint: start anew\n"
