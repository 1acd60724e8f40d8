"""Conditions and their times."""

from __future__ import annotations

from llama_operator.api import conditions
from llama_operator.api.conditions import MESSAGE_LIMIT, Reason, Type, condition, merge
from llama_operator.stage import failures

THEN, NOW = "2026-11-24T02:00:00Z", "2026-11-24T03:00:00Z"


def test_last_transition_time_moves_only_when_the_status_flips() -> None:
    old = merge([], [condition(Type.READY, False, Reason.STAGING, "a")], generation=1, now=THEN)
    other = merge(old, [condition(Type.READY, False, Reason.STARTING, "b")], generation=2, now=NOW)
    assert [c["lastTransitionTime"] for c in other] == [THEN]
    assert [c["observedGeneration"] for c in other] == [2]
    flipped = merge(other, [condition(Type.READY, True, Reason.READY, "c")], generation=2, now=NOW)
    assert [c["lastTransitionTime"] for c in flipped] == [NOW]


def test_merging_the_same_again_changes_nothing() -> None:
    new = [condition(Type.READY, True, Reason.READY, "a"), condition(Type.STAGED, True, Reason.STAGED, "b")]
    old = merge([], new, generation=1, now=THEN)
    assert merge(old, new, generation=1, now=NOW) == old


def test_a_condition_that_is_not_computed_any_more_goes() -> None:
    old = merge([], [condition(Type.STALLED, True, Reason.INVALID, "a")], generation=1, now=THEN)
    assert merge(old, [], generation=1, now=NOW) == []


def test_messages_are_cut() -> None:
    assert len(condition(Type.READY, False, Reason.SERVER_CRASHED, "x" * 9999)["message"]) == MESSAGE_LIMIT


def test_the_stager_and_the_operator_know_the_same_failures() -> None:
    """The stager stands alone and has its own list; the operator repeats its reasons word for word."""
    assert {str(reason) for reason in failures.Reason} == {str(reason) for reason in conditions.STAGING_FAILURES}
