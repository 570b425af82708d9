"""Trying again: what is temporary, how long to wait, when to give up, and telling the user about it.

Waits follow exponential backoff with full jitter, so that many builds that failed together do not return together.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from executor.errors import Error
from executor.events import RetryScheduled, Sink
from executor.spec import RetryPolicy

if TYPE_CHECKING:
    from tenacity import RetryCallState, Retrying

LONGEST_RETRY_AFTER = 300.0
"""Seconds. A registry that asks for a longer pause has failed as far as a build is concerned."""


def retrying(
    policy: RetryPolicy, sink: Sink, action: str, *, sleep: Callable[[float], None] = time.sleep
) -> Retrying:
    """A caller that repeats a function on retryable errors: `retrying(policy, sink, "pull x")(function, …)`.

    The last error is raised as it is. A Retry-After of the registry is waited for, whatever the backoff says, but
    one of more than `LONGEST_RETRY_AFTER` ends the tries. Each wait is announced as RetryScheduled.
    """
    from tenacity import Retrying, retry_if_exception, stop_after_attempt, stop_before_delay
    from tenacity import wait_random_exponential as full_jitter

    backoff = full_jitter(multiplier=policy.initial_wait, max=policy.max_wait)
    attempts = stop_after_attempt(policy.retries + 1)

    def wait(state: RetryCallState) -> float:
        return max(backoff(state), _retry_after(_failure(state)))

    def announce(state: RetryCallState) -> None:
        wait_seconds = state.next_action.sleep if state.next_action else 0.0
        error = str(_failure(state))
        sink(RetryScheduled(action=action, error=error, attempt=state.attempt_number, wait=wait_seconds))

    return Retrying(
        stop=attempts | stop_before_delay(policy.deadline) if policy.deadline else attempts,
        wait=wait,
        retry=retry_if_exception(is_temporary),
        before_sleep=announce,
        sleep=sleep,
        reraise=True,
    )


def is_temporary(error: BaseException) -> bool:
    """True for an error that a later try may not meet, and that may be tried again soon enough."""
    return isinstance(error, Error) and error.retryable and _retry_after(error) <= LONGEST_RETRY_AFTER


def _failure(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _retry_after(error: BaseException | None) -> float:
    return getattr(error, "retry_after", None) or 0.0
