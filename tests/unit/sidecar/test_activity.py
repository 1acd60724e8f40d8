"""What is read from llama-server's own words. The texts are those of build 11669, shortened."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from llama_operator.sidecar import activity
from llama_operator.sidecar.judge import Activity

METRICS = b"""\
# HELP llamacpp:prompt_tokens_total Number of prompt tokens processed, excluding cached tokens
# TYPE llamacpp:prompt_tokens_total counter
llamacpp:prompt_tokens_total 2
# TYPE llamacpp:tokens_predicted_total counter
llamacpp:tokens_predicted_total 1.23457e+06
llamacpp:n_decode_total 191
llamacpp:predicted_tokens_seconds 92.4
llamacpp:requests_processing 1
llamacpp:requests_deferred 12
llamacpp:spec_decode_num_accepted_tokens_per_pos_total{position="0"} 7
"""


def slot(**more: Any) -> dict[str, Any]:
    return {"id": 0, "n_ctx": 4096, "speculative": False, "is_processing": True, **more}


def test_metrics() -> None:
    """Averages are no progress: they move with the time of asking."""
    assert activity.of_metrics(METRICS) == Activity(13, (191.0, 2.0, 1234570.0))
    assert activity.of_metrics(METRICS.replace(b"92.4", b"0.1")) == activity.of_metrics(METRICS)
    assert activity.of_metrics(METRICS.replace(b"191", b"192")) != activity.of_metrics(METRICS)


def test_slots() -> None:
    token = [{"has_next_token": True, "n_remain": -1, "n_decoded": 190}]
    at_work = slot(id_task=2, n_prompt_tokens_processed=5, next_token=token, params={"seed": 1})
    idle = slot(is_processing=False)
    assert activity.of_slots(json.dumps([at_work, idle]).encode()) == Activity(1, (2, 5, 190, -1, 0, 0))
    # As older builds tell it.
    assert activity.of_slots(json.dumps([slot(next_token={"n_decoded": 3})]).encode()) == Activity(1, (-1, 0, 3))


def test_who_has_worked() -> None:
    assert activity.has_worked(METRICS)
    assert not activity.has_worked(METRICS.replace(b"n_decode_total 191", b"n_decode_total 0"))
    assert not activity.has_worked(b"")


@given(
    st.binary(max_size=200) | st.sampled_from([b"{}", b"[]", b"[1]", b'[{"id":1}]', b"llamacpp:requests_processing x"])
)
def test_what_cannot_be_read_is_nothing(body: bytes) -> None:
    assert activity.of_metrics(body) is None
    assert activity.of_slots(body) in (None, Activity(0, ()))
