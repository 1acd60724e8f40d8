"""etcd and kube-apiserver alone, in a few seconds: what an integration test of an API client needs, without a node.

    with apiserver.running() as server:
        client(server.kubeconfig)

Everything is in a folder of its own and listens on free ports of the loopback address only.
"""

import argparse
import json
import secrets
import signal
import threading
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from ground import binaries, packages, processes, shell

AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}

READY = "/readyz"
NAMESPACE = "/api/v1/namespaces/default"
SERVICE_ACCOUNT = f"{NAMESPACE}/serviceaccounts/default"


@dataclass(frozen=True)
class Server:
    """A running API server: how to reach it as cluster-admin, and what it notes of every request.

    `audit_log` grows by one JSON document a line for each request, before it is answered. `etcd` is the address of
    its store, which asks for no credentials. `clients` are those of its clients that are restarted with it.
    """

    kubeconfig: Path
    audit_log: Path
    url: str
    etcd: str
    process: processes.Process
    clients: list[processes.Process]

    def restart(self, *paths: str) -> None:
        """Kill kube-apiserver and start it again: same store, address, certificate and token. Waits until it answers.

        The controllers are restarted, too: after a few failed attempts they would wait for half a minute. They start
        when these `paths` are answered as well; a kind that comes later, a CRD's, is not collected for minutes. To be
        called by the thread that entered `running`. Raises GroundError if it does not get ready.
        """
        self.process.restart()
        config = yaml.safe_load(self.kubeconfig.read_text())
        token, cluster = config["users"][0]["user"]["token"], config["clusters"][0]["cluster"]
        authority = Path(cluster["certificate-authority"])
        processes.wait_until_answered(self.process, self.url, (READY, NAMESPACE, *paths), token, authority)
        for client in self.clients:
            client.restart()

    def compact(self) -> int:
        """Have etcd forget all versions before the present one, and return that.

        A watch from an older version is answered with 410 then, unless kube-apiserver has the changes since in its
        own memory: that goes with a restart.
        """
        revision = self._ask_etcd("maintenance/status", {})["header"]["revision"]
        self._ask_etcd("kv/compaction", {"revision": revision, "physical": True})
        return int(revision)

    def _ask_etcd(self, method: str, question: dict[str, Any]) -> dict[str, Any]:
        """One call through etcd's HTTP gateway; 64-bit numbers are strings in its JSON."""
        request = urllib.request.Request(f"{self.etcd}/v3/{method}", data=json.dumps(question).encode())
        with urllib.request.urlopen(request, timeout=30) as reply:
            answer: dict[str, Any] = json.load(reply)
        return answer


@contextmanager
def running(
    *, controllers: bool = False, before_controllers: Callable[[Server], None] = lambda server: None
) -> Iterator[Server]:
    """Start etcd and kube-apiserver; end them and remove all they wrote at the end, or when this process dies.

    With `controllers` also kube-controller-manager: garbage collection by owner reference, the status of
    Deployments, service accounts. Pods stay Pending in any case: there is no node. `before_controllers` is the time
    to install CRDs: the garbage collector looks for new kinds when it starts, and then every 30 s.
    Raises GroundError, with the log's tail, if something does not get ready.
    """
    kube = binaries.ensure("kube")["kube"]
    packages.require("openssl", "setpriv")
    with TemporaryDirectory(prefix="apiserver-") as name, ExitStack() as stack:
        home = Path(name)
        client, peer, secure = processes.free_ports(3)
        etcd, url, token = f"http://{processes.LOOPBACK}:{client}", f"https://{processes.LOOPBACK}:{secure}", _token()
        _write_files(home, token)
        stack.enter_context(processes.started(kube, "etcd", _etcd_flags(home, etcd, peer), home))
        flags = _apiserver_flags(home, etcd, secure, controllers=controllers)
        api = stack.enter_context(processes.started(kube, "kube-apiserver", flags, home))
        certificate = home / "certs" / "apiserver.crt"
        processes.wait_until_answered(api, url, (READY, NAMESPACE), token, certificate)
        server = Server(home / "kubeconfig", home / "audit.log", url, etcd, api, [])
        server.kubeconfig.write_text(kubeconfig(url, token, certificate))
        if controllers:
            before_controllers(server)
            manager = _manager_flags(home, server)
            own = stack.enter_context(processes.started(kube, "kube-controller-manager", manager, home))
            processes.wait_until_answered(own, url, (SERVICE_ACCOUNT,), token, certificate)
            server.clients.append(own)
        yield server


def kubeconfig(url: str, token: str, authority: Path) -> str:
    """A kubeconfig for one server, one bearer token and the certificate of the server's authority."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {"server": url, "certificate-authority": str(authority)}}],
        "users": [{"name": "admin", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin", "namespace": "default"}}],
        "current-context": "test",
    }
    return yaml.safe_dump(config)


def main(words: Sequence[str] = ()) -> None:
    """Run until interrupted; print the kubeconfig's path on stdout once the server answers."""
    parser = argparse.ArgumentParser(prog="apiserver", description=main.__doc__)
    parser.add_argument("--controllers", action="store_true", help="kube-controller-manager as well")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with running(controllers=parser.parse_args(words).controllers) as server:
        print(server.kubeconfig, flush=True)
        shell.say(f"export KUBECONFIG={server.kubeconfig}   (Ctrl-C ends it; requests are in {server.audit_log})")
        stop.wait()


def _etcd_flags(home: Path, url: str, peer: int) -> Sequence[str]:
    peer_url = f"http://{processes.LOOPBACK}:{peer}"
    return [
        f"--data-dir={home / 'etcd'}",
        f"--listen-client-urls={url}",
        f"--advertise-client-urls={url}",
        f"--listen-peer-urls={peer_url}",
        f"--initial-advertise-peer-urls={peer_url}",
        f"--initial-cluster=default={peer_url}",
        "--unsafe-no-fsync",
    ]


def _apiserver_flags(home: Path, etcd: str, port: int, *, controllers: bool) -> Sequence[str]:
    flags = [
        f"--etcd-servers={etcd}",
        f"--bind-address={processes.LOOPBACK}",
        f"--advertise-address={processes.LOOPBACK}",
        "--endpoint-reconciler-type=none",
        f"--secure-port={port}",
        f"--cert-dir={home / 'certs'}",
        f"--token-auth-file={home / 'tokens.csv'}",
        "--authorization-mode=RBAC",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={home / 'sa.key'}",
        f"--service-account-signing-key-file={home / 'sa.key'}",
        # One address for each Service: enough for tests with thousands.
        "--service-cluster-ip-range=10.255.0.0/16",
        f"--audit-policy-file={home / 'audit-policy.yaml'}",
        f"--audit-log-path={home / 'audit.log'}",
        "--audit-log-mode=blocking",
        "--feature-gates=ImageVolume=true",  # on by default from Kubernetes 1.35
        # One file, so that a place in it stays the same: 0 would mean 100 MB.
        "--audit-log-maxsize=4096",
    ]
    # Without the controller that makes service accounts, no pod would be let in.
    return flags if controllers else [*flags, "--disable-admission-plugins=ServiceAccount"]


def _manager_flags(home: Path, server: Server) -> Sequence[str]:
    return [
        f"--kubeconfig={server.kubeconfig}",
        f"--service-account-private-key-file={home / 'sa.key'}",
        "--leader-elect=false",
        "--secure-port=0",
        # 50 controllers start at once: at the usual 20 requests a second that takes 4 s.
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
    ]


def _token() -> str:
    return secrets.token_hex(16)


def _write_files(home: Path, token: str) -> None:
    """The administrator's token, the audit policy, and the key that signs service accounts' tokens."""
    key = ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(home / "sa.key")]
    shell.output(key)
    (home / "tokens.csv").write_text(f"{token},admin,admin,system:masters\n")
    (home / "audit-policy.yaml").write_text(yaml.safe_dump(AUDIT_POLICY))
    (home / "audit.log").touch()


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
