"""The workers of a run: started, heard, timed, and ended when their time, a signal or the run asks for it.

One thread, one selector. A worker is ended in steps: SIGTERM, after the grace time or a second signal SIGKILL, and
when even that does not end it, the run goes on without it.
"""

from __future__ import annotations

import selectors
import signal
import time
from collections.abc import Iterator

from executor.dataclass import dataclass
from executor.errors import InternalError
from executor.spec import Job, ProvenDriver
from runner.run.running import RunningImage
from runner.run.signals import SignalSource
from runner.run.workers import Ended, WorkerPool
from runner.runevents import RunSink, TimePassed

_SENDING_AT_ONCE = 8
"""Images that are sent while others are built: each needs little but time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Seconds: `grace` to end after SIGTERM, `kill_grace` after SIGKILL, `tick` between two TimePassed events."""

    grace: float = 10.0
    kill_grace: float = 5.0
    tick: float = 5.0


@dataclass(frozen=True, slots=True)
class Done:
    """A worker that is gone: what it was, and how it ended."""

    running: RunningImage
    ended: Ended


class Crew:
    """The workers at work. `signal` is the number of the one that came, 0 for none; `halt` why all was stopped.

    `proven` is the driver that one of them has found to work, see RootfsOptions.
    """

    def __init__(self, pool: WorkerPool, signals: SignalSource, sink: RunSink, patience: Patience) -> None:
        self.signal = 0
        self.halt = ""
        self.proven: ProvenDriver = ""
        self._pool = pool
        self._signals = signals
        self._sink = sink
        self._patience = patience
        self._running: dict[int, RunningImage] = {}
        self._tick_at = time.monotonic() + patience.tick
        self._selector = selectors.DefaultSelector()
        self._selector.register(pool, selectors.EVENT_READ)
        self._selector.register(signals, selectors.EVENT_READ)

    def close(self) -> None:
        """Give up the selector; the pool ends what is left."""
        self._selector.close()

    @property
    def size(self) -> int:
        """How many workers there are."""
        return len(self._running)

    def has_room(self, jobs: int) -> bool:
        """Whether another image may be built, `jobs` at once.

        One that is built and only being sent waits for a network, and leaves its core to the next, unless images
        are to be built strictly one after another.
        """
        sending = sum(running.sending for running in self._running.values()) if jobs > 1 else 0
        return self.size - min(sending, max(jobs, _SENDING_AT_ONCE)) < jobs

    def start(self, name: str, job: Job, *, timeout: float = 0.0) -> None:
        """Give `job` to a new worker, which may take `timeout` seconds (0: as long as it wants)."""
        running = RunningImage(name, self._pool.launch(job), timeout=timeout)
        self._running[running.number] = running
        for fd in running.fds:
            self._selector.register(fd, selectors.EVENT_READ, data=running.number)

    def wait(self, until: float = float("inf")) -> list[Done]:
        """Wait until something happens or the clock (time.monotonic) says `until`; the workers that are gone.

        Raises InternalError when workers can neither be heard nor ended any more.
        """
        done: list[Done] = []
        wake_at = min((self._tick_at, until, *(running.end_at for running in self._running.values())))
        for key, _ in self._selector.select(max(wake_at - time.monotonic(), 0)):
            done += self._handle(key)
        self._keep_time(time.monotonic())
        return done

    def end(self, cause: str) -> None:
        """Have every worker end, and say that nothing new is to be started, because of `cause`."""
        self.halt = self.halt or cause
        for running in self._running.values():
            running.halted = True
            self._terminate(running)

    def abandon(self) -> Iterator[RunningImage]:
        """What was at work when the machinery broke; each is told of for the last time."""
        while self._running:
            _, running = self._running.popitem()
            self._tell(running)
            yield running

    def _handle(self, key: selectors.SelectorKey) -> list[Done]:
        if key.fileobj is self._pool:
            return [self._gone(ended) for ended in self._pool.receive()]
        if key.fileobj is self._signals:
            for number in self._signals.read():
                self._stop(number)
        elif key.data in self._running:
            told, is_open = self._running[key.data].read(key.fd)
            if not is_open:
                self._selector.unregister(key.fd)
            for event in told:
                self._sink(event)
            self.proven = self.proven or self._running[key.data].proven
        return []

    def _gone(self, ended: Ended) -> Done:
        running = self._running.pop(ended.number)
        self._tell(running)
        return Done(running, ended)

    def _tell(self, running: RunningImage) -> None:
        for fd in running.fds:
            if fd in self._selector.get_map():
                self._selector.unregister(fd)
        for event in running.close():
            self._sink(event)

    def _stop(self, number: int) -> None:
        """The first signal asks, the second does not."""
        if self.signal:
            for running in self._running.values():
                self._kill(running)
        else:
            self.signal = number
            self.end(f"stopped by {signal.Signals(number).name}")

    def _keep_time(self, now: float) -> None:
        if now >= self._tick_at:
            self._tick_at = now + self._patience.tick
            self._sink(TimePassed())
        for running in self._running.values():
            if now < running.end_at:
                continue
            if running.killed:
                raise InternalError("a worker cannot be ended, not even by SIGKILL")
            if running.asked:
                self._kill(running)
            else:
                running.timed_out = True
                self._terminate(running)

    def _terminate(self, running: RunningImage) -> None:
        if not running.asked:
            running.asked = True
            running.end_at = time.monotonic() + self._patience.grace
            self._pool.signal(running.number, signal.SIGTERM)

    def _kill(self, running: RunningImage) -> None:
        if not running.killed:
            running.killed = True
            running.end_at = time.monotonic() + self._patience.kill_grace
            self._pool.signal(running.number, signal.SIGKILL)
