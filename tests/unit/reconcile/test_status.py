"""The status of a model, from its children and pods as they really look."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from llama_operator.api.conditions import Reason
from llama_operator.reconcile.status import Failure, Observed, compute
from tests.unit.reconcile.cases import CASES, CRASHED, INGRESS, NOW, SOON, Case, by_type, judge, pairs
from tests.unit.reconcile.objects import CREATED, REPORT, answering, observed
from tests.unit.resources.models import raw


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_reasons(case: Case) -> None:
    found = by_type(judge(case))
    told = [found.pop(type_)["reason"] for type_ in ("Ready", "Staged", "Available", "Exposed")]
    assert " ".join([*told, *found]) == case.reasons


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_conditions_agree_with_each_other(case: Case) -> None:
    found = by_type(judge(case))
    good = {"Ready": "Ready", "Staged": "Staged", "Available": "Available", "Exposed": "Exposed"}
    for type_, reason in good.items():
        assert found[type_]["status"] == str(found[type_]["reason"] == reason)
    ready = found["Ready"]
    if ready["status"] == "True":
        assert all(found[type_]["status"] == "True" for type_ in good)
        assert len(found) == len(good), "Ready, and still Reconciling or Stalled"
    for type_ in found.keys() - good.keys():
        assert (found[type_]["status"], found[type_]["reason"]) == ("True", ready["reason"])
    assert case.words in ready["message"]
    assert all(c["message"] for c in found.values()), "every condition has a message for a person"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_computing_again_changes_nothing(case: Case) -> None:
    """Otherwise the operator would write for ever."""
    first = judge(case)
    untouched = copy.deepcopy(case)
    assert judge(case, old=first, now=SOON) == first
    assert case == untouched, "computing changed its input"


def test_every_reason_can_be_reached() -> None:
    """The list is closed: a reason that no case reaches is either dead or untested."""
    reached = {c["reason"] for case in CASES for c in judge(case)["conditions"]}
    assert reached == {str(reason) for reason in Reason}


def test_last_transition_time_moves_only_when_the_status_flips() -> None:
    for before, after in pairs():
        old = judge(before)
        new = by_type(judge(after, old=old, now=SOON))
        for type_, c in new.items():
            previous = by_type(old).get(type_)
            stayed = previous is not None and previous["status"] == c["status"]
            assert c["lastTransitionTime"] == (NOW if stayed else SOON), (before.name, after.name, type_)


def test_numbers_and_addresses() -> None:
    status = judge(next(c for c in CASES if c.name == "Ingress taken up"))
    assert {key: value for key, value in status.items() if key != "conditions"} == {
        "observedGeneration": 1,
        "replicas": 1,
        "readyReplicas": 1,
        "selector": "llama-operator.dev/model=tiny",
        "url": "http://tiny.default.svc:8000",
        "ingressURL": "http://a.example.com",
        "model": REPORT,
    }


def test_what_was_found_in_the_file_stays_known() -> None:
    """Pods come and go; while the next one stages, the file is still what it was."""
    old = judge(next(c for c in CASES if c.name == "answers"))
    assert judge(next(c for c in CASES if c.name == "no pod yet"), old=old)["model"] == REPORT


def test_a_spec_that_cannot_be_read_has_no_address() -> None:
    manifest = raw(replicas="two")
    status = compute(manifest, Observed(), Failure(Reason.INVALID, "spec.replicas: Expected `int`"), NOW)
    assert "url" not in status
    assert by_type(status)["Stalled"]["reason"] == "Invalid"


def test_pods_on_their_way_out_do_not_count() -> None:
    leaving = copy.deepcopy(CRASHED)
    leaving["metadata"] |= {"name": "tiny-a", "deletionTimestamp": CREATED}
    assert by_type(compute(raw(), observed([leaving, answering()]), None, NOW))["Ready"]["status"] == "True"


def test_pods_of_others_do_not_count_before_the_deployment_is_there() -> None:
    """They carry the label, but not the hash of the template."""
    foreign = answering()
    del foreign["metadata"]["annotations"]
    assert by_type(compute(raw(), Observed([], [foreign]), None, NOW))["Staged"]["status"] == "False"


def test_children_of_another_owner_do_not_count() -> None:
    seen = observed([answering()])
    for child in seen.children:
        child["metadata"]["ownerReferences"][0]["uid"] = "the model of this name before"
    found = by_type(compute(raw(), seen, None, NOW))
    assert found["Exposed"]["reason"] == "ServiceMissing"
    assert found["Ready"]["status"] == "False"


def test_the_message_names_the_ingress_class() -> None:
    with_class: dict[str, Any] = {"ingress": {"host": "a", "className": "traefik"}}
    told = by_type(compute(raw(**with_class), observed([answering()], **with_class), None, NOW))["Exposed"]["message"]
    assert "IngressClass traefik" in told
    told = by_type(compute(raw(**INGRESS), observed([answering()], **INGRESS), None, NOW))["Exposed"]["message"]
    assert "spec.ingress.className is not set" in told
