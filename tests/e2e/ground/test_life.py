"""A cluster comes from nothing, is usable from the host, and goes without a trace.

The tests work in a copy of the tool, which has state and ports of its own: the cluster that other tests use stays.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ground import forward, paths

pytestmark = pytest.mark.e2e

NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can start an engine from packages")

POD = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: probe}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: probe
    image: localhost/node-tools:1
    imagePullPolicy: Never
    command: [sh, -c, "nslookup kubernetes.default.svc.cluster.local > /data/answer; exec sleep 3600"]
    readinessProbe: {exec: {command: [grep, "Name:", /data/answer]}, periodSeconds: 1}
    volumeMounts: [{name: data, mountPath: /data}]
  volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]
"""


@dataclass
class Copy:
    """A copy of the tool in a folder of its own."""

    root: Path
    environment: dict[str, str]

    @property
    def state(self) -> Path:
        return self.root / ".ground"

    def ground(self, *words: str, prefix: tuple[str, ...] = (), **environment: str) -> str:
        done = subprocess.run(
            [*prefix, sys.executable, "-m", "ground", *words],
            cwd=self.root,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=1800,  # the first one on a machine compiles Kubernetes
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def kubectl(self, *words: str, stdin: str = "", prefix: tuple[str, ...] = ()) -> str:
        done = subprocess.run(
            [*prefix, self.state / "bin/kubectl", f"--kubeconfig={self.state / 'kubeconfig'}", *words],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=200,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def engine(self) -> int:
        """The number of the engine's first process."""
        return children(int((self.state / "engine/pid").read_text()))[0]


def make_copy(root: Path) -> Copy:
    shutil.copytree(paths.REPO / "ground", root / "ground", ignore=shutil.ignore_patterns("__pycache__"))
    ports = {"INGRESS_PORT": str(forward.free_port()), "INGRESS_TLS_PORT": str(forward.free_port())}
    names = ("LLAMA_GROUND_WAY", "LLAMA_GROUND_NODE_IMAGE", "NODES", "DOCKER_HOST", "PYTHONPATH")
    inherited = {name: value for name, value in os.environ.items() if name not in names}
    return Copy(root, inherited | ports | {"LLAMA_GROUND_WAY": "packages"})


@pytest.fixture
def copy(tmp_path: Path) -> Iterator[Copy]:
    made = make_copy(tmp_path)
    yield made
    made.ground("down")
    shutil.rmtree(made.state)  # gigabytes, which pytest would keep for a while


def children(process: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def namespaces_of(process: int) -> set[str]:
    return {os.readlink(f"/proc/{process}/ns/{kind}") for kind in ("net", "mnt", "pid")}


def processes_in(namespaces: set[str]) -> list[str]:
    """The processes that are in one of the namespaces."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            own = namespaces_of(int(folder.name))
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # ended while we looked, or nobody's to look at: not one of ours
        if own & namespaces:
            found.append(f"{folder.name} {command}")
    return found


def everything_in(engine: int) -> set[str]:
    """The namespaces of the engine and, as containers have namespaces of their own, of all that descends from it."""
    found, left = set(), [engine]
    while left:
        process = left.pop()
        try:
            found |= namespaces_of(process)
            left += children(process)
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended while we looked
    return found - namespaces_of(os.getpid())


def traces(copy: Copy) -> list[str]:
    """Cgroups and mounts on the host that are the copy's."""
    script = "from ground import engine; print(engine.CGROUP)"
    command = [sys.executable, "-c", script]
    name = subprocess.run(command, cwd=copy.root, capture_output=True, text=True, check=True).stdout.strip()
    found = [str(path) for pattern in (name, f"*/{name}") for path in Path("/sys/fs/cgroup").glob(pattern)]
    return found + [line for line in Path("/proc/self/mounts").read_text().splitlines() if str(copy.root) in line]


@NEEDS_ROOT
def test_two_nodes_come_and_go_without_a_trace(tmp_path: Path) -> None:
    copy = make_copy(tmp_path)
    modules = Path("/lib/modules").exists()
    try:
        copy.ground("up", "--bare", "--nodes", "2")
        inside = everything_in(copy.engine())
        assert any("kubelet" in command for command in processes_in(inside))
        assert traces(copy)
        names = copy.kubectl("get", "nodes", "--output=jsonpath={.items[*].metadata.name}").split()
        assert names == ["llama-operator-control-plane", "llama-operator-worker"]
    finally:
        copy.ground("down")
    assert processes_in(inside) == []
    assert traces(copy) == []
    assert Path("/lib/modules").exists() is modules
    assert not (copy.state / "kubeconfig").exists()
    copy.ground("down")  # nothing to do is not an error
    shutil.rmtree(copy.state)


@NEEDS_ROOT
def test_the_cluster_is_usable_and_up_repeats(copy: Copy) -> None:
    copy.ground("up", "--bare")
    copy.kubectl("wait", "--for=create", "serviceaccount/default", "--timeout=60s")
    copy.kubectl("apply", "--filename=-", stdin=POD)
    copy.kubectl("wait", "--for=condition=Ready", "pod/probe", "--timeout=120s")
    assert "kubernetes.default.svc.cluster.local" in copy.kubectl("exec", "probe", "--", "cat", "/data/answer")
    outside = "nslookup -timeout=2 registry.example.com. || true"
    assert "NXDOMAIN" in copy.kubectl("exec", "probe", "--", "sh", "-c", outside)

    # The forwarder is killed: `up` brings it back and leaves the cluster alone.
    born = copy.kubectl("get", "node", "--output=jsonpath={.items[0].metadata.uid}")
    forwarder = int((copy.state / "engine/forward.pid").read_text())
    child = Path(f"/proc/{forwarder}/task/{forwarder}/children").read_text().split()[0]
    os.kill(int(child), 9)
    copy.ground("up", "--bare")
    assert copy.kubectl("get", "node", "--output=jsonpath={.items[0].metadata.uid}") == born

    events = [json.loads(line) for line in copy.ground("audit").splitlines()]
    mine = [event for event in events if event["requestURI"].startswith("/api/v1/namespaces/default/pods/probe/exec")]
    assert mine
    assert not any(event["user"].get("username", "").startswith("system:node:") for event in events)


@NEEDS_ROOT
def test_the_way_of_docker_works_on_any_engine(copy: Copy, tmp_path_factory: pytest.TempPathFactory) -> None:
    """With an engine that is somebody else's (here: of the copy) and a node image it has."""
    copy.ground("up", "--bare")
    target = f"--target={copy.engine()}"
    socket = f"unix://{copy.state / 'engine/docker.sock'}"
    docker = {"DOCKER_HOST": socket, "PATH": f"{copy.state / 'engine/bin'}:{os.environ['PATH']}"}
    image = subprocess.run(
        ["docker", "ps", "--format={{.Image}}"], env=os.environ | docker, capture_output=True, text=True, check=True
    ).stdout.strip()
    subprocess.run([copy.state / "bin/kind", "delete", "cluster", "--name=llama-operator"], env=os.environ | docker)

    # The engine sees this folder only, and so must its client's: kind mounts a file of it.
    user = make_copy(copy.state / "user")
    own = {**docker, "LLAMA_GROUND_WAY": "docker", "LLAMA_GROUND_NODE_IMAGE": image}
    prefix = ("nsenter", target, "--net")  # where the engine's loopback ports are
    user.ground("up", "--bare", prefix=prefix, **own)
    nodes = user.kubectl("get", "nodes", "--output=jsonpath={.items[*].status.nodeInfo.kubeletVersion}", prefix=prefix)
    assert nodes.startswith("v1.34.")
    assert not (user.state / "engine").exists()
    user.ground("down", prefix=prefix, **own)
    left = subprocess.run(["docker", "ps", "--all", "--quiet"], env=os.environ | docker, capture_output=True, text=True)
    assert left.stdout == ""
