"""While other files are staged: what is held back, what goes through, and when a hold begins and ends."""

from __future__ import annotations

from typing import Any

import msgspec

from llama_operator import constants
from llama_operator.reconcile import status
from llama_operator.reconcile.plan import Plan
from tests.unit.reconcile import cases_ahead
from tests.unit.reconcile.ahead_cluster import CACHE, Cluster, complete, source, started
from tests.unit.resources.models import CONFIG, raw

Object = dict[str, Any]

ANOTHER_MODEL: Object = {
    "source": source("b"),
    "adapters": [{"name": "x", "source": source("x")}],
    "engine": {"contextSize": 8192, "args": ["--temp", "0"], "env": [{"name": "A", "value": "b"}]},
    "image": "localhost/other:1",
    "accelerator": {"type": "cuda"},
    "resources": {"limits": {"memory": "64Gi"}},
    "pod": {"nodeSelector": {"gpu": "large"}},
}


def test_another_model_is_rolled_once_with_all_that_it_needs() -> None:
    """New arguments with the old model are a combination that nobody asked for."""
    cluster = started()
    old = cluster.template()
    cluster.spec |= ANOTHER_MODEL
    assert [child["kind"] for child in cluster.reconcile().apply] == ["Job"]
    assert cluster.template() == old
    complete(cluster.jobs()[0])
    cluster.reconcile()
    assert cluster.template() == started(**ANOTHER_MODEL).template()


def test_what_is_not_of_the_pods_goes_through_meanwhile() -> None:
    cluster = started(pod={"nodeSelector": {"disk": "ssd"}})
    old = cluster.template()
    more = {"replicas": 3, "service": {"port": 80}, "storage": {"claim": {"size": "2Gi"}}, "ingress": {"host": "a.b"}}
    cluster.spec |= {"source": source("b"), **more}
    made = [child["kind"] for child in cluster.reconcile().apply]
    assert made == ["PersistentVolumeClaim", "Deployment", "Service", "Ingress", "Job"]
    assert (cluster.template(), cluster.deployment()["spec"]["replicas"]) == (old, 3)
    assert cluster.plan() == Plan([], [])


def test_other_settings_do_not_begin_anew() -> None:
    cluster = started()
    cluster.spec["source"] = source("b")
    cluster.reconcile()
    cluster.spec |= {"engine": {"slots": 4}, "image": "localhost/other:1", "replicas": 2}
    assert [child["kind"] for child in cluster.reconcile().apply] == ["Deployment"]
    assert cluster.plan() == Plan([], [])


def test_a_larger_limit_begins_anew() -> None:
    """The Job may have been refused for the one that it was told."""
    cluster = started(resources={"limits": {"memory": "1Gi"}})
    cluster.spec["source"] = source("b")
    cluster.reconcile()
    old, cluster.spec["resources"] = cluster.template(), {"limits": {"memory": "2Gi"}}
    assert [child["kind"] for child in cluster.reconcile().delete] == ["Job"]
    assert [child["kind"] for child in cluster.reconcile().apply] == ["Job"]
    assert cluster.template() == old
    assert cluster.plan() == Plan([], [])


def test_other_settings_alone_are_one_write() -> None:
    cluster = started()
    cluster.spec["engine"] = {"slots": 4}
    made = cluster.reconcile()
    assert ([child["kind"] for child in made.apply], made.delete) == (["Deployment"], [])
    assert cluster.serves() == cluster.asked()
    assert cluster.plan() == Plan([], [])


def test_the_ingress_leads_to_where_the_servers_answer() -> None:
    cluster = started(ingress={"host": "a.b", "path": "/old"})
    cluster.spec |= {"source": source("b"), "ingress": {"host": "c.d", "path": "/new"}}
    cluster.reconcile()
    assert "--api-prefix /old" in cluster.arguments()
    (rule,) = cluster.ingress()["spec"]["rules"]
    assert (rule["host"], rule["http"]["paths"][0]["path"]) == ("c.d", "/old")
    complete(cluster.jobs()[0])
    cluster.reconcile()
    assert "--api-prefix /new" in cluster.arguments()
    assert cluster.ingress()["spec"]["rules"][0]["http"]["paths"][0]["path"] == "/new"


def test_an_ingress_whose_path_nobody_answers_waits() -> None:
    cluster = started()
    cluster.spec |= {"source": source("b"), "ingress": {"host": "a.b", "path": "/new"}}
    cluster.reconcile()
    assert cluster.ingress() == {}
    complete(cluster.jobs()[0])
    cluster.reconcile()
    assert cluster.ingress() != {}


def test_an_ingress_that_is_given_up_goes_at_once() -> None:
    cluster = started(ingress={"host": "a.b", "path": "/old"})
    old = cluster.template()
    cluster.spec |= {"source": source("b"), "ingress": None}
    assert [child["kind"] for child in cluster.reconcile().delete] == ["Ingress"]
    assert cluster.template() == old


def test_a_first_source_with_a_mistake_is_corrected_at_once() -> None:
    cluster = started(available=0, source=source("typo"))
    cluster.spec["source"] = source("a")
    assert [child["kind"] for child in cluster.reconcile().apply] == ["Deployment"]
    assert (cluster.jobs(), cluster.serves()) == ([], cluster.asked())


def test_servers_that_are_down_for_a_moment_do_not_let_a_bad_source_in() -> None:
    cluster = started()
    old = cluster.template()
    cluster.spec["source"] = source("typo")
    cluster.reconcile()
    cluster.answer(0)
    assert cluster.plan() == Plan([], [])
    cluster.spec["source"] = source("b")
    made = cluster.reconcile()
    assert ([c["kind"] for c in made.apply], [c["kind"] for c in made.delete]) == (["Job"], ["Job"])
    assert cluster.template() == old


def test_an_autoscaler_at_0_does_not_let_a_bad_source_in_either() -> None:
    cluster = started()
    old = cluster.template()
    cluster.spec["source"] = source("b")
    cluster.reconcile()
    cluster.autoscale(0)
    cluster.reconcile()
    assert (cluster.template(), len(cluster.jobs())) == (old, 1)


def test_a_deployment_at_0_is_not_held() -> None:
    """Its status still counts those that are on their way out."""
    cluster = started()
    cluster.autoscale(0)
    cluster.spec["source"] = source("b")
    cluster.reconcile()
    assert (cluster.jobs(), cluster.serves()) == ([], cluster.asked())


def test_who_deletes_the_job_while_nobody_is_served_ends_the_hold() -> None:
    cluster = started()
    cluster.spec["source"] = source("b")
    cluster.reconcile()
    (job,) = cluster.jobs()
    job["metadata"]["deletionTimestamp"] = "2026-11-24T00:00:00Z"
    cluster.answer(0)
    cluster.holding = False
    cluster.reconcile()
    assert cluster.serves() == cluster.asked()


def test_what_cannot_be_built_any_more_is_not_held() -> None:
    """The operator was installed anew, and does not allow the old folder of the nodes."""
    allowed = msgspec.structs.replace(CONFIG, node_paths=("/models",))
    cluster = started(config=allowed, storage={"cache": {"nodePath": "/models"}})
    cluster.config = CONFIG
    cluster.spec |= {"source": source("b"), "storage": CACHE}
    assert written(cluster) == ["Deployment"]


def test_the_old_image_is_held_although_the_operator_brings_another() -> None:
    cluster = started()
    old = cluster.template()
    cluster.config = msgspec.structs.replace(cluster.config, server_images={"cuda": "localhost/cuda:1"})
    cluster.spec |= {"source": source("b"), "accelerator": {"type": "cuda"}}
    assert written(cluster) == ["Job"]
    cluster.reconcile()
    assert cluster.template() == old


def test_a_template_that_is_too_large_to_be_told_is_not_held() -> None:
    cluster = started(engine={"args": ["--tags", "x" * 65536]})
    assert constants.SERVED not in cluster.deployment()["metadata"]["annotations"]
    cluster.spec["source"] = source("b")
    assert written(cluster) == ["Deployment"]


def written(cluster: Cluster) -> list[str]:
    """Kinds that a reconcile would write."""
    return [child["kind"] for child in cluster.plan().apply]


def test_the_address_is_where_the_servers_answer() -> None:
    """They answer below the old path until the new template rolls."""
    spec = cases_ahead.NEW | {"ingress": {"host": "m.example.com", "path": "/new"}}
    told = status.compute(raw(**spec), cases_ahead.held(), None, "2026-11-24T00:00:00Z")
    assert (told["url"], told["ingressURL"]) == ("http://tiny.default.svc:8000", "http://m.example.com")
