"""Each problem comes with the next step. The words are those of Kubernetes 1.34 and of llama-server."""

from __future__ import annotations

import pytest

from llama_operator.reconcile import advice

SCHEDULING = [
    ("0/1 nodes are available: 1 Insufficient memory", "lower spec.resources.requests"),
    ("0/2 nodes are available: 2 Insufficient nvidia.com/gpu", "lower spec.accelerator.count"),
    ("0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector", "spec.pod.nodeSelector"),
    ("0/1 nodes are available: 1 node(s) had untolerated taint {gpu: true}", "spec.pod.tolerations"),
    ("0/1 nodes are available: 1 node(s) didn't match pod anti-affinity rules", "spec.pod.affinity"),
    ("0/1 nodes are available: 1 node(s) didn't match pod topology spread constraints", "topologySpreadConstraints"),
    ("0/1 nodes are available: 1 node(s) were unschedulable", "kubectl uncordon"),
    ("0/1 nodes are available: 1 Too many pods", "add a node"),
    ("0/2 nodes are available: 2 node(s) had volume node affinity conflict", "can be reached from other nodes only"),
    ("0/1 nodes are available: 1 node(s) didn't find available persistent volumes to bind", "make a PersistentVolume"),
    ('persistentvolumeclaim "a" bound to non-existent persistentvolume "b"', "PersistentVolume has been deleted"),
    ('persistentvolumeclaim "shared" not found', "spec.storage.cache"),
    ("no nodes available to schedule pods", "add a node to the cluster"),
    ("Scheduling is blocked due to non-empty scheduling gates", "scheduling gates"),
    ("words of a plugin that we do not know", "change spec.pod or spec.resources"),
]

QUOTA = (
    'pods "tiny-6d5f8c7b9-x2x5k" is forbidden: exceeded quota: small, requested: requests.memory=8Gi, used: '
    "requests.memory=0, limited: requests.memory=1Gi"
)
REFUSALS = [
    (QUOTA, "raise the ResourceQuota"),
    ('pods "a" is forbidden: failed quota: small: must specify limits.cpu for: llama-server', "set in spec.resources"),
    (
        'pods "a" is forbidden: violates PodSecurity "restricted:latest": host namespaces (hostNetwork=true)',
        "the operator's pods keep to `restricted`",
    ),
    ('pods "a" is forbidden: pod rejected: RuntimeClass "kata" not found', "spec.pod.runtimeClassName"),
    (
        'pods "a" is forbidden: error looking up service account default/b: serviceaccount "b" not found',
        "spec.pod.serviceAccountName",
    ),
    ('pods "a" is forbidden: no PriorityClass with name high was found', "spec.pod.priorityClassName"),
    (
        'pods "a" is forbidden: unable to create new content in namespace b because it is being terminated',
        "the namespace is being deleted",
    ),
    ('pods "a" is forbidden: maximum memory usage per Container is 1Gi, but limit is 8Gi', "LimitRange"),
    (
        'persistentvolumeclaims "a-model" is forbidden: only dynamically provisioned pvc can be resized and the '
        "storageclass that provisions the pvc must support resize",
        "allowVolumeExpansion",
    ),
    (
        'services is forbidden: User "system:serviceaccount:a:b" cannot create resource "services" in API group "" in '
        'the namespace "c"',
        "grant the operator what its chart grants it",
    ),
    ('admission webhook "policy.example.com" denied the request: no', "who runs that admission webhook"),
    ("something else", "change what these words are about"),
]

CRASHES = [
    ("error: invalid argument: --there-is-no-such-flag", 1, "correct spec.engine.args"),
    ("- dio: use DirectIO if available\n\n\nto show complete usage, run with -h", 1, "correct spec.engine.args"),
    ("llama_model_load: error loading model: unknown model architecture: 'new'", 1, "set spec.image to a newer one"),
    ("ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer of size 9", 1, "spec.engine.contextSize"),
    ("E srv    load_model: failed to load model, '/models/a.gguf'", 1, "see that the file is a model"),
    ("CUDA error: no kernel image is available for execution on the device", 134, "driver fits the image"),
    ("", 132, "CPU instructions"),
    ("", 137, "because it hung"),
    ("", 139, "this build of llama.cpp is faulty"),
    ("strange", 7, "mend what these lines complain about"),
]


@pytest.mark.parametrize(("words", "step"), SCHEDULING)
def test_on_scheduling(words: str, step: str) -> None:
    assert step in advice.on_scheduling(words)


@pytest.mark.parametrize(("words", "step"), REFUSALS)
def test_on_refusals(words: str, step: str) -> None:
    assert step in advice.on_refusal(words)


@pytest.mark.parametrize(("words", "code", "step"), CRASHES)
def test_on_crashes(words: str, code: int, step: str) -> None:
    assert step in advice.on_crash(words, code)
