"""A server that works, or only may be working, is never judged to hang; one that hangs is, in time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_operator.sidecar.judge import (
    COMPUTES_SECONDS,
    LOADING,
    LOOK_SECONDS,
    NOBODY,
    Activity,
    Patience,
    Process,
    Seen,
    State,
    Thread,
    judge,
    verdict,
)

PATIENCE = Patience(waiting=40.0, computing=3600.0)
SERVER = Process(7, 1000)
IDLE, BUSY = Activity(0, (1.0,)), Activity(1, (1.0,))

HANGS = Seen(0.0, 200, True, BUSY, Thread(SERVER, 5.0))
"""Looks like this one after the other are a wedge: busy, nothing counted, no CPU time."""
SILENT = replace(HANGS, health=None, activity=None)
"""As of a stopped process, or of an older engine that tells nothing while it computes."""


def states(looks: list[Seen], pause: float = LOOK_SECONDS) -> Iterator[State]:
    state = State(0.0)
    for number, seen in enumerate(looks):
        state = judge(state, replace(seen, at=number * pause))
        yield state


def hangs(looks: list[Seen], pause: float = LOOK_SECONDS) -> bool:
    """Whether it would have been ended at any of these looks."""
    return any(verdict(state, PATIENCE) for state in states(looks, pause))


@pytest.mark.parametrize("seen", [HANGS, SILENT, replace(HANGS, health=401)])
def test_a_blocked_engine_is_found_in_time_and_not_before(seen: Seen) -> None:
    within = int(PATIENCE.waiting / LOOK_SECONDS)
    assert not hangs([seen] * within)
    assert hangs([seen] * (within + 2))


def test_a_wedge_after_good_times_is_found_as_fast() -> None:
    good = [replace(HANGS, activity=Activity(1, (float(n),)), thread=Thread(SERVER, n * 3.0)) for n in range(100)]
    last = replace(good[-1], at=0.0)
    assert hangs([*good, *[last] * 8])
    assert not hangs([*good, *[last] * 7])


def test_an_engine_that_spins_is_given_more_time() -> None:
    def spins(looks: int) -> list[Seen]:
        return [replace(HANGS, thread=Thread(SERVER, n * 5.0)) for n in range(looks)]

    assert not hangs(spins(700))
    assert "used CPU time, and did not get on" in verdict(list(states(spins(730)))[-1], PATIENCE)


def test_requests_that_an_http_thread_takes_in_are_no_sign_of_life() -> None:
    """The main thread is what counts; and of its time, more than a waking up now and then."""
    looks = [replace(HANGS, thread=Thread(SERVER, 5.0 + n * 0.001)) for n in range(11)]
    assert hangs(looks)


@pytest.mark.parametrize(
    "seen",
    [
        replace(HANGS, activity=IDLE),
        replace(HANGS, thread=Thread(SERVER, 5.0, disk=True)),
        replace(HANGS, health=LOADING, activity=None),
        replace(HANGS, health=NOBODY, activity=None),
        replace(HANGS, tells=False, activity=None),
        replace(HANGS, thread=None),
        replace(SILENT, thread=None),
    ],
    ids=["idle", "waits for a disk", "loads", "does not run", "does not tell", "is not seen", "nothing is known"],
)
def test_what_is_no_hang_never_becomes_one(seen: Seen) -> None:
    assert not hangs([seen] * 700)


def test_a_server_that_does_not_tell_is_judged_by_its_health_alone() -> None:
    assert hangs([replace(SILENT, tells=False)] * 11)


def test_another_process_begins_anew() -> None:
    assert not hangs([HANGS] * 8 + [replace(HANGS, thread=Thread(Process(8, 2000), 0.1))] * 8)


def test_a_pause_of_the_machine_is_no_evidence() -> None:
    """The looks count, and not what a clock says was between them."""
    assert not hangs([HANGS] * 4, pause=3600.0)
    assert hangs([HANGS] * 6, pause=3600.0)


def test_looks_in_quick_succession_are_not_more_evidence() -> None:
    assert not hangs([HANGS] * 79, pause=0.5)


SIGNS = st.sampled_from(["counts", "computes", "idle"])


@given(st.lists(st.tuples(SIGNS, st.integers(0, 7)), min_size=1, max_size=30), st.booleans())
def test_whoever_gets_on_or_computes_now_and_then_does_not_hang(steps: list[tuple[str, int]], silent: bool) -> None:
    """Whatever it does for up to seven looks in between."""
    looks, counted, seconds = [HANGS], 1.0, 5.0
    for sign, between in steps:
        counted += sign == "counts"
        seconds += COMPUTES_SECONDS * 1.01 if sign == "computes" else 0.0
        thread, activity = Thread(SERVER, seconds), Activity(sign != "idle", (counted,))
        looks.append(replace(HANGS, activity=None if sign == "computes" and silent else activity, thread=thread))
        quiet = None if silent else Activity(1, (counted,))
        looks += [replace(HANGS, activity=quiet, thread=thread, health=None if silent else 200)] * between
    assert not hangs(looks)


@given(st.lists(st.sampled_from([HANGS, SILENT]), min_size=11, max_size=30))
def test_whoever_does_neither_hangs(looks: list[Seen]) -> None:
    """In whatever way it is silent. (The first answer may be news.)"""
    assert hangs([HANGS, *looks])


@given(
    st.lists(
        st.builds(
            Seen,
            at=st.just(0.0),
            health=st.sampled_from([None, 0, 200, 401, 503]),
            tells=st.booleans(),
            activity=st.sampled_from([None, IDLE, BUSY]),
            thread=st.none(),
        ),
        max_size=60,
    )
)
def test_nobody_is_ended_who_is_not_seen(looks: list[Seen]) -> None:
    assert not hangs(looks)
