"""The CRD on a real API server: what it accepts, what it refuses and how, what it fills in.

The witness is the official Python client. Requests ask for strict field validation, as kubectl does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client

from tests.integration.server import Object, Server

HERE = Path(__file__).parent
EXAMPLES = sorted(Path("examples").glob("*.yaml"))
BAD = sorted((HERE / "bad").glob("*.yaml"))
NAMESPACE = "test-crd"
MODELS = f"/apis/llama-operator.dev/v1alpha1/namespaces/{NAMESPACE}/llamamodels"


@pytest.fixture(scope="module")
def server(crd: client.ApiClient) -> Iterator[Server]:
    served = Server(crd)
    served.ensure("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    served("DELETE", MODELS)
    yield served
    served("DELETE", MODELS)


def create(server: Server, manifest: Object, *, dry_run: bool = False) -> Any:
    return server("POST", MODELS, manifest, dry_run=dry_run)


def minimal(name: str, **spec: Any) -> Object:
    return {
        "apiVersion": "llama-operator.dev/v1alpha1",
        "kind": "LlamaModel",
        "metadata": {"name": name},
        "spec": {"source": {"url": {"url": "http://files/m.gguf"}}, **spec},
    }


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_are_accepted(server: Server, path: Path) -> None:
    manifest = yaml.safe_load(path.read_text())
    accepted = create(server, manifest, dry_run=True)
    assert contains(accepted["spec"], manifest["spec"]), "the API server dropped or changed a field"


def contains(whole: Any, part: Any) -> bool:
    if isinstance(part, dict):
        return all(contains(whole.get(key), value) for key, value in part.items())
    if isinstance(part, list):
        return len(whole) == len(part) and all(map(contains, whole, part))
    return bool(whole == part)


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_bad_manifests_are_refused(server: Server, path: Path) -> None:
    """The first line says which words the message must have: the field, or what to do."""
    text = path.read_text()
    expected = re.match("# expect: (.+)\n", text)
    assert expected, "the first line must be '# expect: words of the message'"
    documents = list(yaml.safe_load_all(text))
    if len(documents) == 1:
        message = server.refused("POST", MODELS, documents[0], dry_run=True)
    else:  # two documents: the first is accepted, and cannot be changed into the second
        before, after = documents
        name = path.stem
        before["metadata"]["name"] = after["metadata"]["name"] = name
        create(server, before)
        after["metadata"]["resourceVersion"] = server("GET", f"{MODELS}/{name}")["metadata"]["resourceVersion"]
        message = server.refused("PUT", f"{MODELS}/{name}", after)
    assert expected[1] in message


def test_a_claim_may_grow(server: Server) -> None:
    create(server, minimal("grows", storage={"claim": {"size": "10Gi"}}))
    grown = server("PATCH", f"{MODELS}/grows", {"spec": {"storage": {"claim": {"size": "20Gi"}}}})
    assert grown["spec"]["storage"]["claim"]["size"] == "20Gi"


@pytest.mark.parametrize("name", ["a", "a-7b", "z" * 63])
def test_names_that_are_dns_labels_are_accepted(server: Server, name: str) -> None:
    assert create(server, minimal(name), dry_run=True)["metadata"]["name"] == name


@pytest.mark.parametrize("value", [2, "2", "500m", "1.5", ".5", "1e3", "8Gi", "1500M"])
def test_quantities_of_kubernetes_are_accepted(server: Server, value: int | str) -> None:
    model = minimal("quantity", resources={"limits": {"cpu": value}})
    assert create(server, model, dry_run=True)["spec"]["resources"]["limits"] == {"cpu": value}


def test_defaults_are_filled_in(server: Server) -> None:
    created = create(server, minimal("defaults", ingress={"host": "a.example.com"}))
    assert created["spec"] == {
        "source": {"url": {"url": "http://files/m.gguf"}},
        "rollout": {"surge": "Auto"},
        "accelerator": {"type": "cpu"},
        "engine": {
            "mode": "chat",
            "contextSize": 4096,
            "slots": 1,
            "flashAttention": "auto",
            "contextCheckpoints": 4,
            "webUI": True,
        },
        "ingress": {"host": "a.example.com", "path": "/"},
        "networkPolicy": {"enabled": True},
        "pod": {"terminationGracePeriodSeconds": 300},
        "replicas": 1,
        "resources": {},
        "service": {"type": "ClusterIP", "port": 8000},
    }


def test_defaults_of_a_hugging_face_source(server: Server) -> None:
    model = minimal("hub")
    model["spec"]["source"] = {"huggingFace": {"repo": "org/model", "file": "m.gguf"}}
    model["spec"]["storage"] = {"claim": {"size": "1Gi"}}
    spec = create(server, model, dry_run=True)["spec"]
    assert spec["source"]["huggingFace"]["revision"] == "main"
    assert spec["source"]["huggingFace"]["endpoint"] == "https://huggingface.co"
    assert spec["storage"]["claim"]["accessModes"] == ["ReadWriteOnce"]


def test_defaults_of_adapters_and_caches(server: Server) -> None:
    adapter = {"name": "a", "source": {"s3": {"uri": "s3://bucket/a.gguf"}}}
    model = minimal("more", adapters=[adapter], storage={"cache": {"claimName": "cache"}})
    spec = create(server, model, dry_run=True)["spec"]
    assert spec["adapters"] == [{**adapter, "scale": "1.0"}]
    assert spec["storage"]["cache"] == {"claimName": "cache", "whenUnused": "Keep"}


@pytest.mark.parametrize(
    "source",
    [
        {"url": {"url": "http://files/m-00001-of-00003.gguf?token=a"}},
        {"url": {"url": "http://files/m-00001-of-00003.gguf.txt", "sha256": "0" * 64}},
        {"huggingFace": {"repo": "a/b", "file": "q4/m-00001-of-00001.gguf"}},
        {"huggingFace": {"repo": "a/b", "quantization": "UD-IQ2_XXS"}},
        {"s3": {"uri": "s3://my.bucket/a b/\u00e9-00001-of-00099.gguf"}},
        {"oci": {"image": "a", "path": "m-00001-of-00010.gguf"}},
        {"volume": {"claimName": "a", "path": "b/..m-00001-of-00002.gguf"}},
    ],
    ids=str,
)
def test_sources_that_are_accepted_everywhere(server: Server, source: Object) -> None:
    parts = {"projector": {"source": source}, "draft": {"source": source}}
    adapters = [{"name": f"a{number}", "source": source, "scale": "-0.25"} for number in range(8)]
    model = minimal("everywhere", source=source, adapters=adapters, **parts)
    assert create(server, model, dry_run=True)["spec"]["draft"].keys() == {"source"}


@pytest.mark.parametrize("quota", [1, "10Gi", "500G", 10**12])
def test_quotas(server: Server, quota: int | str) -> None:
    model = minimal("quota", storage={"cache": {"nodePath": "/var/lib/llama-models", "quota": quota}})
    assert create(server, model, dry_run=True)["spec"]["storage"]["cache"]["quota"] == quota


@pytest.mark.parametrize("layers", [0, 33, "auto", "all"])
def test_layers_of_an_accelerator(server: Server, layers: int | str) -> None:
    model = minimal("layers", accelerator={"type": "cuda"}, engine={"gpuLayers": layers})
    assert create(server, model, dry_run=True)["spec"]["engine"]["gpuLayers"] == layers


@pytest.mark.parametrize(
    "engine",
    [
        {"batch": {"micro": 2048}},
        {"batch": {"size": 64, "micro": 64}},
        {"mode": "embedding", "contextSize": 8192, "batch": {"micro": 8192}},
    ],
)
def test_a_micro_batch_may_be_as_large_as_the_batch_is_or_is_by_default(server: Server, engine: Object) -> None:
    given = engine["batch"]
    assert create(server, minimal("micro", engine=engine), dry_run=True)["spec"]["engine"]["batch"] == given


def test_defaults_of_the_engines_settings(server: Server) -> None:
    given: Object = {"kvCache": {}, "reasoning": {}, "split": {}}
    engine = create(server, minimal("settings", accelerator={"type": "cuda"}, engine=given), dry_run=True)["spec"][
        "engine"
    ]
    assert {name: engine[name] for name in given} == {
        "kvCache": {"keys": "f16", "values": "f16"},
        "reasoning": {"mode": "auto", "format": "auto"},
        "split": {"mode": "layer"},
    }


def test_scale_subresource(server: Server) -> None:
    """What `kubectl scale` and a HorizontalPodAutoscaler use."""
    create(server, minimal("scaled"))
    status = {"replicas": 1, "readyReplicas": 1, "selector": "llama-operator.dev/model=scaled"}
    server("PATCH", f"{MODELS}/scaled/status", {"status": status})
    server("PATCH", f"{MODELS}/scaled/scale", {"spec": {"replicas": 3}})
    scale = server("GET", f"{MODELS}/scaled/scale")
    assert scale["kind"] == "Scale"
    assert scale["spec"] == {"replicas": 3}
    assert scale["status"] == {"replicas": 1, "selector": "llama-operator.dev/model=scaled"}
    assert server("GET", f"{MODELS}/scaled")["spec"]["replicas"] == 3
    assert "spec.replicas" in server.refused("PATCH", f"{MODELS}/scaled/scale", {"spec": {"replicas": 101}})


CONDITION = {
    "type": "Ready",
    "status": "False",
    "reason": "DigestMismatch",
    "message": "the file has another digest",
    "observedGeneration": 1,
    "lastTransitionTime": "2026-11-24T02:00:00Z",
}


def test_status_is_a_subresource(server: Server) -> None:
    """A user's apply cannot write the status; the operator's status patch cannot write the spec, nor the generation."""
    created = create(server, {**minimal("status"), "status": {"replicas": 7}})
    assert "status" not in created
    change = {"spec": {"replicas": 9}, "status": {"conditions": [CONDITION]}}
    patched = server("PATCH", f"{MODELS}/status/status", change)
    assert patched["status"]["conditions"] == [CONDITION]
    assert patched["spec"]["replicas"] == 1
    assert patched["metadata"]["generation"] == 1


@pytest.mark.parametrize("missing", ["reason", "message", "lastTransitionTime"])
def test_conditions_are_complete(server: Server, missing: str) -> None:
    server.ensure(MODELS, minimal("conditions"))
    part = {key: value for key, value in CONDITION.items() if key != missing}
    message = server.refused("PATCH", f"{MODELS}/conditions/status", {"status": {"conditions": [part]}})
    assert f"status.conditions[0].{missing}: Required value" in message


def test_printer_columns(server: Server) -> None:
    """What `kubectl get llama` shows: the server computes it, kubectl prints it."""
    create(server, minimal("printed"))
    status = {
        "state": "Stalled: DigestMismatch",
        "conditions": [CONDITION],
        "readyReplicas": 0,
        "url": "http://printed",
        "model": {"name": "Tiny", "summary": "llama 7.2B Q4_K_M"},
        "served": {"contextSize": 4096, "build": "b11669-Debian"},
    }
    server("PATCH", f"{MODELS}/printed/status", {"status": status})
    table = server("GET", f"{MODELS}/printed", accept="application/json;as=Table;v=v1;g=meta.k8s.io")
    columns = {column["name"]: column for column in table["columnDefinitions"]}
    cells = dict(zip(columns, table["rows"][0]["cells"], strict=True))
    usual = [name for name, column in columns.items() if column["priority"] == 0]
    assert usual == ["Name", "Status", "Ready", "Desired", "Model", "URL", "Age"]
    assert {name: cells[name] for name in columns if name != "Age"} == {
        "Name": "printed",
        "Status": "Stalled: DigestMismatch",
        "Ready": 0,
        "Desired": 1,
        "Model": "llama 7.2B Q4_K_M",
        "URL": "http://printed",
        "Title": "Tiny",
        "Context": 4096,
        "Build": "b11669-Debian",
        "Message": "the file has another digest",
    }


def test_names_for_kubectl(server: Server) -> None:
    resources = server("GET", "/apis/llama-operator.dev/v1alpha1")["resources"]
    model = next(resource for resource in resources if resource["name"] == "llamamodels")
    assert model["shortNames"] == ["llama"]
    assert model["namespaced"] is True
    assert {resource["name"] for resource in resources} == {
        "llamamodels",
        "llamamodels/status",
        "llamamodels/scale",
    }
