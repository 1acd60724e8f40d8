"""The Jobs: one stages ahead for a model, one collects in a cache."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from llama_operator import constants
from llama_operator.api.types import Cache, Pod, SpecError, parse
from llama_operator.resources import build
from llama_operator.resources.collect import collect_job
from llama_operator.resources.job import stage_job
from llama_operator.resources.staging import fingerprint
from tests.unit.resources.models import CONFIG, UID, expand, model, raw

CACHE: dict[str, Any] = {"storage": {"cache": {"claimName": "cache"}}}
NODES: dict[str, Any] = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchFields": []}]}}
PLACEMENT: dict[str, Any] = {
    "labels": {"team": "a"},
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"operator": "Exists"}],
    "affinity": {"nodeAffinity": NODES, "podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": []}},
    "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}],
    "priorityClassName": "high",
    "runtimeClassName": "nvidia",
    "serviceAccountName": "models",
    "imagePullSecrets": [{"name": "registry"}],
}


def job(name: str = "tiny", **spec: Any) -> dict[str, Any]:
    manifest = raw(**CACHE | spec)
    manifest["metadata"]["name"] = name
    return stage_job(parse(manifest), CONFIG)


def pod(made: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = made["spec"]["template"]["spec"]
    return spec


def test_the_job_is_the_models() -> None:
    made = job()
    [owner] = made["metadata"]["ownerReferences"]
    assert (owner["uid"], owner["controller"]) == (UID, True)
    for labels in (made["metadata"]["labels"], made["spec"]["template"]["metadata"]["labels"]):
        assert (labels[constants.MODEL_LABEL], labels[constants.COMPONENT_LABEL]) == ("tiny", "stager")
    assert made["metadata"]["annotations"][constants.STAGES] == fingerprint(model(**CACHE))


def test_the_job_runs_the_stager_of_the_servers() -> None:
    """The same in all but when it runs: what it puts in place is what the server's own stager finds."""
    hub = {"repo": "a/b", "file": "m", "tokenSecretRef": {"name": "s", "key": "k"}}
    spec: dict[str, Any] = {"source": {"huggingFace": hub}}
    deployment = next(child for child in build(model(**CACHE | spec), CONFIG) if child["kind"] == "Deployment")
    servers = deployment["spec"]["template"]
    made = job(**spec)
    assert pod(made)["containers"] == servers["spec"]["initContainers"]
    assert pod(made)["volumes"] == servers["spec"]["volumes"]
    files = [template["metadata"]["annotations"][constants.FILES] for template in (made["spec"]["template"], servers)]
    assert files[0] == files[1]


def test_the_job_is_placed_as_the_servers_are_and_near_them() -> None:
    made = pod(job(pod=PLACEMENT, accelerator={"type": "cuda"}))
    alike = ("nodeSelector", "tolerations", "priorityClassName", "runtimeClassName", "serviceAccountName")
    assert {key: made[key] for key in (*alike, "imagePullSecrets")} == {
        key: PLACEMENT[key] for key in (*alike, "imagePullSecrets")
    }
    # What keeps servers apart would keep the stager from the node that has the volume.
    assert made["affinity"].keys() == {"nodeAffinity", "podAffinity"}
    assert made["affinity"]["nodeAffinity"] == NODES
    [beside] = made["affinity"]["podAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    assert beside["podAffinityTerm"]["labelSelector"]["matchLabels"][constants.COMPONENT_LABEL] == "server"
    assert "topologySpreadConstraints" not in made
    assert "limits" in made["containers"][0]["resources"]
    assert "nvidia.com/gpu" not in made["containers"][0]["resources"]["limits"]


@pytest.mark.parametrize("name", ["a", "b" * 63, "c" + "-" * 61 + "c", "d" * 39 + "-" + "d" * 20])
def test_names_are_names(name: str) -> None:
    made = job(name)["metadata"]["name"]
    assert len(made) <= 63
    assert made.startswith(name[:39].rstrip("-"))
    assert "--stage-" not in made


def test_a_job_that_would_be_another_has_another_name() -> None:
    """A Job's template is immutable, and long names of models are cut."""
    jobs = [
        job(),
        job(source={"url": {"url": "http://b/m.gguf"}}),
        job(pod={"nodeSelector": {"disk": "ssd"}}),
        job(storage={"cache": {"claimName": "cache", "quota": "1Gi"}}),
        job("x" * 62 + "a"),
        job("x" * 62 + "b"),
    ]
    assert len({made["metadata"]["name"] for made in jobs}) == len(jobs)
    assert job()["metadata"]["name"] == job(replicas=5, service={"port": 80})["metadata"]["name"]


def test_the_job_goes_on_as_long_as_it_takes() -> None:
    made = job()["spec"]
    assert made["template"]["spec"]["restartPolicy"] == "OnFailure"
    assert made["backoffLimit"] == 2**31 - 1
    assert not made.keys() & {"activeDeadlineSeconds", "ttlSecondsAfterFinished"}


def test_a_folder_that_is_not_given_is_refused_here_too() -> None:
    with pytest.raises(SpecError, match="nodePaths"):
        job(storage={"cache": {"nodePath": "/var/models"}})


def collect(request: str = "{}", node: str | None = None, cache: Cache | None = None) -> dict[str, Any]:
    placement = msgspec.convert(PLACEMENT, Pod)
    return collect_job("team-a", cache or Cache(claim_name="cache"), request, CONFIG, placement, node)


def test_a_collector_belongs_to_no_model() -> None:
    made = collect()
    assert made["metadata"]["namespace"] == "team-a"
    assert "ownerReferences" not in made["metadata"]
    for labels in (made["metadata"]["labels"], made["spec"]["template"]["metadata"]["labels"]):
        assert labels[constants.COMPONENT_LABEL] == "collector"
        assert constants.MODEL_LABEL not in labels


def test_a_collector_writes_to_the_cache() -> None:
    made = pod(collect(cache=Cache(node_path="/var/models"), node="node-1"))
    assert made["volumes"] == [{"name": "models", "hostPath": {"path": "/var/models", "type": "Directory"}}]
    assert made["containers"][0]["volumeMounts"] == [{"name": "models", "mountPath": "/models"}]


def test_a_collector_goes_where_the_models_may() -> None:
    anywhere = pod(collect())
    assert (anywhere["nodeSelector"], anywhere["affinity"]) == (PLACEMENT["nodeSelector"], PLACEMENT["affinity"])
    there = pod(collect(node="node-1"))
    [term] = there["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert term == {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["node-1"]}]}
    assert "nodeSelector" not in there
    assert there["tolerations"] == anywhere["tolerations"] == PLACEMENT["tolerations"]


def test_the_same_collection_is_the_same_job() -> None:
    names = {collect(*args)["metadata"]["name"] for args in (("{}",), ("{}",), ("[]",), ("{}", "node-1"))}
    assert len(names) == 3


@pytest.mark.parametrize("before", range(3))
def test_a_long_list_of_links_fits(before: int) -> None:
    """Linux takes arguments of 128 KiB at most, and the kubelet expands each for itself."""
    request = "x" * before + "$(A)" * 60_000
    arguments = pod(collect(request))["containers"][0]["args"]
    assert len(arguments) > 1
    assert max(map(len, arguments)) < 128 * 1024
    assert "".join(expand(argument, {"A": "secret"}) for argument in arguments) == request
