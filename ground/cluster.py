"""Create and remove the cluster, and put images into it; the same for both ways but for where the engine is."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ground import engine, forward, kindconfig, paths, shell
from ground.choose import Way
from ground.kindconfig import Ports

LOG = paths.LOGS / "cluster.log"
AUDIT_POLICY = paths.STATE / "audit-policy.yaml"

# kind hands the host's proxy settings to the nodes; in the engine's own network no proxy can be reached.
NO_PROXY = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"), "")


@dataclass(frozen=True)
class Node:
    """A container that is a node of the cluster."""

    name: str
    running: bool
    image: str


@dataclass(frozen=True)
class Cluster:
    """The cluster of this checkout: the way it came about and the programs that reach it."""

    way: Way
    ports: Ports
    kind: Path
    kubectl: Path

    def environment(self) -> dict[str, str]:
        """What docker's, kind's and kubectl's commands need to meet this cluster and no other."""
        own = {**engine.docker_env(), **NO_PROXY} if self.way is Way.PACKAGES else {}
        return {**own, "KUBECONFIG": str(paths.KUBECONFIG)}

    def nodes(self) -> list[Node]:
        """The nodes there are, running or not."""
        label = f"label=io.x-k8s.kind.cluster={kindconfig.CLUSTER}"
        command = ["docker", "ps", "--all", "--no-trunc", "--filter", label, "--format", "{{json .}}"]
        lines = shell.output(command, env=self.environment()).splitlines()
        return [Node(row["Names"], row["State"] == "running", row["Image"]) for row in map(json.loads, lines)]

    def ready(self) -> bool:
        """Whether the API server answers on the host's loopback."""
        return paths.KUBECONFIG.exists() and shell.succeeds(
            [str(self.kubectl), "get", "--raw=/readyz"], env=self.environment(), timeout=10
        )

    def create(self, image: str, nodes: int) -> None:
        """Create the cluster; the kubeconfig is written when its API server answers."""
        shutil.copyfile(Path(__file__).with_name("audit-policy.yaml"), AUDIT_POLICY)
        command = [str(self.kind), "create", "cluster", "--image", image, "--config", "-", "--retain"]
        command += ["--kubeconfig", str(paths.KUBECONFIG)]
        title = f"create the kind cluster {kindconfig.CLUSTER} ({nodes} node{'s' if nodes > 1 else ''})"
        config = kindconfig.config(nodes, self.ports, AUDIT_POLICY)
        shell.run(command, log=LOG, env=self.environment(), stdin=config, title=title)

    def delete(self) -> None:
        """Delete the cluster's containers, their network stays with the engine."""
        command = [str(self.kind), "delete", "cluster", "--name", kindconfig.CLUSTER]
        command += ["--kubeconfig", str(paths.KUBECONFIG)]
        shell.run(command, log=LOG, env=self.environment(), title="delete the cluster")
        paths.KUBECONFIG.unlink(missing_ok=True)

    def connect(self) -> None:
        """Have the cluster's ports on the host's loopback, where the engine has a network of its own."""
        if self.way is Way.PACKAGES:
            wanted = [kindconfig.api_port(), self.ports.http, self.ports.https]
            if not all(forward.is_open(port) for port in wanted):
                forward.start(wanted)

    def apply(self, manifests: Sequence[str]) -> None:
        """Apply manifests as a whole, server-side: there is nothing to compare with on a fresh cluster."""
        command = [str(self.kubectl), "apply", "--server-side", "--force-conflicts", "--filename", "-"]
        shell.run(command, log=LOG, env=self.environment(), stdin="\n---\n".join(manifests))

    def has(self, reference: str) -> bool:
        """Whether every node has this image."""
        return all(
            shell.succeeds(["docker", "exec", node.name, "crictl", "inspecti", reference], env=self.environment())
            for node in self.nodes()
        )

    def load(self, archive: Path) -> None:
        """Put the images of a docker-archive into every node."""
        command = [str(self.kind), "load", "image-archive", str(archive), "--name", kindconfig.CLUSTER]
        shell.run(command, log=LOG, env=self.environment())

    def load_from_engine(self, reference: str) -> None:
        """Put an image that the engine has into every node."""
        command = [str(self.kind), "load", "docker-image", reference, "--name", kindconfig.CLUSTER]
        shell.run(command, log=LOG, env=self.environment())

    def have_kubectl(self) -> None:
        """Without a kubectl of the user's own: the one that every node image brings."""
        if not self.kubectl.exists():
            source = f"{kindconfig.CONTROL_PLANE}:/usr/bin/kubectl"
            shell.run(["docker", "cp", "--follow-link", source, str(self.kubectl)], log=LOG, env=self.environment())

    def audit(self) -> str:
        """The API server's audit log so far, one JSON document a line."""
        return shell.output(
            ["docker", "exec", kindconfig.CONTROL_PLANE, "cat", kindconfig.AUDIT_LOG], env=self.environment()
        )
