"""What has failed once. Each test says what was wrong."""

from __future__ import annotations

import pytest

from tests.integration.property.conftest import Play
from tests.integration.property.models import PLAIN, Object, full
from tests.integration.property.steps import Apply, Down, EditChild, Rest, Sequence, Step, Up

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
