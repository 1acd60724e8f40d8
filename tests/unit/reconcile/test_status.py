"""The status of a model, from its children and pods as they really look."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from llama_operator.api.conditions import Reason
from llama_operator.reconcile.evidence import Suspect
from llama_operator.reconcile.finding import Finding
from llama_operator.reconcile.status import Failure, Observed, compute, unexplained
from tests.unit.reconcile.case import Case, by_type
from tests.unit.reconcile.cases import (
    CASES,
    CLAIM,
    CRASHED,
    FOREIGN,
    INGRESS,
    NOW,
    POD,
    SOON,
    judge,
)
from tests.unit.reconcile.objects import (
    CREATED,
    FILE,
    FOUND,
    MEMORY,
    NAME,
    Object,
    answering,
    container,
    observed,
    running,
    serving,
    set_up,
    staging,
    terminated,
    unscheduled,
    unseen,
    waiting,
)
from tests.unit.reconcile.pairs import pairs
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
        assert found[type_]["status"] == str(found[type_]["reason"] in (reason, {"Staged": "FilesDiffer"}.get(type_)))
    ready, degraded = found["Ready"], found.pop("Degraded", None)
    if degraded and ready["status"] == "True":
        assert degraded["message"] in ready["message"]
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


def test_where_nothing_could_be_made_nobody_is_sent_to_look_at_pods() -> None:
    staged = by_type(compute(raw(), Observed(), Failure(Reason.INVALID, "no image"), NOW))["Staged"]
    assert staged["message"] == "there is no Deployment yet that could have pods; if it stays, Ready says why"


def test_a_rollout_that_somebody_has_paused() -> None:
    """Nothing is wrong with pods, and none is coming: only the Deployment says so."""
    seen = observed([answering(name="tiny-old", version="old")], status={"updatedReplicas": 0})
    deployment = next(child for child in seen.children if child["kind"] == "Deployment")
    deployment["spec"]["paused"] = True
    ready = by_type(compute(raw(), seen, None, NOW))["Ready"]
    assert ready["status"] == "False"
    assert "`kubectl rollout resume deployment tiny`" in ready["message"]


def test_numbers_and_addresses() -> None:
    status = judge(next(c for c in CASES if c.name == "Ingress taken up"))
    assert {key: value for key, value in status.items() if key != "conditions"} == {
        "observedGeneration": 1,
        "replicas": 1,
        "readyReplicas": 1,
        "state": "Ready",
        "selector": "llama-operator.dev/model=tiny,app.kubernetes.io/component=server",
        "url": "http://tiny.default.svc:8000",
        "ingressURL": "http://a.example.com",
        "files": [FILE],
        "model": FOUND | {"summary": "llama 7.2B Q4_K_M"},
        "memory": MEMORY,
    }


def test_what_was_found_in_the_file_stays_known() -> None:
    """Pods come and go; while the next one stages, the file is still what it was."""
    old = judge(next(c for c in CASES if c.name == "answers"))
    later = judge(next(c for c in CASES if c.name == "no pod yet"), old=old)
    assert (later["model"], later["memory"]) == (old["model"], old["memory"])
    assert old["model"] != {} != old["memory"]


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


@pytest.mark.parametrize(
    ("wanted", "given", "words"),
    [
        ("traefik", "traefik", "whose class is traefik; see that `kubectl get ingressclass` lists it"),
        (None, None, "no class, and the cluster no default one, so no controller takes it up; set spec.ingress.class"),
        (None, "nginx", "whose class is nginx"),
    ],
    ids=["wanted", "none", "given by the API server, as the default one"],
)
def test_the_message_tells_the_ingress_class(wanted: str | None, given: str | None, words: str) -> None:
    spec: dict[str, Any] = {"ingress": {"host": "a"} | ({"className": wanted} if wanted else {})}
    seen = observed([answering()], **spec)
    ingress = next(child for child in seen.children if child["kind"] == "Ingress")
    if given:
        ingress["spec"]["ingressClassName"] = given
    assert words in by_type(compute(raw(**spec), seen, None, NOW))["Exposed"]["message"]


class TestCrashLoop:
    """A server that crashes is waiting, running and terminated in turn, with other numbers each time."""

    TAIL = "0.00.{n}.123 E model needs 99{n} MiB"

    def round(self, n: int) -> list[Object]:
        ended = terminated(1, self.TAIL.format(n=n))
        states = [waiting("CrashLoopBackOff", f"back-off {n}0s"), running(), ended]
        return [observed([serving(container("llama-server", state, ended, restarts=n))]).pods[0] for state in states]

    def test_is_one_status_however_often_it_goes_round(self) -> None:
        first = compute(raw(), observed([self.round(1)[0]]), None, NOW)
        assert by_type(first)["Ready"]["reason"] == "ServerCrashed"
        for pod in [*self.round(1), *self.round(2), *self.round(7)]:
            assert compute(raw() | {"status": first}, observed([pod]), None, SOON) == first

    def test_another_failure_is_told(self) -> None:
        first = compute(raw(), observed([self.round(1)[0]]), None, NOW)
        other = serving(container("llama-server", running(), terminated(1, "E no such file"), restarts=2))
        second = compute(raw() | {"status": first}, observed([other]), None, SOON)
        assert "no such file" in by_type(second)["Ready"]["message"]


class TestEvidence:
    """What events have told stays told, by the status itself, until something else happens."""

    WORDS = f"pod {NAME} is not set up: no network; see to it"
    BLOCKED = observed([set_up()], evidence={POD: Finding(Reason.POD_BLOCKED, WORDS, quotes=True)})

    def told(self) -> Object:
        status = compute(raw(), self.BLOCKED, None, NOW)
        assert by_type(status)["Ready"]["message"] == self.WORDS
        return status

    def reason(self, pods: list[Object], generation: int = 1) -> str:
        """Of Ready, after that, without any evidence."""
        manifest = raw() | {"status": self.told()}
        manifest["metadata"]["generation"] = generation
        return str(by_type(compute(manifest, observed(pods), None, SOON))["Ready"]["reason"])

    def test_is_not_forgotten_with_the_process(self) -> None:
        told = self.told()
        assert compute(raw() | {"status": told}, observed([set_up()]), None, SOON) == told

    def test_is_about_one_pod(self) -> None:
        assert self.reason([set_up()]) == "PodBlocked"
        assert self.reason([set_up(name=f"{NAME}z")]) == "Staging"

    def test_is_about_one_generation(self) -> None:
        assert self.reason([set_up()], generation=2) == "Staging"

    def test_is_about_one_trouble(self) -> None:
        assert self.reason([staging()]) == "Staging"
        assert self.reason([unseen()]) == "Staging"
        assert self.reason([unscheduled("no room")]) == "Unschedulable"


class TestUnexplained:
    """Nobody is asked where the objects themselves say enough, or where nothing can be expected yet."""

    @pytest.mark.parametrize(
        "name",
        [
            "new", "no pod yet", "staging", "no room", "no such claim", "quota or policy", "stager's image", "loading",
            "crashes", "evicted", "answers", "scaled to zero", "Ingress taken up", "load balancer",
        ],
    )  # fmt: skip
    def test_nothing(self, name: str) -> None:
        found = next(c for c in CASES if c.name == name)
        assert unexplained(raw(**found.spec), found.observed) == []

    @pytest.mark.parametrize(
        ("name", "suspects"),
        [
            ("claim not bound yet", [CLAIM]),
            ("claim that cannot be bound, and is not ours", [FOREIGN]),
            ("being set up", [POD]),
            ("Ingress ignored", [Suspect("Ingress", "tiny", "uid-Ingress")]),
            ("no load balancer", [Suspect("Service", "tiny", "uid-Service")]),
        ],
    )
    def test_something(self, name: str, suspects: list[Suspect]) -> None:
        found = next(c for c in CASES if c.name == name)
        assert unexplained(raw(**found.spec), found.observed) == suspects

    def test_an_address_is_asked_about_when_a_server_answers(self) -> None:
        assert unexplained(raw(**INGRESS), observed([staging()], **INGRESS)) == []
