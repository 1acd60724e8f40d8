"""When a drain is over."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from llama_operator.sidecar.client import Reply
from llama_operator.sidecar.drain import HEARD_SECONDS, PAUSE_SECONDS, drain
from tests.unit.sidecar.stand_in import StandIn, metrics

BUSY, QUEUED, IDLE = metrics(processing=1), metrics(deferred=1), metrics()


@dataclass
class Clock:
    now: float = 0.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def drained(*replies: Reply | None, serves: bool = True, seconds: float = 285.0) -> tuple[str, float]:
    """What it came to, and after how many seconds."""
    clock = Clock()
    return drain(StandIn(metrics=[*replies]), lambda: serves, seconds, clock.sleep, clock), clock.now


def test_an_idle_server_waits_until_others_have_heard() -> None:
    assert drained(IDLE) == ("nothing is in flight", HEARD_SECONDS + PAUSE_SECONDS)


@pytest.mark.parametrize("busy", [BUSY, QUEUED, None])
def test_what_is_in_flight_or_queued_is_waited_for(busy: Reply | None) -> None:
    outcome, seconds = drained(*[busy] * 60, IDLE)
    assert outcome == "nothing is in flight"
    assert seconds == HEARD_SECONDS + 61 * PAUSE_SECONDS


def test_one_quiet_moment_is_not_the_end() -> None:
    assert drained(IDLE, BUSY, IDLE, BUSY, IDLE)[1] == HEARD_SECONDS + 5 * PAUSE_SECONDS


def test_it_is_over_in_time_for_an_orderly_end() -> None:
    outcome, seconds = drained(BUSY, seconds=15.0)
    assert outcome == "requests were still in flight after 15 s"
    assert seconds == 15.0


def test_a_server_that_does_not_serve_is_not_waited_for() -> None:
    assert drained(BUSY, serves=False) == ("the server does not serve", 0.0)


@pytest.mark.parametrize("reply", [Reply(401), Reply(501), Reply(200, b"?")])
def test_a_server_that_does_not_tell_is_given_the_time_that_others_need(reply: Reply) -> None:
    assert drained(reply) == ("the server does not tell what is in flight", HEARD_SECONDS)
