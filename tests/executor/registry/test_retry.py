"""Retries: what is tried again, how often, and after how long."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.errors import Error, ImageError, RegistryError
from executor.events import Event, RetryScheduled, discard
from executor.registry.reasons import parse_retry_after
from executor.registry.retry import LONGEST_RETRY_AFTER, Retrying
from executor.spec import RetryPolicy


class Failing:
    """Raises each of `errors` once, then returns "done"."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def busy(retry_after: float | None = None) -> RegistryError:
    return RegistryError("busy", status=503, retry_after=retry_after)


def run(policy: RetryPolicy, task: Failing, events: list[Event] | None = None) -> tuple[object, list[float]]:
    waits: list[float] = []
    sink = discard if events is None else events.append
    try:
        return Retrying(policy, sink, "pull x", sleep=waits.append)(task), waits
    except (Error, ValueError) as error:
        return error, waits


def test_a_temporary_failure_is_tried_again_and_told() -> None:
    events: list[Event] = []
    result, waits = run(RetryPolicy(retries=2), Failing(busy(), busy()), events)
    assert result == "done"
    assert [(e.action, e.error, e.attempt, e.wait) for e in events if isinstance(e, RetryScheduled)] == [
        ("pull x", "busy", 1, waits[0]),
        ("pull x", "busy", 2, waits[1]),
    ]


def test_the_last_error_is_raised_as_it_is() -> None:
    last = busy()
    task = Failing(busy(), last, busy())
    assert run(RetryPolicy(retries=1), task)[0] is last
    assert task.calls == 2


@pytest.mark.parametrize("status", [0, 408, 429, 500, 502, 503, 504])
def test_statuses_that_are_temporary(status: int) -> None:
    assert run(RetryPolicy(retries=1), Failing(RegistryError("x", status=status)))[0] == "done"


@pytest.mark.parametrize(
    "error",
    [RegistryError("x", status=s) for s in (400, 401, 403, 404, 501, 505)] + [ImageError("x"), ValueError()],
)
def test_errors_that_are_not(error: Exception) -> None:
    task = Failing(error)
    assert run(RetryPolicy(retries=5), task) == (error, [])
    assert task.calls == 1


@given(st.integers(0, 8), st.floats(0.01, 5), st.floats(0.01, 5))
def test_waits_stay_below_the_exponential_and_the_cap(retries: int, initial: float, cap: float) -> None:
    policy = RetryPolicy(retries=retries, initial_wait=initial, max_wait=cap)
    _, waits = run(policy, Failing(*(busy() for _ in range(retries))))
    assert len(waits) == retries
    assert all(0 <= wait <= min(cap, initial * 2**n) + 1e-9 for n, wait in enumerate(waits))


def test_retry_after_is_waited_for() -> None:
    _, waits = run(RetryPolicy(retries=1, initial_wait=0.1), Failing(busy(retry_after=17)))
    assert waits == [17]


def test_a_registry_that_asks_for_too_long_a_pause_has_failed() -> None:
    error = busy(retry_after=LONGEST_RETRY_AFTER + 1)
    assert run(RetryPolicy(retries=9), Failing(error)) == (error, [])


def test_no_try_starts_after_the_deadline() -> None:
    error = busy(retry_after=10)
    assert run(RetryPolicy(retries=9, deadline=9), Failing(error)) == (error, [])
    assert run(RetryPolicy(retries=9, deadline=11), Failing(busy(retry_after=10)))[0] == "done"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("5", 5.0), (" 7 ", 7.0), ("", None), ("soon", None), ("-1", None), ("²", None), ("9" * 5000, None)],
)
def test_reading_retry_after(value: str, seconds: float | None) -> None:
    assert parse_retry_after(value) == seconds


def test_retry_after_may_be_a_date() -> None:
    later = parse_retry_after(format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True))
    assert later is not None
    assert 20 < later <= 30
    assert parse_retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0
