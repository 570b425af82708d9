"""A build that is expected to fail: run with its log kept, and whatever it leaves behind fails the test."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from integration.support import leftovers
from integration.support.builders import BIN
from integration.support.programs import stop, wait_until


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a build ended: exit status, everything it printed, seconds."""

    status: int
    log: str
    seconds: float


@dataclass(kw_only=True)
class Attempt:
    """Builds a Dockerfile with one driver in a context and a store of its own."""

    driver: str
    folder: Path
    env: dict[str, str] = field(default_factory=dict)

    @property
    def context(self) -> Path:
        return self.folder / "context"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def argv(self, dockerfile: str, *flags: str | Path) -> list[str | Path]:
        """The command line, after the Dockerfile was written."""
        (self.context / "Dockerfile").write_text(dockerfile)
        files = [f"--context={self.context}", f"--dockerfile={self.context / 'Dockerfile'}"]
        return [BIN / "executor", *files, f"--rootfs={self.driver}", "--insecure", "--insecure-pull", *flags]

    def __call__(self, dockerfile: str, *flags: str | Path, prefix: Sequence[str | Path] = ()) -> Outcome:
        """Build to the end; `prefix` are the words of a command that runs the build."""
        begin = time.monotonic()
        done = subprocess.run(
            [*prefix, *self.argv(dockerfile, *flags)],
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=100,
            check=False,
        )
        return Outcome(status=done.returncode, log=done.stdout, seconds=time.monotonic() - begin)

    def stopped(
        self,
        number: signal.Signals,
        dockerfile: str,
        *flags: str | Path,
        when: Callable[[str], bool],
        again: signal.Signals | None = None,
    ) -> Outcome:
        """Send a signal as soon as `when` holds of what was printed so far, maybe another one right after it."""
        log = self.folder / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                self.argv(dockerfile, *flags),
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            wait_until(lambda: process.poll() is not None or when(log.read_text()), "the phase to be stopped in")
            assert process.poll() is None, f"ended before it could be stopped:\n{log.read_text()}"
            begin = time.monotonic()
            process.send_signal(number)
            if again:
                process.send_signal(again)
            status = process.wait(timeout=30)
        finally:
            stop(process)
        return Outcome(status=status, log=log.read_text(), seconds=time.monotonic() - begin)

    def environment(self) -> Mapping[str, str]:
        """This process's environment, with the store's folder and what the test adds."""
        return {**os.environ, "KRUNNER_HOME": str(self.home), **self.env}

    def unfinished(self) -> list[str]:
        """Files in the store that belong to no finished thing."""
        work = self.home / "work"
        return [str(path.relative_to(self.home)) for path in work.rglob("*")] if work.exists() else []


@pytest.fixture(params=["overlay", "chroot"])
def attempt(request: pytest.FixtureRequest, work: Path) -> Iterator[Attempt]:
    """Builds with each driver in turn; no process, mount or unfinished file may outlive the test."""
    folder = work / "faults" / request.node.name.replace("/", "-")
    attempt = Attempt(driver=request.param, folder=folder)
    attempt.context.mkdir(parents=True)
    processes = leftovers.descendants(os.getpid())
    yield attempt
    left = {pid: command for pid, command in leftovers.descendants(os.getpid()).items() if pid not in processes}
    assert not left, "processes left behind"
    assert not leftovers.mounts(below=folder), "mounts left behind"
    assert not attempt.unfinished(), "unfinished files left behind"
