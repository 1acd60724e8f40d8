"""The operator's pod: safe by default, and told what it reads."""

import pytest
import yaml

from llama_operator.config import Config, read
from llama_operator.flags import table
from tests.unit.chart.helm import CHART, NAMESPACE, Helm, Object

SHA = "sha256:" + "0123456789abcdef" * 4


def container(helm: Helm, values: Object | None = None) -> Object:
    (found,) = helm.one("Deployment", values)["spec"]["template"]["spec"]["containers"]
    assert isinstance(found, dict)
    return found


def config(helm: Helm, values: Object | None = None) -> Config:
    """What the operator makes of its environment."""
    return read({variable["name"]: variable["value"] for variable in container(helm, values)["env"]})


def test_operator_understands_the_defaults(helm: Helm) -> None:
    assert config(helm) == Config(
        stage_image="localhost/llama-operator:0.1.0",
        server_images={"cpu": "localhost/llama-server:0.1.0"},
        server_builds={"cpu": table.builds()[-1]},
        lease=f"{NAMESPACE}/llama-operator",
    )


def test_operator_understands_every_setting(helm: Helm) -> None:
    values = {
        "image": {"repository": "r.example/op", "tag": "7"},
        "serverImages": {
            "cpu": {"repository": "r.example/cpu", "build": ""},
            "cuda": {"repository": "r.example/cuda", "tag": "8", "build": table.builds()[0]},
        },
        "watch": {"namespaces": ["team-a", "team-b"]},
        "resyncSeconds": 1000000,
        "nodePaths": ["/srv/models", "/mnt/a.b"],
        "logFormat": "text",
        "fullnameOverride": "op",
    }
    assert config(helm, values) == Config(
        stage_image="r.example/op:7",
        server_images={"cpu": "r.example/cpu:0.1.0", "cuda": "r.example/cuda:8"},
        server_builds={"cuda": table.builds()[0]},
        namespaces=("team-a", "team-b"),
        lease=f"{NAMESPACE}/op",
        resync_seconds=1000000,
        node_paths=("/srv/models", "/mnt/a.b"),
        log_format="text",
    )


@pytest.mark.parametrize("name", ["123", "no", "1e3"])
def test_names_that_look_like_something_else_stay_names(helm: Helm, name: str) -> None:
    """Tenants have numbers, and Norway is a country."""
    rendered = helm("template", name, str(CHART), "--namespace", name, "--set-string", f"watch.namespaces={{{name}}}")
    assert rendered.returncode == 0, rendered.stderr
    objects = [obj for obj in yaml.safe_load_all(rendered.stdout) if obj]
    assert {obj["metadata"].get("namespace", name) for obj in objects} == {name}
    told = [value for obj in objects for value in (obj["metadata"].get("labels") or {}).values()]
    told += [variable["value"] for obj in objects if obj["kind"] == "Pod" for variable in _variables(obj)]
    assert all(isinstance(value, str) for value in told)
    assert f"app.kubernetes.io/name=llama-operator,app.kubernetes.io/instance={name}" in told


def _variables(pod: Object) -> list[Object]:
    return list(pod["spec"]["containers"][0]["env"])


def test_model_pods_are_staged_with_the_operators_own_image(helm: Helm) -> None:
    values = {"image": {"repository": "r.example/op", "digest": SHA}}
    assert config(helm, values).stage_image == container(helm, values)["image"] == f"r.example/op@{SHA}"


def test_digest_beats_tag(helm: Helm) -> None:
    image = {"repository": "r.example/x", "tag": "7", "digest": SHA}
    chosen = config(helm, {"image": image, "serverImages": {"cpu": image, "cuda": image}})
    assert {chosen.stage_image, *chosen.server_images.values()} == {f"r.example/x@{SHA}"}


@pytest.mark.parametrize(
    ("probe", "path"),
    [("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")],
)
def test_probes_ask_where_the_operator_answers(helm: Helm, probe: str, path: str) -> None:
    built = container(helm)
    assert built["ports"] == [{"name": "health", "containerPort": config(helm).health_port}]
    assert built[probe]["httpGet"] == {"path": path, "port": "health"}


def test_a_successor_is_ready_before_the_old_one_goes(helm: Helm) -> None:
    spec = helm.one("Deployment")["spec"]
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    assert (spec["replicas"], spec["strategy"]) == (2, rolling)


def test_replicas_are_spread_and_not_drained_together(helm: Helm) -> None:
    spec = helm.one("Deployment")["spec"]
    budget = helm.one("PodDisruptionBudget")["spec"]
    (spread,) = spec["template"]["spec"]["topologySpreadConstraints"]
    assert spread["whenUnsatisfiable"] == "ScheduleAnyway"
    assert budget["maxUnavailable"] == 1
    assert spread["labelSelector"] == budget["selector"] == spec["selector"]


def test_one_replica_has_no_budget(helm: Helm) -> None:
    """It would promise nothing: a node may take the only one away."""
    assert helm.one("Deployment", {"replicas": 1})["spec"]["replicas"] == 1
    assert "PodDisruptionBudget" not in {obj["kind"] for obj in helm.objects({"replicas": 1})}


def test_placement_reaches_the_pod(helm: Helm) -> None:
    values: Object = {
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "gpu", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
        "imagePullSecrets": [{"name": "registry"}],
        "priorityClassName": "system-cluster-critical",
    }
    spec = helm.one("Deployment", values)["spec"]["template"]["spec"]
    assert {key: spec[key] for key in values} == values


def test_labels_and_annotations_reach_the_pod_and_leave_the_selector_alone(helm: Helm) -> None:
    values = {"podLabels": {"team": "pod"}, "podAnnotations": {"note": "1"}, "commonLabels": {"team": "all"}}
    spec = helm.one("Deployment", values)["spec"]
    meta = spec["template"]["metadata"]
    assert meta["labels"]["team"] == "pod"
    assert meta["annotations"] == {"note": "1"}
    selector = spec["selector"]["matchLabels"]
    assert selector == {"app.kubernetes.io/name": "llama-operator", "app.kubernetes.io/instance": "llama-operator"}
    assert selector.items() <= meta["labels"].items()


def test_common_labels_are_on_every_object(helm: Helm) -> None:
    objects = helm.objects({"commonLabels": {"team": "all"}, "watch": {"namespaces": ["a"]}})
    assert {obj["metadata"]["labels"].get("team") for obj in objects} == {"all"}


def test_pod_of_the_test_is_no_pod_of_the_operator(helm: Helm) -> None:
    selector = helm.one("Deployment")["spec"]["selector"]["matchLabels"]
    assert not selector.items() <= helm.one("Pod", test=True)["metadata"]["labels"].items()


def test_longest_names_fit_into_a_label(helm: Helm) -> None:
    objects = helm.objects({"fullnameOverride": "x" * 58})
    assert max(len(obj["metadata"]["name"]) for obj in objects) == 63
