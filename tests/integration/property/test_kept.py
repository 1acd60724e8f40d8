"""What has failed once, and what few random sequences meet. Each of the first says what was wrong."""

from __future__ import annotations

import pytest

from tests.integration.engine.proxy import Fault
from tests.integration.property.conftest import Play
from tests.integration.property.models import PLAIN, Object, full
from tests.integration.property.steps import (
    Apply,
    Blind,
    Delete,
    DeleteChild,
    Down,
    EditChild,
    Fail,
    KillAtWrite,
    Let,
    Recreate,
    Rest,
    Restart,
    RestartAPIServer,
    Scale,
    See,
    Sequence,
    Step,
    Up,
)

ENVIRONMENT: Object = {
    "env": [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"secretKeyRef": {"name": "b", "key": "b"}}}]
}


@pytest.mark.parametrize(
    ("kind", "edits"),
    [
        ("Deployment", ["another port", "another probe", "another hook", "another volume"]),
        (
            "Deployment",
            ["another strategy", "another seccomp profile", "environment changed", "environment from elsewhere"],
        ),
        ("Service", ["another port", "another protocol"]),
    ],
)
def test_what_a_hand_set_is_in_the_way_of_ours(play: Play, kind: str, edits: list[str]) -> None:
    """Server-side apply cannot take away what others own, and the API server refused ours beside it, for ever.

    A port renumbered by hand keeps the name that ours needs; a probe, a hook, a volume or a variable cannot be of two
    kinds; `Recreate` allows no `rollingUpdate`.
    """
    by_hand: list[Step] = [step for edit in edits for step in (EditChild("a", kind, edit), Rest())]
    play(Sequence([Apply("a", full(engine=ENVIRONMENT)), Rest(), *by_hand]))


def test_a_volume_that_was_made_another_kind(play: Play) -> None:
    """An `emptyDir: {}` that was gone counted as there, because an empty field often is."""
    play(Sequence([Apply("a", PLAIN), Rest(), EditChild("a", "Deployment", "another volume")]))


def test_variables_in_another_order(play: Play) -> None:
    """A variable may refer only to those before it, and nobody looked at their order."""
    refers = {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)"}]}
    by_hand = EditChild("a", "Deployment", "environment in another order")
    play(Sequence([Apply("a", {**PLAIN, "engine": refers}), Rest(), by_hand]))


def test_an_ingress_that_is_not_wanted_any_more_and_has_lost_its_labels(play: Play) -> None:
    """It stayed, and went on routing: lists and watches go by labels, and nobody looked for it by name."""
    without = {name: value for name, value in full().items() if name != "ingress"}
    by_hand = EditChild("a", "Ingress", "no labels")
    play(Sequence([Apply("a", full()), Rest(), Down(), by_hand, Apply("a", without), Up()]))


WITHOUT_INGRESS: Object = {name: value for name, value in full().items() if name != "ingress"}
SELDOM = 600.0
"""No list heals within the test: the operator lives by its watches and by its own retries."""


@pytest.mark.parametrize("expired", [True, False], ids=["410", "reconnected"])
def test_a_deletion_that_no_watch_told(play: Play, expired: bool) -> None:
    """Only the next full list can tell, by what it does not name."""
    lost: list[Step] = [Blind(expired), DeleteChild("a", "Service"), DeleteChild("a", "Ingress"), See()]
    play(Sequence([Apply("a", full()), Rest(), *lost]))


def test_deletions_and_edits_that_etcd_has_forgotten(play: Play) -> None:
    """The watches come again with versions that the API server itself answers with 410."""
    unseen: list[Step] = [
        Blind(expired=False),
        DeleteChild("a", "Service"),
        EditChild("a", "Deployment", "image"),
        Apply("a", WITHOUT_INGRESS),
        RestartAPIServer(compact=True),
        See(),
    ]
    play(Sequence([Apply("a", full()), Rest(), *unseen]))


def test_what_is_not_wanted_any_more_goes(play: Play) -> None:
    """An Ingress by pruning; single fields because only the hash differs. Seen happening, and found done."""
    more, less = Apply("a", full(engine=ENVIRONMENT)), Apply("a", WITHOUT_INGRESS)
    play(Sequence([more, Rest(), less, Rest(), more, Rest(), Down(), less, Up()], SELDOM))


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.LATE])
def test_each_write_of_a_creation_fails_once(play: Play, fault: Fault) -> None:
    """Four children, status, Event: the writes before the n-th are only late, so they are done."""
    sequence: list[Step] = []
    for n in range(6):
        sequence += [Fail(Fault.LATE, n), Fail(fault), Apply(f"m{n}", full(f"m{n}")), Rest()]
    play(Sequence(sequence, SELDOM))


def test_killed_at_each_write_of_a_creation(play: Play) -> None:
    sequence: list[Step] = []
    for n in range(1, 7):
        sequence += [KillAtWrite(n), Apply(f"m{n}", full(f"m{n}")), Rest()]
    play(Sequence(sequence, SELDOM))


def test_killed_at_each_write_of_a_repair(play: Play) -> None:
    """The refused apply, the patch that clears, the apply after it, the end of what the patch has made ours."""
    sequence: list[Step] = [Apply("a", full()), Rest()]
    for n in range(1, 5):
        sequence += [KillAtWrite(n), EditChild("a", "Deployment", "another probe"), Rest()]
    play(Sequence(sequence))


@pytest.mark.parametrize("requests", [1, 3, 5])
def test_the_api_server_restarts_in_the_middle_of_a_creation(play: Play, requests: int) -> None:
    play(Sequence([Apply("b", PLAIN), Rest(), Apply("a", full()), Let(requests), RestartAPIServer()]))


def test_recreated_at_once(play: Play) -> None:
    """The children of the one before are still there, and the garbage collector is about to take them."""
    again: list[Step] = [Recreate("a", WITHOUT_INGRESS), Recreate("a", full()), Rest(), Delete("a", "Foreground")]
    play(Sequence([Apply("a", full()), Rest(), *again, Apply("a", PLAIN)]))


def test_what_others_add_stays(play: Play) -> None:
    """Through a repair of other fields, a new spec, a new number of replicas and a new operator."""
    additions: list[Step] = [
        *(
            EditChild("a", kind, edit)
            for kind in ("Deployment", "Service", "Ingress")
            for edit in ("label", "annotation")
        ),
        *(EditChild("a", "Deployment", edit) for edit in ("seconds of its own", "template annotation")),
        *(EditChild("a", "Service", edit) for edit in ("port added", "session affinity")),
    ]
    writes: list[Step] = [
        EditChild("a", "Deployment", "image"),
        EditChild("a", "Service", "target"),
        EditChild("a", "Ingress", "host"),
        Rest(),
        Scale("a", 2),
        Apply("a", full(service={"port": 9000}, engine=ENVIRONMENT)),
        Rest(),
        Restart(),
    ]
    play(Sequence([Apply("a", full()), Rest(), *additions, *writes]))
