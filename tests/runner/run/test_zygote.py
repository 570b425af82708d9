"""The process that workers are forked from, where it lacks something."""

import os
import resource
import select

from executor.spec import PushSpec
from runner.run.worker import JobEntry
from runner.run.workers import Ended, ZygotePool


def with_room_for_two_descriptors() -> JobEntry:
    """Called in the zygote, which itself opens three more."""
    free = [number for number in range(256) if not os.path.lexists(f"/proc/self/fd/{number}")]
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free[3 + 2], most))

    def entry(job: object, emit: object) -> object:
        raise AssertionError("no worker can be started")

    return entry  # type: ignore[return-value]


def test_a_worker_whose_descriptors_do_not_all_arrive_is_refused() -> None:
    pool = ZygotePool.start(with_room_for_two_descriptors)
    try:
        for number in (1, 2):  # what arrived of the first is closed
            launched = pool.launch(PushSpec(name="a", keep="a"))
            ended: list[Ended] = []
            while not ended:
                assert select.select([pool], [], [], 20)[0]
                ended = pool.receive()
            assert ended == [Ended(number, 1, refusal="Too many open files")]
            os.close(launched.events)
            os.close(launched.output)
    finally:
        pool.close()
