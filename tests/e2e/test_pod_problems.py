"""What cannot run, on a real cluster: the conditions say why in the cluster's own words, and what to do next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from demo import cluster
from tests.e2e.conftest import FileServer
from tests.e2e.witness import Model, Object, Witness, eventually

pytestmark = pytest.mark.e2e

NOBODY = "there-is-none"
"""Name of what does not exist."""
CLUSTER_WIDE: tuple[Object, ...] = (
    {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "e2e-without-provisioner"},
        "provisioner": "example.com/absent",
        "volumeBindingMode": "Immediate",
    },
    {
        "apiVersion": "node.k8s.io/v1",
        "kind": "RuntimeClass",
        "metadata": {"name": "e2e-without-handler"},
        "handler": NOBODY,
    },
)


@dataclass(frozen=True)
class Problem:
    """What is wrong with a spec; the reason, the words of the cluster and the next step that must be told."""

    reason: str
    words: str
    step: str
    spec: Object
    source: Object | None = field(default=None)


def claim(class_name: str) -> Object:
    return {"storage": {"claim": {"size": "1Gi", "storageClassName": class_name}}}


PROBLEMS = {
    "image": Problem(
        "ImagePullFailed", "localhost/there-is-none:1", "correct spec.image", {"image": "localhost/there-is-none:1"}
    ),
    "node": Problem(
        "Unschedulable",
        "didn't match Pod's node affinity/selector",
        "correct spec.pod.nodeSelector",
        {"pod": {"nodeSelector": {"example.com/moon": "true"}}},
    ),
    "memory": Problem(
        "Unschedulable",
        "Insufficient memory",
        "lower spec.resources.requests",
        {"resources": {"requests": {"memory": "900Ti"}}},
    ),
    "flag": Problem(
        "ServerCrashed",
        'handling argument "--pooling"',
        "correct spec.engine.args",
        {"engine": {"args": ["--pooling", "there-is-no-such-pooling"]}},
    ),
    "secret": Problem(
        "ContainerConfigInvalid",
        f'secret "{NOBODY}" not found',
        "create what it names",
        {"engine": {"env": [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": NOBODY, "key": "k"}}}]}},
    ),
    "class": Problem(
        "VolumePending",
        f'storageclass.storage.k8s.io "{NOBODY}" not found',
        f"create the StorageClass {NOBODY}",
        claim(NOBODY),
    ),
    "provisioner": Problem(
        "VolumePending",
        "Waiting for a volume to be created",
        "see that the provisioner example.com/absent runs",
        claim("e2e-without-provisioner"),
    ),
    "claim": Problem(
        "VolumePending",
        f'persistentvolumeclaim "{NOBODY}" not found',
        f"create the PersistentVolumeClaim {NOBODY}",
        {},
        {"volume": {"claimName": NOBODY, "path": "tiny.gguf"}},
    ),
    "runtime": Problem(
        "PodBlocked",
        f'no runtime for "{NOBODY}" is configured',
        f"set up the runtime {NOBODY} on the node, or change spec.pod.runtimeClassName",
        {"pod": {"runtimeClassName": "e2e-without-handler"}},
    ),
    "account": Problem(
        "PodsRefused",
        f'serviceaccount "{NOBODY}" not found',
        "create the ServiceAccount, or correct spec.pod.serviceAccountName",
        {"pod": {"serviceAccountName": NOBODY}},
    ),
}


@pytest.fixture(scope="module")
def models(witness: Witness, files_in_cluster: FileServer) -> Iterator[dict[str, Model]]:
    cluster.apply(CLUSTER_WIDE)
    made = {}
    for name, problem in PROBLEMS.items():
        made[name] = Model(witness, files_in_cluster.namespace, f"problem-{name}")
        made[name].apply(source=problem.source or files_in_cluster.source(), **problem.spec)
    yield made
    for model in made.values():
        model.delete()
    for obj in CLUSTER_WIDE:
        cluster.kubectl("delete", obj["kind"], obj["metadata"]["name"], "--ignore-not-found")


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_problem_is_told_with_the_next_step(name: str, models: dict[str, Model]) -> None:
    model, problem = models[name], PROBLEMS[name]
    available = model.wait("Available", problem.reason, timeout=150)  # silence is told after a minute
    ready = model.condition("Ready")
    assert (available["status"], ready["status"], ready["reason"]) == ("False", "False", problem.reason)
    assert problem.words in ready["message"]
    assert problem.step in ready["message"]
    warned(model, problem.reason)


def test_a_problem_that_stays_is_written_once(models: dict[str, Model]) -> None:
    """Pods are restarted, images pulled again, events counted, all that while."""
    for name, problem in PROBLEMS.items():
        models[name].wait("Ready", problem.reason, timeout=150)
    before, versions = restarts(models["flag"]), {name: version(model) for name, model in models.items()}

    def restarted() -> None:
        assert restarts(models["flag"]) > before

    eventually(restarted, timeout=400)  # the kubelet's pauses grow to five minutes
    assert {name: version(model) for name, model in models.items()} == versions


def version(model: Model) -> str:
    return str(model.read()["metadata"]["resourceVersion"])


def restarts(model: Model) -> int:
    (pod,) = model.pods()
    return sum(int(status["restartCount"]) for status in pod["status"].get("containerStatuses", []))


def warned(model: Model, reason: str) -> None:
    def told() -> None:
        assert "Warning" in [e["type"] for e in model.events() if e["reason"] == reason]

    eventually(told, timeout=10)


def test_an_ingress_that_no_controller_takes_up(
    new_model: Callable[[str], Model], files_in_cluster: FileServer
) -> None:
    model = new_model("problem-ingress")
    ingress = {"host": f"nobody.{files_in_cluster.namespace}.example.com", "className": NOBODY}
    model.apply(source=files_in_cluster.source(), ingress=ingress)
    exposed = model.wait("Ready", "IngressPending")
    assert f"whose class is {NOBODY}; see that `kubectl get ingressclass` lists it" in exposed["message"]
    assert model.condition("Available")["status"] == "True"


@pytest.fixture
def crowded(witness: Witness, namespace: str) -> Iterator[str]:
    """A namespace whose quota has no room for a pod."""
    name = f"{namespace}-crowded"
    cluster.apply([cluster.namespace(name, cluster.RESTRICTED)])
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "none", "namespace": name},
        "spec": {"hard": {"pods": "0"}},
    }
    cluster.apply([quota])

    def counted() -> None:  # by its controller; before, it refuses everything for another reason
        found = witness.get("ResourceQuota", "none", name)
        assert found is not None
        assert found.get("status", {}).get("hard") == {"pods": "0"}

    eventually(counted)
    yield name
    witness.delete("Namespace", name)


def test_a_quota_that_refuses_the_pods(crowded: str, witness: Witness, files_in_cluster: FileServer) -> None:
    model = Model(witness, crowded, "problem-quota")
    model.apply(source=files_in_cluster.source())
    model.wait("Available", "PodsRefused")
    ready = model.condition("Ready")
    assert (ready["status"], ready["reason"]) == ("False", "PodsRefused")
    assert "exceeded quota: none" in ready["message"]
    assert "raise the ResourceQuota, or ask for less of what it counts" in ready["message"]
    warned(model, "PodsRefused")


def test_pods_that_pod_security_refuses(new_model: Callable[[str], Model], files_in_cluster: FileServer) -> None:
    """Ours keep to `restricted`; somebody has changed the Deployment, in a field that we do not own."""
    model = new_model("problem-policy")
    model.apply(source=files_in_cluster.source())
    model.ready()
    patch = {"spec": {"template": {"spec": {"hostNetwork": True}}}}
    model.witness.merge("Deployment", model.name, model.namespace, patch)
    ready = model.wait("Ready", "PodsRefused")
    assert ready["status"] == "False"
    assert "violates PodSecurity" in ready["message"]
    assert "take away what was added to the Deployment" in ready["message"]
    assert model.condition("Available")["status"] == "True", "the pod before still answers"


def test_a_failing_new_version_leaves_the_old_one_serving(
    new_model: Callable[[str], Model], files_in_cluster: FileServer
) -> None:
    model = new_model("half-rolled")
    model.apply(source=files_in_cluster.source())
    model.ready()
    model.apply(source=files_in_cluster.source(), engine={"args": ["--pooling", "there-is-no-such-pooling"]})
    ready = model.wait("Ready", "ServerCrashed")
    assert ready["status"] == "False"
    assert model.condition("Available")["status"] == "True"
    assert model.read()["status"]["readyReplicas"] == 1
