"""Kubernetes events: one for each transition that somebody wants to know about, none for what stays."""

from __future__ import annotations

import pytest

from llama_operator.api import conditions
from llama_operator.api.conditions import Reason, Type
from llama_operator.reconcile.events import PROBLEMS, Event, transitions
from tests.unit.reconcile.case import Case
from tests.unit.reconcile.cases import CASES, judge
from tests.unit.reconcile.pairs import pairs

T0 = "2026-11-24T02:00:00Z"


def status(*wanted: tuple[Type, bool, Reason]) -> dict[str, object]:
    new = [conditions.condition(type_, good, reason, f"about {reason}") for type_, good, reason in wanted]
    return {"conditions": conditions.merge([], new, generation=1, now=T0)}


WAITING = status((Type.READY, False, Reason.STAGING), (Type.STAGED, False, Reason.STAGING))
READY = status((Type.READY, True, Reason.READY), (Type.STAGED, True, Reason.STAGED))
MISMATCH = status(
    (Type.READY, False, Reason.DIGEST_MISMATCH),
    (Type.STAGED, False, Reason.DIGEST_MISMATCH),
    (Type.STALLED, True, Reason.DIGEST_MISMATCH),
)


def test_waiting_is_no_event() -> None:
    assert transitions({}, WAITING) == []


def test_what_became_good_is_normal() -> None:
    assert transitions(WAITING, READY) == [
        Event("Normal", "Ready", "about Ready"),
        Event("Normal", "Staged", "about Staged"),
    ]


def test_that_it_is_available_and_exposed_is_part_of_ready() -> None:
    """Two events for a model that goes well, not four: each is a write."""
    parts = status((Type.AVAILABLE, True, Reason.AVAILABLE), (Type.EXPOSED, True, Reason.EXPOSED))
    assert transitions(WAITING, parts) == []


def test_one_cause_in_several_conditions_is_one_warning() -> None:
    assert transitions(WAITING, MISMATCH) == [Event("Warning", "DigestMismatch", "about DigestMismatch")]


def test_another_problem_is_another_warning() -> None:
    other = status((Type.READY, False, Reason.NOT_FOUND), (Type.STAGED, False, Reason.NOT_FOUND))
    assert transitions(MISMATCH, other) == [Event("Warning", "NotFound", "about NotFound")]


def test_another_message_is_no_event() -> None:
    """Messages carry counts and log lines; an event for each of them would bury the others."""
    other = conditions.condition(Type.READY, False, Reason.DIGEST_MISMATCH, "in other words")
    changed = {"conditions": conditions.merge([], [other], generation=1, now=T0)}
    assert transitions(MISMATCH, changed) == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_stays_is_no_event(case: Case) -> None:
    assert transitions(judge(case), judge(case)) == []


def test_a_new_problem_is_always_told_and_only_once() -> None:
    for before, after in pairs():
        old, new = judge(before), judge(after)
        events = transitions(old, new)
        assert len({event.reason for event in events}) == len(events)
        for event in events:
            assert event.type == ("Warning" if event.reason in PROBLEMS else "Normal")
        was, now = (next(c for c in s["conditions"] if c["type"] == "Ready")["reason"] for s in (old, new))
        if was != now and now in PROBLEMS:
            assert now in {event.reason for event in events if event.type == "Warning"}, (before.name, after.name)
