"""How often a server is looked at for which somebody waits."""

from __future__ import annotations

import pytest

from llama_operator.sidecar.watch import young


def looks(seconds: float) -> list[float]:
    """When it is looked at, if it answers after so many seconds."""
    times = [0.0]
    while times[-1] < seconds:
        times.append(times[-1] + young(times[-1]))
    return times


@pytest.mark.parametrize(("ready", "late"), [(0.1, 0.051), (1.0, 0.051), (4.0, 0.21), (10.0, 0.51), (1800.0, 0.51)])
def test_a_start_is_found_out_late_by_little_of_what_it_has_taken(ready: float, late: float) -> None:
    assert looks(ready)[-1] - ready <= late


def test_a_long_start_costs_two_looks_a_second_and_a_few_more() -> None:
    assert len(looks(1800.0)) <= 2 * 1800 + 60
