"""Messages stay as they are while nothing new has been found."""

from __future__ import annotations

import pytest

from llama_operator.api.conditions import MESSAGE_LIMIT, Reason, Type, condition
from llama_operator.reconcile.finding import Finding, steady


def told(message: str, reason: Reason = Reason.SERVER_CRASHED) -> dict[str, str]:
    return condition(Type.READY, False, reason, message)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("0.01.234 E out of memory at 0x7f00", "0.02.001 E out of memory at 0x7f01"),
        ('sandbox "0b1c2d3e4f5a": no', 'sandbox "ffffeeee0000": no'),
        ("pvc 5c1f6a52-0a4e-4f0e-9a51-3d7a8a4e9c11", "pvc 00000000-0a4e-4f0e-9a51-3d7a8a4e9c12"),
        ("x" * 3000 + "1", "x" * 3000 + "2"),
    ],
    ids=["numbers", "container id", "uid", "beyond the limit"],
)
def test_other_numbers_are_no_news_in_a_quotation(old: str, new: str) -> None:
    kept = steady(Finding(Reason.SERVER_CRASHED, new, quotes=True), told(old))
    assert kept.message == old[:MESSAGE_LIMIT]


def test_other_numbers_are_news_in_our_own_words() -> None:
    """How many servers answer, for example."""
    new = Finding(Reason.ROLLING_OUT, "2 of 3")
    assert steady(new, told("1 of 3", Reason.ROLLING_OUT)) == new


def test_other_words_are_news() -> None:
    new = Finding(Reason.SERVER_CRASHED, "another", quotes=True)
    assert steady(new, told("one")) == new


def test_another_reason_is_news_even_with_the_same_words() -> None:
    new = Finding(Reason.OUT_OF_MEMORY, "one", quotes=True, vague=True)
    assert steady(new, told("1")) == new
    assert steady(new, {}) == new


def test_who_knows_less_keeps_what_was_known() -> None:
    vague = Finding(Reason.IMAGE_PULL_FAILED, "cannot be pulled", vague=True)
    assert steady(vague, told("cannot be pulled: no such host", Reason.IMAGE_PULL_FAILED)).message.endswith(
        "no such host"
    )
