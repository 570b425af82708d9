"""Layers that are still being written while their stage goes on, in threads of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from executor.rootfs.base import AbandonedError

T = TypeVar("T")


class LaterLayers:
    """Work in the order in which it is given, two at a time: one is mostly archiving, the other compressing."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._under_way: list[Future[object]] = []
        self._abandoned = threading.Event()

    def begin(self, work: Callable[[], T]) -> Future[T]:
        """Let a thread do `work`, which is to call `check` between two pieces and may wait for earlier work."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(2, "layers")
        future = self._pool.submit(work)
        self._under_way.append(future)  # type: ignore[arg-type]  # read for its exception only
        return future

    def then(self, work: Callable[[], object]) -> None:
        """Do `work`, which may wait for earlier work: at once when that is done, else in a thread."""
        self.raise_failure()
        if self._under_way:
            self.begin(work)
        else:
            work()

    def check(self) -> None:
        """Raise AbandonedError once nobody wants the layers any more."""
        if self._abandoned.is_set():
            raise AbandonedError

    def raise_failure(self) -> None:
        """Raise what work that ended has raised."""
        while self._under_way and self._under_way[0].done():
            self._under_way.pop(0).result()

    def wait(self) -> None:
        """Wait for all of it. Raises what the first that failed raised."""
        while self._under_way:
            self._under_way.pop(0).result()

    def close(self) -> None:
        """Give up what is not done, and wait until the threads have ended."""
        self._abandoned.set()
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        self._under_way.clear()


def done(result: T) -> Future[T]:
    """A future that is done already."""
    future: Future[T] = Future()
    future.set_result(result)
    return future
