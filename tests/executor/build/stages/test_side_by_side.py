"""Which stages wait for which, and what becomes of the others when one fails."""

import threading

import pytest

from executor.build.plan.planner import PlanRequest, plan_build
from executor.build.stages.sidebyside import GiveUp, is_chain, needs, run_side_by_side
from executor.dockerfile.parser import parse
from executor.errors import StepError
from executor.image.platform import Platform
from executor.rootfs.base import AbandonedError


def wait_for(give_up):
    with pytest.raises(AbandonedError):  # noqa: PT012 - it is raised in some round
        while True:
            give_up.check()


DIAMOND = """\
FROM scratch AS base
FROM base AS left
FROM base AS right
FROM scratch
COPY --from=left / /
COPY --from=right / /
"""


def stages_of(text):
    return plan_build(
        parse(text, "Dockerfile"), PlanRequest(build_args={}, platforms=(Platform("linux", "amd64"),))
    ).stages


def test_a_stage_needs_its_base_and_what_it_copies_from():
    assert {planned.number: set(needs(planned)) for planned in stages_of(DIAMOND)} == {
        0: set(),
        1: {0},
        2: {0},
        3: {1, 2},
    }


@pytest.mark.parametrize(
    ("text", "chain"),
    [
        ("FROM scratch\n", True),
        ("FROM scratch AS a\nFROM scratch\nCOPY --from=a / /\n", True),
        ("FROM scratch AS a\nFROM a AS b\nFROM a\nCOPY --from=b / /\n", True),
        (DIAMOND, False),
    ],
)
def test_a_chain_has_nothing_to_do_side_by_side(text, chain):
    assert is_chain(stages_of(text)) is chain


def test_independent_stages_are_under_way_at_once_and_after_what_they_need():
    meeting = threading.Barrier(2)
    done = []

    def work(planned):
        assert needs(planned) <= set(done)
        if planned.number in (1, 2):
            meeting.wait(timeout=20)  # breaks unless both are here
        done.append(planned.number)

    with GiveUp() as give_up:
        run_side_by_side(stages_of(DIAMOND), work, give_up, threads=2)
    assert done[0] == 0
    assert sorted(done[1:3]) == [1, 2]
    assert done[3] == 3


def test_the_first_failure_ends_the_others_and_is_what_is_told():
    def work(planned):
        if planned.number == 1:
            raise StepError("left is broken")
        if planned.number == 2:
            wait_for(give_up)
        assert planned.number != 3

    with GiveUp() as give_up, pytest.raises(StepError, match="left is broken"):
        run_side_by_side(stages_of(DIAMOND), work, give_up, threads=2)
