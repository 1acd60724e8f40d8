"""A new source, staged ahead by a Job: what the API server keeps of it, and that nobody writes without need."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.integration.engine.operator_process import Operator, eventually
from tests.integration.engine.place import SPEC, Place, Start
from tests.integration.server import Object

STORED: Object = SPEC | {"storage": {"claim": {"size": "1Gi"}}}
OTHER: Object = STORED | {"source": {"url": {"url": "http://files/other.gguf"}}}
ANOTHER_MODEL: Object = OTHER | {"engine": {"args": ["--temp", "0"], "contextSize": 8192}, "image": "localhost/other:1"}
CACHE: Object = SPEC | {"storage": {"cache": {"claimName": "shared", "whenUnused": "Delete"}}}


def jobs(place: Place) -> list[Object]:
    found: list[Object] = place.get(place.jobs)["items"]
    return [job for job in found if "deletionTimestamp" not in job["metadata"]]


def served(place: Place) -> str:
    (container,) = place.get(place.deployment)["spec"]["template"]["spec"]["initContainers"]
    return str(container["args"])


def version(place: Place) -> Object:
    """What tells one pod template from another, and what the Deployment says of it."""
    deployment = place.get(place.deployment)
    return {
        "template": deployment["spec"]["template"],
        "served": deployment["metadata"]["annotations"]["llama-operator.dev/served"],
        "generation": deployment["metadata"]["generation"],
    }


def answer(place: Place, available: int) -> None:
    """What the Deployment's controller writes, which is not here; the operator has taken it up."""
    counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), available)
    place.server("PATCH", f"{place.deployment}/status", {"status": counts})

    def told() -> None:
        status = place.get(f"{place.models}/m").get("status", {})
        assert status.get("readyReplicas") == available

    eventually(told)


def changed(place: Place, start: Start) -> Operator:
    """One source is served, and another is asked for."""
    operator = start().ready()
    place.model(STORED)
    eventually(lambda: place.condition("Ready"))
    answer(place, 1)
    place.model(OTHER)

    def made() -> None:
        assert len(jobs(place)) == 1

    eventually(made)
    operator.settle()
    return operator


def complete(place: Place) -> None:
    """What the Job's controller writes, which is not here."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    (job,) = jobs(place)
    told = {"status": "True", "lastProbeTime": now, "lastTransitionTime": now}
    status = {
        "startTime": now,
        "completionTime": now,
        "succeeded": 1,
        "ready": 0,
        "terminating": 0,
        "uncountedTerminatedPods": {},
        "conditions": [{"type": type_, **told} for type_ in ("SuccessCriteriaMet", "Complete")],
    }
    path = f"{place.jobs}/{job['metadata']['name']}/status"
    place.server("PATCH", path, {"status": status})


def test_what_is_served_stays_until_the_job_is_complete(place: Place, start: Start) -> None:
    operator = changed(place, start)
    assert "other.gguf" not in served(place)
    assert "other.gguf" in str(jobs(place)[0]["spec"])
    before = place.versions()
    operator.settle(reconciles=1)
    assert place.versions() == before
    complete(place)

    def rolled() -> None:
        assert "other.gguf" in served(place)
        assert jobs(place) == []

    eventually(rolled)
    operator.settle()
    assert operator.writes()["apply", "Job"] == 1
    assert operator.writes()["delete", "Job"] == 1


def test_another_model_is_rolled_once_with_all_that_it_needs(place: Place, start: Start) -> None:
    operator = start().ready()
    place.model(STORED)
    eventually(lambda: place.condition("Ready"))
    answer(place, 1)
    old = version(place)
    place.model(ANOTHER_MODEL)

    def made() -> None:
        assert len(jobs(place)) == 1

    eventually(made)
    answer(place, 0)  # the node restarts
    place.model(ANOTHER_MODEL | {"engine": {"slots": 2}})
    operator.settle(reconciles=1)
    assert version(place) == old
    complete(place)

    def rolled() -> None:
        assert version(place)["generation"] == old["generation"] + 1
        assert jobs(place) == []

    eventually(rolled)
    operator.settle()
    container, _ = version(place)["template"]["spec"]["containers"]
    assert "--parallel 2" in " ".join(container["args"])
    assert container["image"] == "localhost/other:1"
    assert operator.writes()["apply", "Job"] == 1
    assert operator.writes()["apply", "Deployment"] == 2


def test_a_first_source_that_nobody_was_served_is_corrected_at_once(place: Place, start: Start) -> None:
    operator = start().ready()
    place.model(STORED)
    eventually(lambda: place.condition("Ready"))
    place.model(OTHER)

    def rolled() -> None:
        assert "other.gguf" in served(place)

    eventually(rolled)
    operator.settle()
    assert jobs(place) == []


def test_a_restart_meanwhile_writes_nothing(place: Place, start: Start) -> None:
    assert changed(place, start).stop() == 0
    before = place.versions()
    second = start().ready()
    second.settle(reconciles=1)
    assert not second.writes()
    assert place.versions() == before


def test_a_source_that_is_taken_back_ends_its_job(place: Place, start: Start) -> None:
    operator = changed(place, start)
    version = place.get(place.deployment)["metadata"]["resourceVersion"]
    place.model(STORED)

    def gone() -> None:
        assert jobs(place) == []

    eventually(gone)
    operator.settle()
    assert place.get(place.deployment)["metadata"]["resourceVersion"] == version


def test_the_condition_tells_of_it(place: Place, start: Start) -> None:
    changed(place, start)
    assert place.condition("Ready")["reason"] == "Staging"
    assert "the servers keep what they have" in place.condition("Staged")["message"]
    assert place.get(f"{place.models}/m")["status"]["state"] == "Staging"


def test_no_replicas_are_staged_for_all_the_same(place: Place, start: Start) -> None:
    start().ready()
    place.model(STORED | {"replicas": 0})

    def made() -> None:
        assert len(jobs(place)) == 1

    eventually(made)
    complete(place)

    def told() -> None:
        assert place.condition("Staged")["status"] == "True"
        assert place.condition("Ready")["reason"] == "ScaledToZero"

    eventually(told)
    assert len(jobs(place)) == 1


def test_a_cache_is_collected_when_its_model_has_gone(place: Place, start: Start) -> None:
    start().ready()
    place.model(CACHE)
    eventually(lambda: place.condition("Ready"))
    place.server("DELETE", f"{place.models}/m")
    place.server("DELETE", place.deployment)  # nobody collects garbage here

    def collected() -> None:
        assert [job["metadata"]["name"].rpartition("-")[0][:12] for job in jobs(place)] == ["llama-cache-"]

    eventually(collected)
