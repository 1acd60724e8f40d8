"""What only events tell: asked of a real API server, when a pod does not come on, and told in one write.

Pods and events are written by hand, as scheduler, kubelet and volume controller would.
"""

from __future__ import annotations

from tests.integration.engine.operator_process import Operator, eventually
from tests.integration.engine.place import FULL, SPEC, Place, Start
from tests.integration.engine.pod import Pod, condition, container, now, terminated
from tests.integration.server import Object

SANDBOX = 'Failed to create pod sandbox: failed to get sandbox runtime: no runtime for "kata" is configured, try {}'
NO_CLASS = 'storageclass.storage.k8s.io "fast" not found'
UNBOUND = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. preemption: 0/1 nodes are …"
TELL = ("patch_status", "LlamaModel")


def asked(operator: Operator) -> int:
    """Lists of events so far."""
    return sum(
        int(sample.value)
        for sample in operator._samples()
        if sample.name == "llama_operator_api_calls_total"
        and (sample.labels["verb"], sample.labels["kind"]) == ("list", "Event")
    )


def asked_again(operator: Operator) -> None:
    """Wait for the next answer, and until it has been dealt with."""
    before = asked(operator)

    def more() -> None:
        assert asked(operator) > before

    eventually(more)
    operator.settle()


def reason(place: Place, wanted: str) -> None:
    ready = place.condition("Ready")
    assert ready["reason"] == wanted, ready


def prepared(place: Place, start: Start, spec: Object = SPEC) -> Operator:
    operator = start().ready()
    place.model(spec)
    eventually(lambda: place.condition("Ready"))
    operator.settle()
    return operator


def test_a_start_that_goes_well_asks_nothing(place: Place, start: Start) -> None:
    operator = prepared(place, start)
    pod = Pod(place)
    pod.waits_for_its_sandbox()
    pod.runs(container({"running": {"startedAt": now()}}))

    def staging() -> None:
        assert "is staging" in place.condition("Ready")["message"]

    eventually(staging)
    operator.settle()
    before = operator.values()["reconciles_total"]

    def looked_again() -> None:  # as was arranged while the pod did not come on
        assert operator.values()["reconciles_total"] > before

    eventually(looked_again)
    operator.settle()
    assert asked(operator) == 0


def test_a_pod_that_cannot_be_set_up_is_told_once(place: Place, start: Start) -> None:
    operator = prepared(place, start)
    before = operator.writes()
    pod = Pod(place)
    pod.waits_for_its_sandbox()
    pod.event("FailedMount", "of another pod", title="another.1", uid="another")
    pod.event("FailedCreatePodSandBox", SANDBOX.format(1))
    eventually(lambda: reason(place, "PodBlocked"))
    message = place.condition("Ready")["message"]
    assert "set up the runtime kata on the node, or change spec.pod.runtimeClassName" in message
    assert "of another pod" not in message
    operator.settle()
    assert operator.writes() - before == {TELL: 1, ("create", "Event"): 1}
    assert place.reasons() >= {"PodBlocked"}

    told = operator.writes()
    pod.event("FailedCreatePodSandBox", SANDBOX.format(2))
    asked_again(operator)
    assert operator.writes() == told, "the same again, with another number"

    operator.stop()
    restarted = start().ready()
    restarted.settle(reconciles=1)
    asked_again(restarted)
    assert not restarted.writes(), "a restart is no news"

    pod.runs(container({"running": {"startedAt": now()}}))
    eventually(lambda: reason(place, "Staging"))


def test_a_claim_that_is_not_bound_is_told_with_the_reason(place: Place, start: Start) -> None:
    operator = prepared(place, start, FULL)
    uid = place.get(place.claim)["metadata"]["uid"]
    pod = Pod(place, node=None)
    pod.write(condition("PodScheduled", False, reason="Unschedulable", message=UNBOUND))
    pod.event("ProvisioningFailed", NO_CLASS, kind="PersistentVolumeClaim", name="m-model", uid=uid)
    eventually(lambda: reason(place, "VolumePending"))
    assert f"{NO_CLASS}; create the StorageClass fast" in place.condition("Ready")["message"]
    assert place.condition("Available")["reason"] == "VolumePending"
    operator.settle()


def test_a_claim_of_the_users_is_found_by_its_name(place: Place, start: Start) -> None:
    prepared(place, start, {"source": {"volume": {"claimName": "mine", "path": "m.gguf"}}})
    pod = Pod(place, node=None)
    pod.write(condition("PodScheduled", False, reason="Unschedulable", message=UNBOUND))
    pod.event("FailedBinding", "another claim", title="other.1", kind="PersistentVolumeClaim", name="other", uid="a")
    pod.event("ProvisioningFailed", NO_CLASS, title="mine.1", kind="PersistentVolumeClaim", name="mine", uid="b")
    eventually(lambda: reason(place, "VolumePending"))
    assert place.condition("Ready")["message"].startswith(
        f"PersistentVolumeClaim mine is not bound: ProvisioningFailed: {NO_CLASS}"
    )


def test_a_crash_loop_is_one_write_however_often_it_goes_round(place: Place, start: Start) -> None:
    operator = prepared(place, start)
    pod = Pod(place)
    staged = container(terminated(0, "{}"), ready=True)
    pod.runs(staged, container({"running": {"startedAt": now()}}))
    eventually(lambda: reason(place, "Starting"))
    operator.settle()
    before = operator.writes()
    for n in range(1, 5):
        ended = terminated(1, f"0.0{n}.017 E failed to load model: {n} of 9 tensors")
        for state in ended, {"waiting": {"reason": "CrashLoopBackOff"}}, {"running": {"startedAt": now()}}:
            with operator.reconciling():
                pod.runs(staged, container(state, ended, n))
            assert place.condition("Ready")["reason"] == "ServerCrashed"
    assert operator.writes() - before == {TELL: 1, ("create", "Event"): 1}
    assert asked(operator) == 0


def test_the_default_ingress_class_makes_another_message(place: Place, start: Start) -> None:
    """The API server puts it into an Ingress that has none, at that moment only."""
    prepared(place, start, FULL)
    assert "no class, and the cluster no default one" in place.condition("Exposed")["message"]
    classes = "/apis/networking.k8s.io/v1/ingressclasses"
    default = {"ingressclass.kubernetes.io/is-default-class": "true"}
    spec = {"controller": "example.com/none"}
    place.server.ensure(
        classes,
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "IngressClass",
            "metadata": {"name": "ours", "annotations": default},
            "spec": spec,
        },
    )
    try:
        place.server("DELETE", place.ingress)  # the operator makes it again

        def told() -> None:
            assert "whose class is ours" in place.condition("Exposed")["message"]

        eventually(told)
    finally:
        place.server("DELETE", f"{classes}/ours")
