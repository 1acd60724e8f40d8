"""What is asked of kind: the cluster's configuration, and kind's and kubectl's commands."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from ground import paths

CLUSTER = "llama-operator"
CONTROL_PLANE = f"{CLUSTER}-control-plane"

# kind v0.30.0's own node image, by content: https://github.com/kubernetes-sigs/kind/releases/tag/v0.30.0
NODE_IMAGE = "kindest/node:v1.34.0@sha256:7416a61b42b1662ca6ca89f02028ac133a309a2a30ba309614e8ec94d976dc5a"

AUDIT_POLICY = "/etc/kubernetes/audit-policy.yaml"
AUDIT_FOLDER = "/var/log/kubernetes"
AUDIT_LOG = f"{AUDIT_FOLDER}/audit.log"

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Ports:
    """Loopback ports of the host that lead to the Ingress controller."""

    http: int
    https: int

    @classmethod
    def from_environment(cls) -> "Ports":
        """INGRESS_PORT and INGRESS_TLS_PORT, 8080 and 8443 without them."""
        return cls(int(os.environ.get("INGRESS_PORT", "8080")), int(os.environ.get("INGRESS_TLS_PORT", "8443")))


def config(nodes: int, ports: Ports, audit_policy: Path) -> str:
    """kind's configuration file: one control plane that also works, and `nodes` - 1 workers."""
    control_plane = {
        "role": "control-plane",
        "extraPortMappings": [
            {"containerPort": 80, "hostPort": ports.http, "listenAddress": LOOPBACK},
            {"containerPort": 443, "hostPort": ports.https, "listenAddress": LOOPBACK},
        ],
        "extraMounts": [{"hostPath": str(audit_policy), "containerPath": AUDIT_POLICY, "readOnly": True}],
    }
    whole = {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "name": CLUSTER,
        "networking": {"apiServerAddress": LOOPBACK},
        "nodes": [control_plane, *({"role": "worker"} for _ in range(nodes - 1))],
        "kubeadmConfigPatches": [yaml.safe_dump(_cluster_patch())],
    }
    return yaml.safe_dump(whole, sort_keys=False)


def _cluster_patch() -> Mapping[str, object]:
    policy = {"hostPath": AUDIT_POLICY, "mountPath": AUDIT_POLICY, "readOnly": True, "pathType": "File"}
    folder = {"hostPath": AUDIT_FOLDER, "mountPath": AUDIT_FOLDER, "pathType": "DirectoryOrCreate"}
    audit = {
        "audit-policy-file": AUDIT_POLICY,
        "audit-log-path": AUDIT_LOG,
        "audit-log-maxsize": "100",  # MiB, then a new file; one old file stays
        "audit-log-maxbackup": "1",
    }
    # Nobody else stands for election, and a start of 50 controllers is what 20 requests a second hold up for 4 s.
    alone = {"leader-elect": "false", "kube-api-qps": "500", "kube-api-burst": "1000"}
    return {
        "kind": "ClusterConfiguration",
        "apiServer": {
            "extraArgs": audit,
            "extraVolumes": [{"name": "audit-policy", **policy}, {"name": "audit-log", **folder}],
        },
        "controllerManager": {"extraArgs": alone},
        "scheduler": {"extraArgs": alone},
        # A cluster that is thrown away needs no protection from a power cut.
        "etcd": {"local": {"extraArgs": {"unsafe-no-fsync": "true"}}},
    }


def api_port(kubeconfig: Path = paths.KUBECONFIG) -> int:
    """The API server's port of the host's loopback, as kind wrote it down."""
    document = yaml.safe_load(kubeconfig.read_text())
    server: str = document["clusters"][0]["cluster"]["server"]
    return int(server.rpartition(":")[2])
