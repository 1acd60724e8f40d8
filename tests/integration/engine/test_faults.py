"""What goes wrong around the operator, or ends it: lost watches, lost answers, kills."""

from __future__ import annotations

import itertools
import json
import signal
from pathlib import Path

import pytest

from tests.integration.engine.operator_process import eventually
from tests.integration.engine.place import FULL, Place, Start
from tests.integration.engine.proxy import Proxy


@pytest.mark.parametrize("writes", [1, 2, 3, 4, 5])
def test_killed_in_the_middle_of_a_creation(
    place: Place, start: Start, kubeconfig: Path, tmp_path: Path, writes: int
) -> None:
    """The API server has done the n-th write, and the operator never hears of it."""
    with Proxy(kubeconfig) as proxy:
        operator = start(proxy.kubeconfig(tmp_path / "kubeconfig")).ready()
        done = itertools.count(1)

        def kill(method: str, path: str) -> None:
            if next(done) == writes:
                operator.process.send_signal(signal.SIGKILL)
                operator.process.wait(timeout=10)

        proxy.on_write = kill
        place.model({**FULL, "auth": {"none": True}})
        assert operator.process.wait(timeout=30) == -signal.SIGKILL
    successor = start().ready()
    eventually(place.complete)
    successor.settle()
    applied = sum(count for (verb, _), count in successor.writes().items() if verb == "apply")
    assert applied == max(6 - writes, 0)


def test_a_deletion_that_no_watch_reports_is_healed(
    place: Place, start: Start, kubeconfig: Path, tmp_path: Path
) -> None:
    with Proxy(kubeconfig) as proxy:
        operator = start(proxy.kubeconfig(tmp_path / "kubeconfig"), RESYNC_SECONDS="2").ready()
        place.model(FULL)
        eventually(place.complete)
        operator.settle()
        proxy.blind()
        place.server("DELETE", place.service)
        eventually(lambda: place.get(place.service))
        assert operator.alive()


def test_a_deletion_that_is_lost_in_a_410_is_healed(
    place: Place, start: Start, kubeconfig: Path, tmp_path: Path
) -> None:
    """kopf lists again after 410 Gone, and reports what is there; what is not there any more, it does not."""
    with Proxy(kubeconfig) as proxy:
        operator = start(proxy.kubeconfig(tmp_path / "kubeconfig"), RESYNC_SECONDS="3").ready()
        place.model(FULL)
        eventually(place.complete)
        operator.settle()
        services = place.service.rpartition("/")[0]

        def watched() -> None:
            assert services in proxy.watched()

        eventually(watched)  # else it is none of those that are broken
        proxy.blind()
        place.server("DELETE", place.service)
        proxy.see()

        def gone() -> None:
            assert services in proxy.told_gone

        eventually(gone)
        eventually(lambda: place.get(place.service))
        # and the watches work again
        place.server("PATCH", place.service, {"spec": {"type": "NodePort"}})

        def repaired() -> None:
            assert place.get(place.service)["spec"]["type"] == "ClusterIP"

        eventually(repaired)


def test_server_errors_are_outlived(place: Place, start: Start, kubeconfig: Path, tmp_path: Path) -> None:
    """The first four writes are not even passed on."""
    with Proxy(kubeconfig) as proxy:
        proxy.broken_writes = 4
        operator = start(proxy.kubeconfig(tmp_path / "kubeconfig")).ready()
        place.model(FULL)
        place.model(FULL, name="n")
        eventually(place.complete, timeout=60)
        eventually(lambda: place.condition("Ready", "n"), timeout=60)
        assert proxy.broken_writes == 0
        assert operator.alive()


def test_sigterm_ends_it_in_order(place: Place, start: Start) -> None:
    operator = start().ready()
    place.model(FULL)
    eventually(place.complete)
    assert operator.stop() == 0
    assert "stopped unfinished=0" in operator.lines()[-1]


def test_without_the_crd_it_says_so_and_ends(place: Place, start: Start, kubeconfig: Path, tmp_path: Path) -> None:
    with Proxy(kubeconfig) as proxy:
        config = json.loads(proxy.kubeconfig(tmp_path / "kubeconfig").read_text())
        config["clusters"][0]["cluster"]["server"] += "/no-such-path"
        (tmp_path / "kubeconfig").write_text(json.dumps(config))
        operator = start(tmp_path / "kubeconfig")
        assert operator.process.wait(timeout=30) == 1
    assert any("is the CRD installed?" in line for line in operator.lines())


def test_a_wrong_setting_is_named(start: Start) -> None:
    operator = start(WORKERS="many")
    assert operator.process.wait(timeout=30) == 2
    assert "WORKERS" in operator.log.read_text()
