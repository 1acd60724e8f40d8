"""The bare API server: usable while it runs, nothing of it left afterwards, however that comes about."""

import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from ground import apiserver, paths

pytestmark = pytest.mark.integration

GONE_SECONDS = 10.0


def _ask(server: apiserver.Server, path: str, body: object = None) -> str:
    config = yaml.safe_load(server.kubeconfig.read_text())
    trust = ssl.create_default_context(cafile=config["clusters"][0]["cluster"]["certificate-authority"])
    headers = {"Authorization": f"Bearer {config['users'][0]['user']['token']}", "Content-Type": "application/json"}
    data = json.dumps(body).encode() if body else None
    request = urllib.request.Request(f"{server.url}{path}", data=data, headers=headers)
    with urllib.request.urlopen(request, context=trust) as reply:
        return str(reply.read().decode())


def _get(server: apiserver.Server, path: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(_ask(server, path))
    return answer


def _processes_in(folder: Path) -> list[str]:
    """Command lines of the processes that were started from this folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except (FileNotFoundError, ProcessLookupError):
                continue  # it ended while we looked
            if line.startswith(str(folder)):
                found.append(line)
    return found


def test_the_kubeconfig_works_and_requests_are_audited() -> None:
    with apiserver.running() as server:
        home = server.kubeconfig.parent
        assert _get(server, "/api/v1/namespaces/default")["kind"] == "Namespace"
        uris = [json.loads(line)["requestURI"] for line in server.audit_log.read_text().splitlines()]
        assert "/api/v1/namespaces/default" in uris
        assert len(_processes_in(home)) == 2
    assert not home.exists()
    assert not _processes_in(home)


def test_no_server_outlives_a_killed_test_run() -> None:
    code = "from ground import apiserver\nwith apiserver.running() as s:\n  print(s.kubeconfig, flush=True)\n  input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=paths.REPO, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        home = Path(run.stdout.readline().strip()).parent
        assert len(_processes_in(home)) == 2
        os.kill(run.pid, signal.SIGKILL)
    end = time.monotonic() + GONE_SECONDS
    while left := _processes_in(home):
        assert time.monotonic() < end, left
        time.sleep(0.05)
    # Only the files are left to the system's own cleaning; this test is tidier.
    shutil.rmtree(home)


def test_a_restart_keeps_everything_but_versions_from_before_a_compaction() -> None:
    maps = "/api/v1/namespaces/default/configmaps"
    with apiserver.running() as server:
        pid, version = server.process.handle.pid, _get(server, maps)["metadata"]["resourceVersion"]
        _ask(server, maps, {"metadata": {"name": "kept"}})
        old = f"{maps}?watch=true&timeoutSeconds=1&resourceVersion={version}"
        assert json.loads(_ask(server, old).splitlines()[0])["type"] == "ADDED"
        assert server.compact() > int(version)
        server.restart()
        assert server.process.handle.pid != pid
        assert _get(server, f"{maps}/kept")["metadata"]["name"] == "kept"
        assert json.loads(_ask(server, old).splitlines()[0])["object"]["code"] == 410
