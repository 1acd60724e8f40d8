"""Try again, but not for ever."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TypeVar

from llama_operator.stage.context import Context
from llama_operator.stage.failures import Failure, Transient

T = TypeVar("T")
_PROGRESS = 1 << 20
"""Bytes that must be new for the tries to count anew. It bounds them: a file has only so many."""


def persist(operation: Callable[[], T], context: Context, reached: Callable[[], int] = lambda: 0) -> T:
    """Run `operation` until it succeeds; `reached` tells how many bytes it has ever got to.

    Raises `Failure`, with the last try's reason, after `attempts` tries in a row that brought nothing new.
    """
    policy = context.policy
    failures, mark = 0, reached()
    while True:
        try:
            return operation()
        except Transient as error:
            if reached() >= mark + _PROGRESS:
                failures, mark = 0, reached()
            failures += 1
            if failures >= policy.attempts:
                message = f"{error.message}; tried {failures} times, will be tried again"
                raise Failure(error.reason, message) from error
            pause = _pause(context, failures, error.retry_after)
            context.log(f"{error.message}; trying again in {pause:.0f} s ({failures} of {policy.attempts} tries)")
        context.sleep(pause)


def _pause(context: Context, failures: int, retry_after: float | None) -> float:
    """Doubling, and spread by up to a half, so that pods which failed together do not come back together."""
    policy = context.policy
    if retry_after is not None:
        return min(retry_after, policy.longest_retry_after)
    doubled = min(policy.first_pause * 2.0 ** (failures - 1), policy.longest_pause)
    return doubled * random.uniform(0.5, 1.0)
