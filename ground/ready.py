"""Install the addons and wait until the cluster can do what it is for."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import yaml

from ground import shell
from ground.cluster import LOG, Cluster

WAIT = "180s"


def rollout(namespace: str, workload: str) -> list[str]:
    """kubectl's words that wait for all pods of a workload ("deployment/name")."""
    return ["rollout", "status", workload, f"--namespace={namespace}"]


CORE = (
    rollout("kube-system", "deployment/coredns"),
    rollout("local-path-storage", "deployment/local-path-provisioner"),
)
"""What kind itself brings and does not wait for."""

QUICK_DNS = "spec: {replicas: 1, template: {spec: {containers: [{name: coredns, readinessProbe: {periodSeconds: 1}}]}}}"
"""kubeadm asks for two name servers and looks every 10 s whether they are ready; here one, at once, will do."""

ROLLED_OUT = ("Deployment", "DaemonSet", "StatefulSet")


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
        try:
            for wait in (["wait", "--for=condition=Ready", "nodes", "--all"], *CORE, *waits(manifests)):
                shell.run([*kubectl, *wait, f"--timeout={WAIT}"], log=LOG, env=environment)
        except shell.CommandError:
            # What was waited for is in the error; why it did not come is seen here.
            shell.say(shell.output([*kubectl, "get", "pods", "--all-namespaces"], env=environment))
            raise


def waits(manifests: Sequence[str]) -> Iterator[list[str]]:
    """kubectl's words that wait for everything in the manifests that gets ready: pods, and APIs that pods serve."""
    for manifest in manifests:
        for document in yaml.safe_load_all(manifest):
            if not document:
                continue
            kind, metadata = document["kind"], document["metadata"]
            if kind in ROLLED_OUT:
                yield rollout(metadata.get("namespace", "default"), f"{kind}/{metadata['name']}")
            elif kind == "APIService":
                yield ["wait", "--for=condition=Available", f"apiservice/{metadata['name']}"]
