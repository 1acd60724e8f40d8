"""What one pod says, in the states that the kubelet, the scheduler and the node controller write."""

from __future__ import annotations

from typing import Any

import pytest

from llama_operator.api.conditions import Reason
from llama_operator.reconcile import pods
from llama_operator.reconcile.evidence import Suspect
from llama_operator.reconcile.finding import Finding
from tests.unit.reconcile.objects import (
    CREATED,
    LATER,
    NAME,
    Object,
    answering,
    condition,
    container,
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

# Each as 1.34 writes it, with what its plugins for preemption and devices have to add.
NO_CLAIM = '0/1 nodes are available: persistentvolumeclaim "mine" not found. not found'
NO_LABEL = (
    "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. no new claims to deallocate, "
    "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
)
NO_ROOM = (
    "0/3 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, 2 "
    "Insufficient memory. preemption: 0/3 nodes are available: 1 Preemption is not helpful for scheduling, 2 No "
    "preemption victims found for incoming pod."
)
CRASH = "E llama_model_load: error loading model: invalid magic characters"
BACK_OFF = waiting("CrashLoopBackOff", "back-off 20s restarting failed container=llama-server")
OOM = terminated(137, reason="OOMKilled")
EVICTED: Object = {
    "phase": "Failed",
    "reason": "Evicted",
    "message": "The node was low on resource: ephemeral-storage. Threshold quantity: 1Gi, available: 400Mi.",
}
PULL = (
    'rpc error: code = NotFound desc = failed to pull and unpack image "localhost/llama-server:0.1.0": failed to '
    'resolve reference "localhost/llama-server:0.1.0": localhost/llama-server:0.1.0: not found'
)
START = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: "
    'exec: "/app/llama-server": stat /app/llama-server: no such file or directory'
)
MESH = container("istio-init", waiting("CrashLoopBackOff"), terminated(255, "iptables: Permission denied"), 3)


def server(state: Object, last: Object | None = None, **more: Any) -> Object:
    return serving(container("llama-server", state, last, **more))


def beside(built: Object, field: str, status: Object) -> Object:
    """With the container that a webhook has put into the pod, before ours."""
    built["status"][field].insert(0, status)
    return built


SERVING: list[tuple[str, Object, Reason, str]] = [
    ("nobody has seen the pod", unseen(), Reason.PENDING, "has not started llama-server yet"),
    (
        "no node",
        unscheduled(NO_ROOM),
        Reason.UNSCHEDULABLE,
        "control-plane: }, 2 Insufficient memory; lower spec.resources.requests",
    ),
    (
        "no such label",
        unscheduled(NO_LABEL),
        Reason.UNSCHEDULABLE,
        "1 node(s) didn't match Pod's node affinity/selector; correct spec.pod.nodeSelector",
    ),
    (
        "no such claim",
        unscheduled(NO_CLAIM),
        Reason.VOLUME_PENDING,
        'available: persistentvolumeclaim "mine" not found; create the PersistentVolumeClaim mine, or correct',
    ),
    (
        "claim is not bound: its events say why",
        unscheduled("0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. preemption: …"),
        Reason.PENDING,
        "has not started",
    ),
    ("being set up", set_up(), Reason.PENDING, "has not started llama-server yet"),
    ("staging", staging(), Reason.PENDING, "has not started llama-server yet"),
    (
        "image cannot be pulled",
        server(waiting("ErrImagePull", PULL)),
        Reason.IMAGE_PULL_FAILED,
        "localhost/llama-server:0.1.0: not found; correct spec.image",
    ),
    (
        "image name makes no sense",
        server(waiting("InvalidImageName")),
        Reason.IMAGE_PULL_FAILED,
        "cannot be pulled: InvalidImageName; correct spec.image",
    ),
    (
        "key Secret is missing",
        server(waiting("CreateContainerConfigError", 'secret "key" not found')),
        Reason.CONTAINER_CONFIG_INVALID,
        'container llama-server cannot be started: secret "key" not found; create what it names',
    ),
    ("loading", server(running(), started=False), Reason.STARTING, "it loads the model"),
    ("image of the server being pulled", server(waiting("PodInitializing")), Reason.PENDING, "has not started"),
    ("answers", answering(), Reason.AVAILABLE, "the server answers"),
    (
        "answered, and does no more",
        serving(
            container("llama-server", running()),
            ready=condition("Ready", False, since=LATER, reason="ContainersNotReady"),
        ),
        Reason.UNRESPONSIVE,
        "does not answer its health check any more; it is restarted within a minute",
    ),
    (
        "its node is lost: the node controller has turned Ready, and left all else",
        serving(
            container("llama-server", running(), ready=True, started=True),
            ready=condition("Ready", False, since=LATER),
        ),
        Reason.UNRESPONSIVE,
        f"the node of pod {NAME} does not report any more; see `kubectl get nodes`",
    ),
    (
        "a readiness gate",
        serving(
            container("llama-server", running(), ready=True, started=True),
            ready=condition(
                "Ready",
                False,
                reason="ReadinessGatesNotReady",
                message='corresponding condition of pod readiness gate "target-health.elbv2.k8s.aws/x" does not exist.',
            ),
        ),
        Reason.POD_BLOCKED,
        "target-health.elbv2.k8s.aws/x",
    ),
    (
        "a sidecar that is not ready",
        serving(
            container("llama-server", running(), ready=True, started=True),
            ready=condition(
                "Ready", False, reason="ContainersNotReady", message="containers with unready status: [istio-proxy]"
            ),
        ),
        Reason.POD_BLOCKED,
        "containers with unready status: [istio-proxy]; ask who",
    ),
    (
        "a sidecar that cannot be pulled",
        beside(
            serving(container("llama-server", running(), ready=True, started=True)),
            "containerStatuses",
            container("istio-proxy", waiting("ImagePullBackOff", PULL)),
        ),
        Reason.POD_BLOCKED,
        "localhost/llama-server:0.1.0: not found; correct its image",
    ),
    (
        "an init container that is not ours fails",
        beside(pod(), "initContainerStatuses", MESH),
        Reason.POD_BLOCKED,
        f"container istio-init, which is not the operator's, keeps pod {NAME} from serving: it ended with code 255: "
        "iptables: Permission denied; ask who put it there",
    ),
    (
        "crashed, waits",
        server(BACK_OFF, terminated(1, CRASH), restarts=3),
        Reason.SERVER_CRASHED,
        f"ended with code 1: {CRASH}; see that the file is a model",
    ),
    (
        "its node was started again: nobody knows how it ended",
        server(running(), terminated(255, reason="Unknown"), restarts=1),
        Reason.STARTING,
        "it loads the model",
    ),
    ("has just crashed", server(terminated(1, CRASH)), Reason.SERVER_CRASHED, CRASH),
    ("crashed, loads again", server(running(), terminated(1, CRASH), restarts=1), Reason.SERVER_CRASHED, CRASH),
    (
        "killed for memory",
        server(BACK_OFF, OOM, restarts=2),
        Reason.OUT_OF_MEMORY,
        "raise or set spec.resources.limits.memory",
    ),
    (
        "the sidecar is started again and again, beside a server that works",
        serving(
            container("llama-server", running(), ready=True, started=True),
            sidecar=container("sidecar", waiting("CrashLoopBackOff"), terminated(1, "Traceback"), restarts=3),
        ),
        Reason.SIDECAR_FAILED,
        "ended with Error, code 1: Traceback; it is started again, and the pod gets no requests",
    ),
    (
        "the sidecar was killed for memory",
        serving(
            container("llama-server", running(), ready=True, started=True),
            sidecar=container("sidecar", terminated(137, reason="OOMKilled")),
        ),
        Reason.SIDECAR_FAILED,
        "ended with OOMKilled, code 137",
    ),
    (
        "the sidecar was started again",
        serving(
            container("llama-server", running()), sidecar=container("sidecar", running(), terminated(1), restarts=1)
        ),
        Reason.STARTING,
        "llama-server is being started",
    ),
    (
        "the sidecar's image cannot be pulled",
        serving(
            container("llama-server", waiting("PodInitializing")),
            sidecar=container("sidecar", waiting("ImagePullBackOff", "Back-off pulling image")),
        ),
        Reason.IMAGE_PULL_FAILED,
        "of container sidecar cannot be pulled: Back-off pulling image; correct the chart's value `image`",
    ),
    (
        "killed by its startup probe",
        server(BACK_OFF, terminated(137), restarts=2),
        Reason.SERVER_CRASHED,
        "ended with code 137; it was killed: because it hung, if `kubectl logs POD -c sidecar` says so",
    ),
    (
        "program missing in the image",
        server(waiting("RunContainerError", START)),
        Reason.CONTAINER_CONFIG_INVALID,
        "no such file or directory; correct spec.image",
    ),
    ("evicted", server({}) | {"status": EVICTED}, Reason.POD_FAILED, "Evicted: The node was low"),
    ("refused by the kubelet", pod(phase="Failed", reason="OutOfcpu"), Reason.POD_FAILED, "failed: OutOfcpu"),
]


@pytest.mark.parametrize(("pod", "reason", "words"), [case[1:] for case in SERVING], ids=[case[0] for case in SERVING])
def test_serving(pod: Object, reason: Reason, words: str) -> None:
    finding = pods.serving(pod, [], {})
    assert finding.reason == reason
    assert words in finding.message


def test_a_container_that_was_killed_by_its_liveness_probe_and_came_back_is_no_longer_unresponsive() -> None:
    """Ready turned False when the old container died: before the new one started."""
    again = container("llama-server", running(LATER), terminated(0), restarts=1)
    found = pods.serving(serving(again, ready=condition("Ready", False, since=CREATED)), [], {})
    assert found.reason == Reason.SERVER_CRASHED


def test_other_containers_are_no_concern_while_ours_is_not_ready_itself() -> None:
    sidecar = container("proxy", waiting("CrashLoopBackOff"), terminated(1, "proxy"))
    built = beside(server(running()), "containerStatuses", sidecar)
    assert pods.serving(built, [], {}).reason == Reason.STARTING


def test_evidence_counts_only_as_long_as_it_is_needed() -> None:
    itself = Suspect("Pod", NAME, f"uid-{NAME}")
    told = Finding(Reason.POD_BLOCKED, "as its events say")
    assert pods.serving(set_up(), [], {itself: told}) == told
    assert pods.serving(staging(), [], {itself: told}).reason == Reason.PENDING
    assert pods.serving(unscheduled(NO_ROOM), [], {itself: told}).reason == Reason.UNSCHEDULABLE
