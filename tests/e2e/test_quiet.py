"""What the operator costs: calls for one model, writes when nothing changes, memory. Measured, and bounded."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from demo.cluster import OPERATOR_NAMESPACE, kubectl
from tests.e2e import audit, operator_pods
from tests.e2e.conftest import HOST_DOMAIN, FileServer
from tests.e2e.witness import Model, Witness, eventually

pytestmark = pytest.mark.e2e

CALM_SECONDS = 60
MEMORY = """
import glob
lines = [line for name in glob.glob("/proc/[0-9]*/status") for line in open(name)]
print(max(int(line.split()[1]) for line in lines if line.startswith("VmRSS")))
"""
"""The operator is the largest process in its container; KiB."""


def settle() -> None:
    """Wait until the operator has written nothing for ten seconds."""

    def calm() -> None:
        assert audit.writes(audit.calls(audit.now() - timedelta(seconds=10))) == []

    eventually(calm, timeout=90)


def test_calls_from_apply_to_ready(
    new_model: Callable[[str], Model], files_in_cluster: FileServer, measurements: dict[str, Any]
) -> None:
    settle()
    model = new_model("counted")
    host = f"counted-{model.namespace}.{HOST_DOMAIN}"
    since, begin = audit.now(), time.monotonic()
    model.apply(source=files_in_cluster.source(), ingress={"host": host})
    model.ready()
    seconds = time.monotonic() - begin
    counted = audit.by_verb(audit.calls(since))
    measurements["apply_to_ready_seconds"] = round(seconds, 1)
    measurements["operator_calls_from_apply_to_ready"] = counted
    applies = {kind: counted.get(f"patch {kind}") for kind in ("deployments", "services", "ingresses")}
    assert applies == {"deployments": 1, "services": 1, "ingresses": 1}
    assert counted["patch llamamodels/status"] <= 12, "the status is written more often than it changes"
    assert seconds < 30


def test_no_writes_when_nothing_changes(
    served: Model, witness: Witness, namespace: str, measurements: dict[str, Any]
) -> None:
    settle()
    since = audit.now()
    seen = witness.watch_models(namespace, CALM_SECONDS)
    calls = audit.calls(since)
    measurements["operator_calls_in_a_calm_minute"] = audit.by_verb(calls)
    measurements["operator_writes_in_a_calm_minute"] = len(audit.writes(calls))
    assert audit.writes(calls) == []
    assert seen == []


def test_memory(served: Model, witness: Witness, measurements: dict[str, Any]) -> None:
    command = ("exec", "-n", OPERATOR_NAMESPACE, operator_pods.leader(witness), "--", "python", "-c", MEMORY)
    resident = int(kubectl(*command)) / 1024
    measurements["operator_resident_memory_MiB"] = round(resident)
    assert resident < 150
