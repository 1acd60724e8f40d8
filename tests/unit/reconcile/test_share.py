"""How far a stager is, as the status tells it."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_operator.api.staging import Progress
from llama_operator.reconcile import share
from llama_operator.reconcile.respondents import Respondent
from llama_operator.reconcile.status import Observed, asked, compute
from tests.unit.reconcile.cases import NOW
from tests.unit.reconcile.cases_ahead import NEW, held, of_job
from tests.unit.reconcile.objects import Object, answering, observed, stage_failed, staging
from tests.unit.resources.models import raw

HALF = Progress("downloading", "model", 4_321_987_654, 10_000_000_000, 123_456_789)


def told(found: Observed, progress: Progress | None, **spec: Any) -> Object:
    return compute(raw(**spec), Observed(found.children, found.pods, {}, progress), None, NOW)


def test_numbers_are_rounded() -> None:
    assert share.staging(HALF) == {
        "role": "model",
        "bytes": 4_300_000_000,
        "total": 10_000_000_000,
        "rate": 120_000_000,
        "eta": 47,
    }


def test_of_what_nobody_knows_nothing_is_told() -> None:
    assert share.staging(Progress("asking", "adapter/a")) == {"role": "adapter/a", "bytes": 0, "rate": 0}


def test_the_end_is_told_as_such() -> None:
    assert share.staging(Progress("checking", "model", 12_345, 12_345))["bytes"] == 12_345


@given(st.integers(0, 2**53), st.integers(0, 2**53), st.integers(0, 2**53))
def test_a_share_is_never_more_than_there_is(done: int, total: int, rate: int) -> None:
    progress = Progress("downloading", "model", min(done, total) if total else done, total, rate)
    shown = share.staging(progress)
    assert 0 <= shown["bytes"] <= progress.bytes
    assert 0 <= shown["rate"] <= rate
    assert shown.get("eta", 0) >= 0
    assert progress.bytes - shown["bytes"] <= max(progress.total // 100, 1 if total else progress.bytes // 10)


@pytest.mark.parametrize("found", [observed([staging()]), held(of_job(staging()))], ids=["beside", "ahead"])
def test_the_status_tells_it_while_somebody_stages(found: Observed) -> None:
    spec = NEW if len(found.pods) > 1 else {}
    status = told(found, HALF, **spec)
    assert (status["state"], status["staging"]["bytes"]) == ("Staging 43%", 4_300_000_000)


def test_a_few_bytes_more_are_no_news() -> None:
    more = Progress("downloading", "model", HALF.bytes + 10**6, HALF.total, HALF.rate + 10**6)
    assert told(observed([staging()]), HALF) == told(observed([staging()]), more)


def test_it_ends_with_the_staging() -> None:
    status = told(observed([answering()]), HALF)
    assert (status["state"], "staging" in status) == ("Ready", False)


def test_nothing_is_told_without_an_answer() -> None:
    status = told(observed([staging()]), None)
    assert (status["state"], "staging" in status) == ("Staging", False)


def test_a_model_that_is_stalled_says_so() -> None:
    assert told(observed([stage_failed("DigestMismatch")]), None)["state"] == "Stalled: DigestMismatch"


def test_who_is_asked() -> None:
    """The pod that stages for the spec: of the Job while there is one, else a server's."""
    beside = staging(podIP="10.0.0.1")
    ahead = of_job(staging(podIP="10.0.0.2"))
    ahead["metadata"]["uid"] = "uid-ahead"
    found = observed([beside])
    assert [pod.address for pod in asked(raw(), found)[0]] == ["10.0.0.1"]
    found = held(ahead, server=beside)
    assert asked(raw(**NEW), found)[0] == [Respondent("uid-ahead", "10.0.0.2")]


@pytest.mark.parametrize("pod", [answering(podIP="10.0.0.1"), staging(), staging(podIP="10.0.0.1", phase="Failed")])
def test_nobody_else_is_asked(pod: Object) -> None:
    assert asked(raw(), observed([copy.deepcopy(pod)]))[0] == []
