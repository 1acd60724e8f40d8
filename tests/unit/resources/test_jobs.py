"""The Jobs: one stages ahead for a model, one collects in a cache."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from llama_operator import constants
from llama_operator.api.staging import MARGIN_SECONDS, Collect
from llama_operator.api.types import Pod, SpecError, parse
from llama_operator.resources import build, sources
from llama_operator.resources.collect import collect_job
from llama_operator.resources.job import stage_job
from tests.unit.resources.models import CONFIG, UID, expand, model, raw

CACHE: dict[str, Any] = {"storage": {"cache": {"claimName": "cache"}}}
NODES: dict[str, Any] = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchFields": []}]}}
PLACEMENT: dict[str, Any] = {
    "labels": {"team": "a"},
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "gpu", "operator": "Exists"}],
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
    told = sources.read(made["metadata"]["annotations"][constants.SOURCES])
    assert told == sources.of(model(**CACHE).spec)


def test_the_job_runs_the_stager_of_the_servers() -> None:
    """The same in all but when it runs: what it puts in place is what the server's own stager finds."""
    hub = {"repo": "a/b", "file": "m", "tokenSecretRef": {"name": "s", "key": "k"}}
    spec: dict[str, Any] = {"source": {"huggingFace": hub}, "resources": {"limits": {"memory": "1Gi"}}}
    deployment = next(child for child in build(model(**CACHE | spec), CONFIG) if child["kind"] == "Deployment")
    servers = deployment["spec"]["template"]
    made = job(**spec)
    assert pod(made)["containers"] == servers["spec"]["initContainers"]
    assert pod(made)["volumes"] == servers["spec"]["volumes"]
    files = [template["metadata"]["annotations"][constants.FILES] for template in (made["spec"]["template"], servers)]
    assert files[0] == files[1]


def test_without_a_limit_the_job_is_not_told_how_the_server_is_started() -> None:
    """It decides nothing there, and a Job is made anew for other arguments."""
    assert pod(job()) == pod(job(engine={"contextSize": 8192}))
    limited: dict[str, Any] = {"resources": {"limits": {"memory": "1Gi"}}}
    assert pod(job(**limited)) != pod(job(**limited, engine={"contextSize": 8192}))


def test_the_job_is_placed_as_the_servers_are_and_near_them() -> None:
    made = pod(job(pod=PLACEMENT, accelerator={"type": "cuda"}))
    alike = ("nodeSelector", "tolerations", "priorityClassName", "runtimeClassName", "serviceAccountName")
    assert {key: made[key] for key in (*alike, "imagePullSecrets")} == {
        key: PLACEMENT[key] for key in (*alike, "imagePullSecrets")
    }
    # What keeps servers apart would keep the stager from the node that has the volume.
    assert made["affinity"].keys() == {"nodeAffinity", "podAffinity"}
    assert made["affinity"]["nodeAffinity"] == NODES
    assert "topologySpreadConstraints" not in made
    assert "limits" in made["containers"][0]["resources"]
    assert "nvidia.com/gpu" not in made["containers"][0]["resources"]["limits"]


def test_the_job_must_be_where_the_models_pods_are_if_there_are_any() -> None:
    """No other node may be able to mount the volume. Without other pods its own label lets it go anywhere."""
    servers = next(child for child in build(model(**CACHE), CONFIG) if child["kind"] == "Deployment")["spec"][
        "template"
    ]
    made = job()["spec"]["template"]
    [beside] = made["spec"]["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert beside["topologyKey"] == "kubernetes.io/hostname"
    wanted = beside["labelSelector"]["matchLabels"].items()
    assert wanted
    assert wanted <= servers["metadata"]["labels"].items()
    assert wanted <= made["metadata"]["labels"].items()


def test_the_job_is_the_same_for_any_number_of_replicas() -> None:
    """A Job's template is immutable: one that is under way must not make way for another."""
    assert job(replicas=0) == job(replicas=1) == job(replicas=3)


@pytest.mark.parametrize("name", ["a", "b" * 63, "c" + "-" * 61 + "c", "d" * 39 + "-" + "d" * 20])
def test_names_are_names(name: str) -> None:
    made = job(name)["metadata"]["name"]
    assert len(made) <= 63
    assert made.startswith(name[:39].rstrip("-"))
    assert "--stage-" not in made


def test_a_job_for_other_sources_has_another_name() -> None:
    """A Job's template is immutable. Long names of models are cut, and yet two models have two Jobs."""
    jobs = [
        job(),
        job(source={"url": {"url": "http://b/m.gguf"}}),
        job(storage={"cache": {"claimName": "other"}}),
        job("x" * 62 + "a"),
        job("x" * 62 + "b"),
    ]
    assert len({made["metadata"]["name"] for made in jobs}) == len(jobs)
    same = [
        job(replicas=5, service={"port": 80}, pod={"nodeSelector": {"disk": "ssd"}}),
        job(engine={"args": ["--temp", "0"], "contextSize": 8192}, image="a:1", resources={"limits": {"memory": 1}}),
        job(storage={"cache": {"claimName": "cache", "quota": "1Gi"}}),
    ]
    assert {made["metadata"]["name"] for made in same} == {job()["metadata"]["name"]}


def test_the_job_goes_on_as_long_as_it_takes() -> None:
    made = job()["spec"]
    assert made["template"]["spec"]["restartPolicy"] == "OnFailure"
    assert made["backoffLimit"] == 2**31 - 1
    assert not made.keys() & {"activeDeadlineSeconds", "ttlSecondsAfterFinished"}


def test_a_folder_that_is_not_given_is_refused_here_too() -> None:
    with pytest.raises(SpecError, match="nodePaths"):
        job(storage={"cache": {"nodePath": "/var/models"}})


def collect(**changed: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {"namespace": "team-a", "live": ("a.gguf",), "as_of": 1_000, "need": 0, "bucket": 7}
    where = {} if "node_path" in changed else {"claim_name": "cache"}
    return collect_job(**usual | where | changed, config=CONFIG)


def asked(made: dict[str, Any]) -> Collect:
    arguments = [expand(argument, {"A": "secret"}) for argument in pod(made)["containers"][0]["args"]]
    return msgspec.json.decode("".join(arguments), type=Collect)


def test_a_collector_belongs_to_no_model() -> None:
    made = collect()
    assert made["metadata"]["namespace"] == "team-a"
    assert "ownerReferences" not in made["metadata"]
    for labels in (made["metadata"]["labels"], made["spec"]["template"]["metadata"]["labels"]):
        assert labels[constants.COMPONENT_LABEL] == "collector"
        assert constants.MODEL_LABEL not in labels


def test_a_collector_is_told_what_is_in_use() -> None:
    assert asked(collect()) == Collect("/models", ("a.gguf",), 1_000, "Delete")
    assert asked(collect(need=5, quota=9)) == Collect("/models", ("a.gguf",), 1_000, "Keep", 5, 9)


def test_a_collector_writes_to_the_cache() -> None:
    made = pod(collect(node_path="/var/models", node="node-1"))
    assert made["volumes"] == [{"name": "models", "hostPath": {"path": "/var/models", "type": "Directory"}}]
    mount = {"name": "models", "mountPath": "/models"}
    assert made["containers"][0]["volumeMounts"] == [mount | {"subPath": "team-a"}]
    made = pod(collect())
    assert made["volumes"][0]["persistentVolumeClaim"] == {"claimName": "cache"}
    assert made["containers"][0]["volumeMounts"] == [mount]


def test_a_collector_never_acts_on_an_old_list() -> None:
    """Not by its own clock: the operator's may be ahead of it."""
    assert collect()["spec"]["activeDeadlineSeconds"] <= MARGIN_SECONDS


def test_a_collector_goes_where_the_models_may() -> None:
    placement = msgspec.convert(PLACEMENT, Pod)
    made = pod(collect(placement=placement))
    kept = ("nodeSelector", "affinity", "tolerations", "imagePullSecrets", "serviceAccountName")
    assert {key: made[key] for key in kept} == {key: PLACEMENT[key] for key in kept}
    assert "topologySpreadConstraints" not in made


@pytest.mark.parametrize("where", [{"node_path": "/var/models"}, {"claim_name": "cache"}], ids=str)
def test_a_collector_goes_to_the_node_that_has_the_volume_whatever_is_wrong_with_it(where: Any) -> None:
    placement = msgspec.convert(PLACEMENT, Pod)
    made = pod(collect(**where, node="node-1", placement=placement))
    [term] = made["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert term == {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["node-1"]}]}
    assert made["tolerations"] == [{"operator": "Exists"}]
    assert "nodeSelector" not in made
    assert made["imagePullSecrets"] == PLACEMENT["imagePullSecrets"]


def test_each_volume_and_each_time_has_its_job() -> None:
    folder = {"node_path": "/var/models", "node": "node-1"}
    jobs = [collect(), collect(bucket=8), collect(claim_name="b"), collect(**folder)]
    jobs.append(collect(**folder | {"node": "node-2"}))
    assert len({made["metadata"]["name"] for made in jobs}) == len(jobs)
    same = [collect(live=()), collect(as_of=5, need=6), collect(node="node-1")]
    assert {made["metadata"]["name"] for made in same} == {jobs[0]["metadata"]["name"]}


@pytest.mark.parametrize("before", range(3))
def test_a_long_list_of_links_fits(before: int) -> None:
    """Linux takes arguments of 128 KiB at most, and the kubelet expands each for itself."""
    live = ("x" * before, *["$(A)"] * 60_000)
    made = collect(live=live)
    assert max(len(argument) for argument in pod(made)["containers"][0]["args"]) < 128 * 1024
    assert asked(made).live == live
