"""`retries` and `backoff` of an entry as a RetryPolicy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from executor.errors import UsageError
from executor.spec import RetryPolicy

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def retry_policy(value: Mapping[str, Any], retries: int) -> RetryPolicy:
    """The policy that `value`, whose shape is right, asks for; `retries` where it does not say how many.

    Raises UsageError when the first wait is longer than the longest.
    """
    backoff = value.get("backoff", {})
    times = backoff if isinstance(backoff, dict) else {"initial": backoff}
    usual = RetryPolicy()
    initial = float(times.get("initial", usual.initial_wait))
    longest = float(times.get("max", max(initial, usual.max_wait)))
    if initial > longest:
        raise UsageError("`initial` is longer than `max`", hint="no wait is longer than `max`")
    return RetryPolicy(retries=int(value.get("retries", retries)), initial_wait=initial, max_wait=longest)


def seconds(text: str) -> float:
    """The seconds of a number and s, m, h or d, as `30m`."""
    return float(int(text[:-1]) * _SECONDS[text[-1]])
