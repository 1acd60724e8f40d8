"""Install the addons and wait until the cluster can do what it is for."""

from collections.abc import Iterator, Sequence

import yaml

from ground import addons, shell
from ground.cluster import LOG, Cluster

WAIT = "180s"
CORE = (("kube-system", "Deployment", "coredns"), ("local-path-storage", "Deployment", "local-path-provisioner"))
"""What kind itself brings and does not wait for."""

ROLLED_OUT = ("Deployment", "DaemonSet", "StatefulSet")

Workload = tuple[str, str, str]


def install(target: Cluster) -> None:
    """Bring Ingress controller and metrics, then wait for them, the name server, storage and all nodes."""
    manifests = addons.manifests(target.way.value)
    if manifests:
        with shell.step("install Traefik and metrics-server"):
            target.apply(manifests)
    kubectl = [str(target.kubectl)]
    environment = target.environment()
    with shell.step("wait until everything is ready"):
        every_node = [*kubectl, "wait", "--for=condition=Ready", "nodes", "--all", f"--timeout={WAIT}"]
        shell.run(every_node, log=LOG, env=environment)
        for namespace, kind, name in (*CORE, *workloads(manifests)):
            rollout = ["rollout", "status", f"{kind}/{name}", f"--namespace={namespace}", f"--timeout={WAIT}"]
            shell.run([*kubectl, *rollout], log=LOG, env=environment)


def workloads(manifests: Sequence[str]) -> Iterator[Workload]:
    """Namespace, kind and name of everything in the manifests that has pods."""
    for manifest in manifests:
        for document in yaml.safe_load_all(manifest):
            if document and document["kind"] in ROLLED_OUT:
                metadata = document["metadata"]
                yield metadata.get("namespace", "default"), document["kind"], metadata["name"]
