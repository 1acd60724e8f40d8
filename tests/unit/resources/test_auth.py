"""Who may ask: the keys' way from a Secret to llama-server, and who can reach the pods at all."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from llama_operator.api.types import LlamaModel, SpecError
from llama_operator.resources import auth, build
from llama_operator.resources.job import stage_job
from tests.unit.resources.models import CONFIG, model

GIVEN = {"apiKeySecretRef": {"name": "mine", "key": "keys"}}
NONE = {"none": True}
Object = dict[str, Any]


def child(kind: str, of: LlamaModel, **config: Any) -> Object | None:
    made = build(of, msgspec.structs.replace(CONFIG, **config))
    return next((child for child in made if child["kind"] == kind), None)


def pod(of: LlamaModel) -> Object:
    deployment = child("Deployment", of)
    assert deployment is not None
    spec: Object = deployment["spec"]["template"]["spec"]
    return spec


@pytest.mark.parametrize("spec", [{"auth": None}, {"auth": {"generate": True}}])
def test_a_key_is_generated_unless_told_otherwise(spec: Object) -> None:
    secret = child("Secret", model(**spec))
    assert secret is not None
    assert secret["metadata"]["name"] == "tiny-api-key"
    assert secret.keys() == {"apiVersion", "kind", "metadata"}, "the key is not in what is built, logged and compared"
    assert auth.mounted({"spec": pod(model(**spec))}) == "tiny-api-key"


@pytest.mark.parametrize("spec", [GIVEN, NONE])
def test_no_secret_is_made_where_none_is_wanted(spec: Object) -> None:
    assert child("Secret", model(auth=spec)) is None


@pytest.mark.parametrize(("spec", "name", "key"), [(None, "tiny-api-key", "key"), (GIVEN, "mine", "keys")])
def test_the_stager_hands_the_keys_on(spec: Object | None, name: str, key: str) -> None:
    """The server alone gets no Secret: it would start without a key when there is none in it."""
    made = pod(model(auth=spec))
    volumes = {volume["name"]: volume for volume in made["volumes"]}
    (stager,), (server, _) = made["initContainers"], made["containers"]
    secret = {"secretName": name, "items": [{"key": key, "path": key}], "defaultMode": 0o440}
    assert volumes["secret-api-keys"]["secret"] == secret
    assert "optional" not in secret
    folders = {mount["mountPath"]: mount for mount in stager["volumeMounts"]}
    assert f'"keys":{{"given":"/secrets/api-keys/{key}","served":"/api-keys/keys"}}' in stager["args"][0]
    assert folders["/secrets/api-keys"]["readOnly"]
    assert "readOnly" not in folders["/api-keys"]
    args, mounts = server["args"], server["volumeMounts"]
    assert args[args.index("--api-key-file") + 1] == "/api-keys/keys"
    assert {"name": "api-keys", "mountPath": "/api-keys", "readOnly": True} in mounts
    assert "secret-api-keys" not in {mount["name"] for mount in mounts}


def test_without_keys_nothing_is_mounted() -> None:
    made = pod(model(auth=NONE))
    assert [volume["name"] for volume in made["volumes"]] == ["models"]
    assert "--api-key-file" not in made["containers"][0]["args"]


def test_a_job_that_stages_needs_no_key() -> None:
    """It would wait for a Secret that it does not need."""
    spec = stage_job(model(auth=GIVEN, storage={"cache": {"claimName": "cache"}}), CONFIG)["spec"]["template"]["spec"]
    assert [volume["name"] for volume in spec["volumes"]] == ["models"]
    assert '"keys"' not in spec["containers"][0]["args"][0]


@pytest.mark.parametrize("spec", [None, NONE])
def test_pages_of_other_origins_are_closed_out_unless_the_user_says_so(spec: Object | None) -> None:
    """The last of a repeated flag wins."""
    args = pod(model(auth=spec, engine={"args": ["--cors-origins", "https://app"]}))["containers"][0]["args"]
    assert args[-5:] == ["--cors-origins", "", "--no-cors-credentials", "--cors-origins", "https://app"]


def test_exactly_one_kind_of_key() -> None:
    """The CRD refuses them; an older CRD may not."""
    for spec in ({}, NONE | GIVEN):
        with pytest.raises(SpecError, match=r"spec\.auth: exactly one of apiKeySecretRef, generate, none"):
            model(auth=spec)


def test_everybody_may_reach_the_server_and_the_operator_alone_the_stager() -> None:
    policy = child("NetworkPolicy", model(), lease="ours/lease")
    assert policy is not None
    server, stager = policy["spec"]["ingress"]
    assert server == {"ports": [{"port": 8000, "protocol": "TCP"}]}
    assert stager["ports"] == [{"port": port, "protocol": "TCP"} for port in (8081, 8082)]
    assert stager["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ours"}}}]


def test_an_operator_outside_the_cluster_is_not_shut_out() -> None:
    policy = child("NetworkPolicy", model(), lease="")
    assert policy is not None
    assert "from" not in policy["spec"]["ingress"][1]


def test_who_may_ask_can_be_narrowed_and_the_policy_left_out() -> None:
    peers = [{"podSelector": {}}, {"ipBlock": {"cidr": "10.0.0.0/8"}}]
    policy = child("NetworkPolicy", model(networkPolicy={"from": peers}))
    assert policy is not None
    assert policy["spec"]["ingress"][0]["from"] == peers
    assert child("NetworkPolicy", model(networkPolicy={"enabled": False})) is None


def test_the_policy_covers_stagers_and_the_budget_does_not() -> None:
    staging = stage_job(model(storage={"cache": {"claimName": "cache"}}), CONFIG)
    labels = staging["spec"]["template"]["metadata"]["labels"].items()
    policy, budget = child("NetworkPolicy", model()), child("PodDisruptionBudget", model(replicas=3))
    assert policy is not None
    assert budget is not None
    assert labels >= policy["spec"]["podSelector"]["matchLabels"].items()
    assert not labels >= budget["spec"]["selector"]["matchLabels"].items()
    assert (budget["spec"]["maxUnavailable"], budget["spec"]["unhealthyPodEvictionPolicy"]) == (1, "AlwaysAllow")
