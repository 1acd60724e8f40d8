"""What a person must do next, by the words that Kubernetes uses for what is wrong.

The words are those of Kubernetes 1.30 to 1.34 and containerd. What matches first is the most particular; what
matches nothing gets advice that is always right, so other words than these make a message worse, but not wrong.
"""

from __future__ import annotations

import re

Table = tuple[tuple[str, str], ...]

# Words of the scheduler that are about a volume, not about nodes (plugin VolumeBinding).
_UNBOUND = re.compile(r"unbound immediate PersistentVolumeClaims|binding volumes: ")
_VOLUME = re.compile(
    r'persistentvolumeclaim "[^"]*" (?:not found|is being deleted|bound to non-existent)'
    r"|available persistent volumes to bind|non-existent pv"
)

_SCHEDULING: Table = (
    (
        r'persistentvolumeclaim "([^"]*)" not found',
        r"create the PersistentVolumeClaim \1, or correct the claimName in spec.source or spec.storage.cache (that of "
        "spec.storage.claim, NAME-model, is made by the operator: see Ready)",
    ),
    (r"is being deleted", "wait until the claim is gone and made again, or name another"),
    (
        r"non-existent",
        "its PersistentVolume has been deleted: delete the claim, so that a new one is made or you make one",
    ),
    (
        r"available persistent volumes to bind",
        "make a PersistentVolume that fits, or use a StorageClass with a provisioner (`kubectl get storageclass`)",
    ),
    (
        r"volume node affinity conflict|no available volume zone",
        "the volume can be reached from other nodes only: let spec.pod choose those, or use another claim",
    ),
    (r"scheduling gates", "remove what is behind its scheduling gates, mostly a queue that has not admitted it"),
    (r"no nodes available", "add a node to the cluster"),
    (
        r"Insufficient (?!cpu|memory|ephemeral)\S*/\S*",
        "no node has as many accelerators free: lower spec.accelerator.count, or add a node that has them",
    ),
    (
        r"Insufficient (?:memory|cpu|ephemeral-storage)",
        "lower spec.resources.requests (a limit without a request counts as one), or add a node with more room",
    ),
    (r"Too many pods|max volume count", "add a node"),
    (r"taint", "add spec.pod.tolerations for the taint, or a node without it"),
    (
        r"node affinity/selector",
        "correct spec.pod.nodeSelector or spec.pod.affinity, or label a node accordingly (`kubectl get nodes "
        "--show-labels`)",
    ),
    (r"affinity|topology spread", "relax spec.pod.affinity or spec.pod.topologySpreadConstraints, or add a node"),
    (r"were unschedulable", "uncordon a node (`kubectl uncordon NODE`), or add one"),
)

NO_SCHEDULER = "see that kube-scheduler runs (`kubectl get pods -n kube-system`)"
"""For a pod that nobody has tried to place."""

_REFUSAL: Table = (
    (
        r'cannot patch resource "pods/resize"',
        "grant the operator what its chart grants it (`patch` of pods/resize), or set memory in spec.resources",
    ),
    (r'cannot \w+ resource "', "grant the operator what its chart grants it"),
    (r"without support for resize", "upgrade the node to Kubernetes 1.33, or set memory in spec.resources"),
    (
        r"exceeded quota",
        "raise the ResourceQuota, or ask for less of what it counts: lower spec.replicas, spec.resources or "
        "spec.storage, or set spec.rollout.surge to Never, which needs no pod more while a version is replaced",
    ),
    (r"failed quota", "set in spec.resources what the ResourceQuota wants every pod to set"),
    (
        r"violates PodSecurity",
        "the operator's pods keep to `restricted`: take away what was added to the Deployment or to spec.pod, or "
        "have the namespace allow it",
    ),
    (r"RuntimeClass", "create the RuntimeClass, or correct spec.pod.runtimeClassName (`kubectl get runtimeclass`)"),
    (r"service ?account", "create the ServiceAccount, or correct spec.pod.serviceAccountName"),
    (r"PriorityClass", "create the PriorityClass, or correct spec.pod.priorityClassName"),
    (r"being terminated", "the namespace is being deleted, and this model with it"),
    (r"LimitRange|(?:maximum|minimum) (?:cpu|memory)", "change spec.resources to what the LimitRange allows"),
    (
        r"only dynamically provisioned pvc can be resized",
        "set allowVolumeExpansion on its StorageClass, if the provisioner can do it, or give spec.storage.claim.size "
        "back its former value",
    ),
    (r"admission webhook", "ask who runs that admission webhook what it wants changed"),
)

_EVENT: Table = (
    (
        r'storageclass\.storage\.k8s\.io "([^"]*)" not found',
        r"create the StorageClass \1, or make the claim anew (with spec.storage: the LlamaModel) with a class that "
        "`kubectl get storageclass` lists",
    ),
    (
        r"no storage class is set",
        "mark a StorageClass as the default one, or make a PersistentVolume that fits (`kubectl get storageclass`)",
    ),
    (
        r"external provisioner '([^']*)'",
        r"see that the provisioner \1 runs in the cluster, or use another StorageClass (`kubectl get storageclass`)",
    ),
    (
        r'no runtime for "([^"]*)" is configured',
        r"set up the runtime \1 on the node, or change spec.pod.runtimeClassName",
    ),
    (r"setup network|NetworkNotReady|network plugin|cni", "see that the network plugin (CNI) runs on the pod's node"),
    (
        r"Multi-Attach|already exclusively attached",
        "another node still has the volume: end the pod that uses it, or use a claim with ReadWriteMany",
    ),
    (r"MountVolume\.\w+ failed.*not found", "create what it names"),
    (
        r"references non-existent secret key: (\S+)",
        r"add the key \1 to the Secret, or correct spec.auth.apiKeySecretRef",
    ),
    (
        r"hostPath type check failed: (\S+) is not a directory",
        r"make the folder \1 on the pod's node, with mode 0777 (see nodePaths in the chart's values)",
    ),
    (
        r"FailedAttachVolume|FailedMount|FailedMapVolume",
        "see that the driver of the volume runs on the pod's node, and that the volume still exists",
    ),
    (r"FailedCreatePodSandBox", "see that the container runtime of the pod's node is well"),
    (r"ProvisioningFailed", "ask who runs the StorageClass's provisioner, or change the claim's size or class"),
)

_CRASH: Table = (
    (
        # The last is what stays of it when the usage of the flag is long.
        r"(?:invalid|unknown) (?:argument|option)|unrecognized|error while handling argument|to show complete usage",
        "correct spec.engine.args",
    ),
    (
        r"unknown model architecture|unknown .*pre-tokenizer|unsupported model",
        "this build of llama.cpp does not know the model: set spec.image to a newer one, or use another model",
    ),
    (
        r"out of memory|failed to allocate|cudaMalloc|unable to allocate|bad_alloc",
        "lower spec.engine.contextSize or spec.engine.slots, or give it more memory",
    ),
    (
        r"error loading model|failed to load model",
        "see that the file is a model which this build of llama.cpp can load; spec.image chooses another build",
    ),
    (r"CUDA|nvidia|ggml_cuda", "see that the node's driver fits the image, and that spec.accelerator is right"),
)

_EXIT_CODES = {
    132: "the image's build needs CPU instructions that the node lacks: set spec.image, or choose other nodes",
    137: "it was killed: because it hung, if `kubectl logs POD -c sidecar` says so (then set spec.image to another "
    "build), otherwise mostly because it was not ready in half an hour: choose a smaller model or a faster node",
    139: "this build of llama.cpp is faulty: set spec.image to another one",
    143: "it was told to end, mostly because it was not ready in half an hour: choose a smaller model or a faster node",
}


def waits_for_claim(words: str) -> bool:
    """The scheduler only says that a claim is not bound; why, only the claim's events tell."""
    return bool(_UNBOUND.search(words))


def about_volume(words: str) -> bool:
    """The scheduler says itself what is wrong with a claim."""
    return bool(_VOLUME.search(words))


def on_scheduling(words: str) -> str:
    return _first(_SCHEDULING, words) or "change spec.pod or spec.resources, or the cluster's nodes"


def on_refusal(words: str) -> str:
    return _first(_REFUSAL, words) or "change what these words are about, in the spec or in the namespace"


def on_event(kind: str, name: str, words: str) -> str:
    """`words`: an event's reason and note, about the object of this kind and name."""
    return _first(_EVENT, words) or f"`kubectl describe {kind.lower()} {name}` tells more"


def on_crash(words: str, exit_code: int) -> str:
    """`words`: the last lines of llama-server's log."""
    return _first(_CRASH, words) or _EXIT_CODES.get(exit_code, "mend what these lines complain about")


def on_problem(words: str) -> str:
    """`words`: what llama-server has answered, or not answered, to a request; empty where nothing fits them."""
    return _first(_CRASH, words)


def _first(table: Table, words: str) -> str:
    for pattern, advice in table:
        match = re.search(pattern, words)
        if match:
            return match.expand(advice)
    return ""
