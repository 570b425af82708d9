"""What the commands need to know beside their options; click carries it as the context's object."""

from __future__ import annotations

from executor.dataclass import dataclass
from runner.executor import Executor
from runner.run.workers import ZygotePool


@dataclass(slots=True)
class Invocation:
    """One run of the command `krunner`. Close it when done."""

    executor: Executor
    debug: bool = False
    workers: ZygotePool | None = None

    def start_workers(self) -> ZygotePool:
        """The process that workers are forked from, started now if it was not: while this one has one thread.

        It imports the executor meanwhile.
        """
        if self.workers is None:
            self.workers = ZygotePool.start(self.executor.load_entry)
        return self.workers

    def close(self) -> None:
        """End that process, and any worker that is left; see `ZygotePool.close`."""
        if self.workers:
            self.workers.close()
