"""How many connections: found by climbing, on a line that is simulated."""

from __future__ import annotations

from collections.abc import Callable

from llama_operator.stage.context import Context, Policy
from llama_operator.stage.transfer.pace import Pace

MIB = 1 << 20


def climb(rate: Callable[[int], float], seconds: float, policy: Policy | None = None) -> list[int]:
    """The numbers wanted, one after another, where so many connections bring `rate` bytes per second together."""
    now, present, wanted = 0.0, 0.0, [1]
    pace = Pace(Context(monotonic=lambda: now, policy=policy or Policy()))
    while now < seconds:
        now += 0.01
        present += rate(wanted[-1]) * 0.01
        found = pace.look(int(present))
        if found != wanted[-1]:
            wanted.append(found)
    return wanted


def test_a_line_with_delay_gets_as_many_as_allowed() -> None:
    assert climb(lambda connections: connections * 70 * MIB, 20) == [1, 2, 4, 8]


def test_a_full_line_gets_one_and_is_tried_again_less_and_less() -> None:
    assert climb(lambda connections: 100 * MIB, 5) == [1, 2, 1]
    assert climb(lambda connections: 100 * MIB, 9) == [1, 2, 1, 2, 1]
    assert climb(lambda connections: 100 * MIB, 250) == [1] + [2, 1] * 6


def test_a_line_that_is_full_with_four_gets_four() -> None:
    assert climb(lambda connections: min(connections * 70, 300) * MIB, 7) == [1, 2, 4, 8, 4]


def test_a_connection_as_fast_as_the_machine_is_enough() -> None:
    assert climb(lambda connections: connections * 300 * MIB, 100) == [1]


def test_a_server_that_refuses_is_not_asked_for_more() -> None:
    now = 0.0
    pace = Pace(Context(monotonic=lambda: now))
    pace.wanted = 4
    pace.refused()
    pace.refused()
    for _ in range(10_000):
        now += 0.1
        assert pace.look(int(now * now * MIB)) == 2


def test_there_is_always_one() -> None:
    pace = Pace(Context(monotonic=lambda: 0.0))
    pace.refused()
    assert pace.look(0) == 1
