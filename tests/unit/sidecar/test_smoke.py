"""When a server counts as one that answers."""

from __future__ import annotations

from typing import get_args

import pytest

from llama_operator.api.sidecar import Mode
from llama_operator.sidecar.client import Reply
from llama_operator.sidecar.smoke import smoke
from tests.unit.sidecar.stand_in import StandIn, metrics

ANSWER = Reply(200, b"{}")


@pytest.mark.parametrize("mode", get_args(Mode))
def test_each_mode_is_asked_for_what_it_does(mode: Mode) -> None:
    client = StandIn(metrics=[metrics()], completion=[ANSWER], embedding=[ANSWER], rerank=[ANSWER])
    assert smoke(client, mode) == ""
    assert client.asked[1][0] == {"chat": "/completion"}.get(mode, f"/{mode}")
    assert client.asked[1][1]


def test_one_token_is_enough_and_leaves_nothing_in_the_cache() -> None:
    client = StandIn(metrics=[metrics()], completion=[ANSWER])
    smoke(client, "chat")
    assert client.asked[1][1]["n_predict"] == 1
    assert client.asked[1][1]["cache_prompt"] is False


def test_a_server_that_has_worked_before_is_not_asked_again() -> None:
    """The sidecar was started again beside a server that may be busy for long, or asleep."""
    client = StandIn(metrics=[metrics(decoded=3)])
    assert smoke(client, "chat") == ""


@pytest.mark.parametrize("refused", [None, Reply(0), Reply(401), Reply(501)])
def test_metrics_that_are_not_told_do_not_matter(refused: Reply | None) -> None:
    assert smoke(StandIn(metrics=[refused], completion=[ANSWER]), "chat") == ""


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (None, "no answer to a first chat request within 1800 s"),
        (Reply(0), "the connection was closed at a first chat request"),
        (Reply(500, b"secret"), "a first chat request was answered with HTTP 500"),
        (Reply(503), "HTTP 503"),
        (Reply(400), ""),
        (Reply(401), ""),
        (Reply(501), ""),
    ],
)
def test_what_is_no_answer(reply: Reply | None, words: str) -> None:
    told = smoke(StandIn(metrics=[metrics()], completion=[reply]), "chat")
    assert (words in told) if words else told == ""
    assert "secret" not in told
