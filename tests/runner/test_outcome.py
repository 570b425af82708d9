from dataclasses import replace

import pytest

from runner.outcome import Outcome, RunReport

OK = Outcome(name="a", status="built")
STOPPED = Outcome(name="a", status="stopped")
SKIPPED = Outcome(name="a", status="skipped")
PUSH = Outcome(name="a", status="push failed", kind="PushError")
PUSH_AGAIN = Outcome(name="a", status="push failed", kind="PushError", retryable=True)
HELD = Outcome(name="a", status="not pushed")


def failed(kind, retryable=False):
    return Outcome(name="a", status="failed", kind=kind, retryable=retryable)


RUN, STEP, REFUSED = failed("RunError"), failed("StepError"), failed("AuthError")
TEMPORARY, UNFIT, BUG = failed("RegistryError", retryable=True), failed("UnfitError"), failed("InternalError")


@pytest.mark.parametrize(
    ("outcomes", "signal", "code"),
    [
        ([OK], 0, 0),
        ([OK, RUN, SKIPPED], 0, 1),
        ([STEP], 0, 1),
        ([REFUSED], 0, 1),
        ([failed("InvalidFileError")], 0, 1),
        ([failed("SomethingFromTheFuture")], 0, 1),
        ([OK, PUSH], 0, 3),
        ([PUSH, RUN], 0, 1),
        ([OK, TEMPORARY], 0, 75),
        ([OK, PUSH_AGAIN], 0, 75),
        ([PUSH_AGAIN, PUSH], 0, 3),
        ([HELD], 0, 3),
        ([replace(HELD, kind="UnfitError"), PUSH], 0, 4),
        ([replace(PUSH, kind="InternalError"), HELD], 0, 70),
        ([PUSH_AGAIN, HELD], 0, 75),
        ([PUSH, HELD], 0, 3),
        ([TEMPORARY, HELD], 0, 75),
        ([RUN, HELD], 0, 1),
        ([TEMPORARY, PUSH_AGAIN], 0, 75),
        ([TEMPORARY, PUSH], 0, 1),
        ([TEMPORARY, RUN], 0, 1),
        ([RUN, BUG, PUSH], 0, 70),
        ([BUG, UNFIT, RUN], 0, 4),
        ([RUN, STOPPED, SKIPPED], 0, 1),
        ([STOPPED, SKIPPED], 15, 143),
        ([RUN, STOPPED], 2, 130),
        ([UNFIT], 1, 129),
    ],
)
def test_exit_codes(outcomes, signal, code):
    assert RunReport(outcomes=tuple(outcomes), seconds=1.0, signal=signal).exit_code == code


def test_what_can_be_built_upon():
    assert [o.is_usable for o in (OK, PUSH, RUN, STOPPED, SKIPPED)] == [True, True, False, False, False]
