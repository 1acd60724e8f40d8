"""Install the addons and wait until the cluster can do what it is for."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import yaml

from ground import shell
from ground.cluster import LOG, Cluster

WAIT = "180s"
CORE = (("kube-system", "Deployment", "coredns"), ("local-path-storage", "Deployment", "local-path-provisioner"))
"""What kind itself brings and does not wait for."""

QUICK_DNS = "spec: {replicas: 1, template: {spec: {containers: [{name: coredns, readinessProbe: {periodSeconds: 1}}]}}}"
"""kubeadm asks for two name servers and looks every 10 s whether they are ready; here one, at once, will do."""

ROLLED_OUT = ("Deployment", "DaemonSet", "StatefulSet")

Workload = tuple[str, str, str]


def install(target: Cluster, manifests: Sequence[str], archives: Mapping[str, Path]) -> None:
    """Bring the addons, then wait for them, the name server, storage and all nodes.

    `archives` are the addons' images by reference; a node image of the day has them already.
    """
    kubectl = [str(target.kubectl)]
    environment = target.environment()
    dns = ["patch", "deployment/coredns", "--namespace=kube-system", f"--patch={QUICK_DNS}"]
    shell.run([*kubectl, *dns], log=LOG, env=environment)
    for reference, archive in archives.items():
        if not target.has(reference):
            with shell.step(f"load {reference}"):
                target.load(archive)
    if manifests:
        with shell.step("install Traefik and metrics-server"):
            target.apply(manifests)
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
