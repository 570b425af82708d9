"""Trying again: what is temporary, how long to wait, when to give up, and telling the user about it.

Waits follow exponential backoff with full jitter, so that many builds that failed together do not return together.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from executor import hangup
from executor.errors import Error
from executor.events import RetryScheduled, Sink
from executor.spec import RetryPolicy

if TYPE_CHECKING:
    import tenacity
    from tenacity import RetryCallState

_T = TypeVar("_T")

LONGEST_RETRY_AFTER = 300.0
"""Seconds. A registry that asks for a longer pause has failed as far as a build is concerned."""


class Retrying:
    """Calls functions, and again on retryable errors: `Retrying(policy, sink, "pull x")(function, …)`.

    The last error is raised as it is. A Retry-After of the registry is waited for, whatever the backoff says, but
    one of more than `LONGEST_RETRY_AFTER` ends the tries. Each wait is announced as RetryScheduled. tenacity is
    not even imported before something has failed.
    """

    def __init__(
        self, policy: RetryPolicy, sink: Sink, action: str, *, sleep: Callable[[float], None] = hangup.pause
    ) -> None:
        self._policy = policy
        self._sink = sink
        self._action = action
        self._sleep = sleep

    def __call__(self, function: Callable[..., _T], *arguments: Any, **named: Any) -> _T:
        """What the function returns."""
        began = time.monotonic()
        try:
            return function(*arguments, **named)
        except Error as error:
            if not self._policy.retries or not is_temporary(error):
                raise
            failed = [error]

        def attempt() -> _T:
            if failed:  # the first try of tenacity's is the one that was made
                raise failed.pop()
            return function(*arguments, **named)

        return self._tries(time.monotonic() - began)(attempt)

    def _tries(self, spent: float) -> tenacity.Retrying:
        """What tries again, `spent` seconds after the first try began."""
        import tenacity

        policy = self._policy
        backoff = tenacity.wait_random_exponential(multiplier=policy.initial_wait, max=policy.max_wait)
        attempts = tenacity.stop_after_attempt(policy.retries + 1)

        def wait(state: RetryCallState) -> float:
            return max(backoff(state), _retry_after(_failure(state)))

        def announce(state: RetryCallState) -> None:
            wait_seconds = state.next_action.sleep if state.next_action else 0.0
            error = str(_failure(state))
            self._sink(
                RetryScheduled(action=self._action, error=error, attempt=state.attempt_number, wait=wait_seconds)
            )

        return tenacity.Retrying(
            stop=attempts | tenacity.stop_before_delay(policy.deadline - spent) if policy.deadline else attempts,
            wait=wait,
            retry=tenacity.retry_if_exception(is_temporary),
            before_sleep=announce,
            sleep=self._sleep,
            reraise=True,
        )


def is_temporary(error: BaseException) -> bool:
    """True for an error that a later try may not meet, and that may be tried again soon enough."""
    temporary = isinstance(error, Error) and error.retryable and _retry_after(error) <= LONGEST_RETRY_AFTER
    return temporary and not hangup.is_over()


def _failure(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _retry_after(error: BaseException | None) -> float:
    return getattr(error, "retry_after", None) or 0.0
