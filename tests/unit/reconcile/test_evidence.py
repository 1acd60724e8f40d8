"""Whose events are asked for, and what is read from them: texts of Kubernetes 1.34 and containerd."""

from __future__ import annotations

from typing import Any

import pytest

from llama_operator.api.conditions import Reason
from llama_operator.reconcile.evidence import Suspect, judge, of_pod
from llama_operator.reconcile.status import compute
from tests.unit.reconcile.objects import (
    LATER,
    NAME,
    STARTED,
    Object,
    answering,
    condition,
    container,
    event,
    observed,
    pod,
    running,
    serving,
    set_up,
    staging,
    terminated,
    unscheduled,
    unseen,
    waiting,
)
from tests.unit.resources.models import raw

POD = Suspect("Pod", NAME, f"uid-{NAME}")
HOMELESS = Suspect("Pod", NAME, f"uid-{NAME}", placed=False)
CLAIM = Suspect("PersistentVolumeClaim", "tiny-model", "uid-PersistentVolumeClaim")
INGRESS = Suspect("Ingress", "tiny", "uid-Ingress")
SERVICE = Suspect("Service", "tiny", "uid-Service")

UNBOUND = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. preemption: 0/1 nodes are …"
BINDING = 'running PreBind plugin "VolumeBinding": binding volumes: context deadline exceeded'
SANDBOX = (
    'Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "{}": plugin '
    'type="calico" failed (add): error getting ClusterInformation: connection is unauthorized: Unauthorized'
)
RUNTIME = (
    "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to get sandbox runtime: no runtime for "
    '"kata" is configured'
)
TIMED_OUT = (
    "Unable to attach or mount volumes: unmounted volumes=[models], unattached volumes=[], failed to process "
    "volumes=[]: timed out waiting for the condition"
)
ATTACH = (
    'Multi-Attach error for volume "pvc-9dbdb7f1-850d-4553-97cf-90f88ead73ca" Volume is already used by pod(s) '
    "tiny-77f9c-aaaaa"
)
NFS = 'MountVolume.SetUp failed for volume "pv-nfs" : mount failed: exit status 32'
EXTERNAL = (
    "Waiting for a volume to be created either by the external provisioner 'ebs.csi.aws.com' or manually by the system "
    "administrator. If volume creation is delayed, please verify that the provisioner is running and correctly "
    "registered."
)


def normal(reason: str, note: str, **more: Any) -> Object:
    return event(reason, note, type_="Normal", **more)


# --- whose events ---------------------------------------------------------------------------------------------------

ASKED: list[tuple[str, Object, list[Suspect]]] = [
    ("nobody has looked at it: the scheduler may be waiting for the volume", unseen(), [CLAIM, HOMELESS]),
    ("no node, and the scheduler says why", unscheduled("0/1 nodes are available: 1 Insufficient memory."), []),
    ("no node, because of a claim", unscheduled(UNBOUND), [CLAIM]),
    ("no node, because a volume did not come in time", unscheduled(BINDING), [CLAIM]),
    ("no such claim: the scheduler says all", unscheduled('persistentvolumeclaim "tiny-model" not found'), []),
    ("being set up", set_up(), [POD]),
    (
        "the kubelet has not looked at it",
        unseen() | {"status": {"phase": "Pending", "conditions": [condition("PodScheduled", True)]}},
        [POD],
    ),
    ("image being pulled", pod(), []),
    ("staging", staging(), []),
    ("answering", answering(), []),
    ("crashing", serving(container("llama-server", waiting("CrashLoopBackOff"), terminated(1))), []),
]


@pytest.mark.parametrize(("pod", "asked"), [case[1:] for case in ASKED], ids=[case[0] for case in ASKED])
def test_whose_events_are_asked_for(pod: Object, asked: list[Suspect]) -> None:
    assert of_pod(pod, [CLAIM]) == asked


def test_a_claim_that_is_bound_is_not_asked_about() -> None:
    """The scheduler will notice, in a moment."""
    assert of_pod(unscheduled(UNBOUND), []) == [HOMELESS]


def test_a_pod_that_ran_and_lost_its_sandbox_says_enough_itself() -> None:
    built = set_up(server=container("llama-server", running()))
    assert of_pod(built, []) == []


# --- what they say --------------------------------------------------------------------------------------------------

SAID: list[tuple[str, Suspect, list[Object], Reason, str]] = [
    (
        "class that does not exist",
        CLAIM,
        [event("ProvisioningFailed", 'storageclass.storage.k8s.io "fast" not found')],
        Reason.VOLUME_PENDING,
        'PersistentVolumeClaim tiny-model is not bound: ProvisioningFailed: storageclass.storage.k8s.io "fast" not '
        "found; create the StorageClass fast, or make the claim anew",
    ),
    (
        "no class, and no default one: an event of type Normal",
        CLAIM,
        [normal("FailedBinding", "no persistent volumes available for this claim and no storage class is set")],
        Reason.VOLUME_PENDING,
        "mark a StorageClass as the default one",
    ),
    (
        "the provisioner fails",
        CLAIM,
        [
            normal("ExternalProvisioning", EXTERNAL, last=LATER),
            normal("Provisioning", 'External provisioner is provisioning volume for claim "default/tiny-model"'),
            event("ProvisioningFailed", 'failed to provision volume with StorageClass "gp3": quota exceeded'),
        ],
        Reason.VOLUME_PENDING,
        'with StorageClass "gp3": quota exceeded; ask who runs',
    ),
    (
        "runtime class that the node does not know",
        POD,
        [
            normal("Scheduled", f"Successfully assigned default/{NAME} to kind-control-plane"),
            event("FailedCreatePodSandBox", RUNTIME),
        ],
        Reason.POD_BLOCKED,
        'failed to get sandbox runtime: no runtime for "kata" is configured; set up the runtime kata on the node',
    ),
    (
        "no network",
        POD,
        [event("FailedCreatePodSandBox", f"(combined from similar events): {SANDBOX.format('ab' * 32)}")],
        Reason.POD_BLOCKED,
        "FailedCreatePodSandBox: Failed to create pod sandbox: failed to setup network for sandbox "
        f'"{"ab" * 32}": plugin type="calico" failed (add): error getting ClusterInformation: connection is '
        "unauthorized: Unauthorized; see that the network plugin (CNI) runs",
    ),
    (
        "volume on another node",
        POD,
        [event("FailedAttachVolume", ATTACH)],
        Reason.POD_BLOCKED,
        "another node still has the volume",
    ),
    (
        "volume that cannot be mounted",
        POD,
        [event("FailedMount", NFS), event("FailedMount", TIMED_OUT, last=LATER)],
        Reason.POD_BLOCKED,
        f"pod {NAME} is not set up: FailedMount: {NFS}; see that the driver of the volume runs",
    ),
    (
        "folder that the node does not have",
        POD,
        [
            event(
                "FailedMount",
                'MountVolume.SetUp failed for volume "m" : hostPath type check failed: /srv/models is not a directory',
            )
        ],
        Reason.POD_BLOCKED,
        "make the folder /srv/models on the pod's node, with mode 0777",
    ),
    (
        "event of the new kind, that we do not know",
        POD,
        [event("Novelty", "this is new", eventTime="2026-11-24T02:00:00.123456Z")],
        Reason.POD_BLOCKED,
        f"Novelty: this is new; `kubectl describe pod {NAME}` tells more",
    ),
    (
        "ingress controller",
        INGRESS,
        [event("FailedBuildModel", "couldn't auto-discover subnets: unable to resolve at least one subnet")],
        Reason.INGRESS_PENDING,
        "Ingress tiny has no address: FailedBuildModel: couldn't auto-discover subnets",
    ),
    (
        "load balancer",
        SERVICE,
        [
            normal("EnsuringLoadBalancer", "Ensuring load balancer"),
            event("AllocationFailed", 'Failed to allocate IP for "default/tiny": no available IPs'),
        ],
        Reason.LOAD_BALANCER_PENDING,
        "no available IPs; `kubectl describe service tiny` tells more",
    ),
]


@pytest.mark.parametrize(
    ("suspect", "events", "reason", "words"), [case[1:] for case in SAID], ids=[case[0] for case in SAID]
)
def test_what_events_say(suspect: Suspect, events: list[Object], reason: Reason, words: str) -> None:
    found = judge(suspect, events, overdue=False)
    assert found is not None
    assert found.reason == reason
    assert words in found.message


NOTHING: list[tuple[str, Suspect, list[Object]]] = [
    ("none", POD, []),
    ("what the pod's condition says as well", POD, [event("FailedScheduling", UNBOUND)]),
    ("a volume is being made", CLAIM, [normal("ExternalProvisioning", EXTERNAL)]),
    ("a volume waits for a pod", CLAIM, [normal("WaitForFirstConsumer", "waiting for first consumer …")]),
    ("all is well", POD, [normal("Scheduled", "Successfully assigned")]),
]


@pytest.mark.parametrize(("suspect", "events"), [case[1:] for case in NOTHING], ids=[case[0] for case in NOTHING])
def test_nothing_is_made_of_what_is_not_wrong(suspect: Suspect, events: list[Object]) -> None:
    assert judge(suspect, events, overdue=False) is None


class TestSlowImage:
    """Before 1.36 the pod's status says that it is set up only when its image has been pulled."""

    PULLING = normal("Pulling", 'Pulling image "registry.example.com/large:1"', first=LATER)
    MOUNT = event("FailedMount", NFS, first=STARTED)

    @pytest.mark.parametrize("overdue", [False, True])
    def test_is_no_trouble(self, overdue: bool) -> None:
        found = judge(POD, [self.MOUNT, self.PULLING], overdue=overdue)
        assert found is not None
        assert found.reason == Reason.PENDING

    def test_ends_a_trouble_that_was_told(self) -> None:
        told, over = (judge(POD, events, overdue=False) for events in ([self.MOUNT], [self.MOUNT, self.PULLING]))
        assert told is not None
        assert over is not None
        first = compute(raw(), observed([set_up()], evidence={POD: told}), None, LATER)
        second = compute(raw() | {"status": first}, observed([set_up()], evidence={POD: over}), None, LATER)
        assert [status["conditions"][0]["reason"] for status in (first, second)] == ["PodBlocked", "Staging"]

    def test_does_not_hide_what_comes_after_it(self) -> None:
        later = event("FailedCreatePodSandBox", RUNTIME, first="2026-11-24T02:06:00Z")
        found = judge(POD, [self.PULLING, later], overdue=False)
        assert found is not None
        assert found.reason == Reason.POD_BLOCKED


class TestOverdue:
    """Something must be wrong, whatever is said."""

    def test_what_is_always_said_means_something_now(self) -> None:
        found = judge(CLAIM, [normal("ExternalProvisioning", EXTERNAL)], overdue=True)
        assert found is not None
        assert "see that the provisioner ebs.csi.aws.com runs in the cluster" in found.message

    @pytest.mark.parametrize(
        ("suspect", "command"), [(POD, f"pod {NAME}"), (CLAIM, "persistentvolumeclaim tiny-model")]
    )
    def test_silence_is_told(self, suspect: Suspect, command: str) -> None:
        found = judge(suspect, [], overdue=True)
        assert found is not None
        assert found.message.endswith(f"and nobody says why; `kubectl describe {command}` tells more")

    def test_a_pod_that_no_scheduler_looks_at(self) -> None:
        found = judge(HOMELESS, [], overdue=True)
        assert found is not None
        assert found.message.startswith(f"pod {NAME} gets no node, and nobody says why; see that kube-scheduler runs")

    @pytest.mark.parametrize("suspect", [INGRESS, SERVICE])
    def test_about_addresses_all_was_said_before(self, suspect: Suspect) -> None:
        assert judge(suspect, [], overdue=True) is None
