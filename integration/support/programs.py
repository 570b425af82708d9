"""Running other programs: one function for commands that end, one class for servers that are stopped by pid."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path


class ProgramError(Exception):
    """A program ended with a status other than 0; the message holds the command line and what it printed."""


def run(argv: Sequence[str | Path], *, timeout: float = 300, **options: object) -> str:
    """Run to the end and return standard output. Raises ProgramError with both streams when it fails."""
    done = subprocess.run(
        [os.fspath(word) for word in argv],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        **options,  # type: ignore[call-overload]  # passed through as it is
    )
    if done.returncode != 0:
        words = " ".join(os.fspath(word) for word in argv)
        raise ProgramError(f"{words}\nended with {done.returncode}\n{done.stdout}{done.stderr}")
    return str(done.stdout)


def free_port() -> int:
    """A TCP port of the loopback interface that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    """Whether something accepts connections on a loopback port."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def wait_until(condition: Callable[[], bool], what: str, *, seconds: float = 20) -> None:
    """Return as soon as `condition` holds. Raises TimeoutError that names `what`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.02)


@contextlib.contextmanager
def server(
    argv: Sequence[str | Path],
    *,
    log: Path,
    ready: Callable[[], bool],
    env: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """A server that is up when the body runs and gone after it. Its output goes to `log`."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [os.fspath(word) for word in argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
        )
    try:
        wait_until(lambda: process.poll() is not None or ready(), f"start of {argv[0]}")
        if process.poll() is not None:
            raise ProgramError(f"{argv[0]} did not start\n{log.read_text(errors='replace')}")
        yield process
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes], *, seconds: float = 20) -> None:
    """End a process that we started: SIGTERM, and SIGKILL when that is not heeded."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
