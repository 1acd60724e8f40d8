"""Two operators, one Lease: one works, the other waits, and what changes hands is not written again."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path

import pytest

from tests.integration.engine.operator_process import Operator, eventually
from tests.integration.engine.place import FULL, Place, Start
from tests.integration.engine.proxy import Proxy


@pytest.fixture
def pair(place: Place, start: Start) -> tuple[Operator, Operator]:
    """The leader, and who stands by."""
    lease = f"{place.namespace}/operator"
    first = start(LEASE=lease)
    eventually(lambda: leads(first))
    second = start(LEASE=lease)
    eventually(lambda: stands_by(second))
    return first, second


def leads(operator: Operator) -> None:
    operator.expect("/readyz", "ok")
    assert operator.values()["leader"] == 1


def stands_by(operator: Operator) -> None:
    operator.expect("/readyz", "ok, standing by")
    operator.expect("/healthz", "ok, standing by")


def looked_at_the_lease(operator: Operator, before: Counter[tuple[str, str]]) -> None:
    assert (operator.calls() - before)["get", "Lease"] > 0


def settled(place: Place, operator: Operator) -> dict[str, str]:
    """Everything is there and nobody writes any more: the resource versions."""
    eventually(place.complete)
    operator.settle()
    return place.versions()


def test_the_one_who_stands_by_does_nothing(place: Place, pair: tuple[Operator, Operator]) -> None:
    leader, other = pair
    before = other.calls()
    place.model(FULL)
    settled(place, leader)
    eventually(lambda: looked_at_the_lease(other, before))
    assert (other.calls() - before).keys() == {("get", "Lease")}
    assert other.values()["cached_objects"] == other.values()["leader"] == 0
    assert any("standing by" in line for line in other.lines())


def test_sigterm_hands_over_at_once_and_nothing_is_written_again(place: Place, pair: tuple[Operator, Operator]) -> None:
    leader, other = pair
    place.model(FULL)
    before = settled(place, leader)
    assert leader.stop() == 0
    assert "lease released" in leader.lines()[-1]
    eventually(lambda: leads(other))
    other.settle(reconciles=1)
    assert place.versions() == before
    assert not other.writes()
    place.server("DELETE", place.service)
    eventually(lambda: place.get(place.service))


def test_a_killed_leader_is_replaced(place: Place, pair: tuple[Operator, Operator]) -> None:
    leader, other = pair
    leader.kill()
    place.model(FULL)
    eventually(place.complete, timeout=60)
    leads(other)


def test_a_leader_that_was_frozen_ends_without_a_word(place: Place, pair: tuple[Operator, Operator]) -> None:
    """It wakes up in a world that has another leader, and with work in its queue."""
    leader, other = pair
    place.model(FULL)
    settled(place, leader)
    leader.process.send_signal(signal.SIGSTOP)
    place.server("PATCH", place.service, {"spec": {"type": "NodePort"}})
    eventually(lambda: leads(other), timeout=60)

    def repaired() -> None:
        assert place.get(place.service)["spec"]["type"] == "ClusterIP"

    eventually(repaired)
    before = settled(place, other)
    leader.process.send_signal(signal.SIGCONT)
    assert leader.process.wait(timeout=30) == 1
    assert "lease lost" in leader.log.read_text()
    assert "Traceback" not in leader.log.read_text()
    assert place.versions() == before
    leads(other)


def test_an_api_server_out_of_reach_ends_the_leader_not_the_one_who_waits(
    place: Place, start: Start, kubeconfig: Path, tmp_path: Path
) -> None:
    with Proxy(kubeconfig) as proxy:
        leader = start(proxy.kubeconfig(tmp_path / "kubeconfig"), LEASE=f"{place.namespace}/operator")
        eventually(lambda: leads(leader))
        proxy.broken_writes = 1000
        assert leader.process.wait(timeout=60) == 1
        assert "lease lost" in leader.log.read_text()
        other = start(LEASE=f"{place.namespace}/operator")
        eventually(lambda: leads(other), timeout=60)
