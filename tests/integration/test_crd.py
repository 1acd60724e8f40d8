"""The CRD on a real API server: what it accepts, what it refuses and how, what it fills in.

The witness is the official Python client. Requests ask for strict field validation, as kubectl does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client

HERE = Path(__file__).parent
EXAMPLES = sorted(Path("examples").glob("*.yaml"))
BAD = sorted((HERE / "bad").glob("*.yaml"))
NAMESPACE = "test-crd"
MODELS = f"/apis/llama-operator.dev/v1alpha1/namespaces/{NAMESPACE}/llamamodels"

Object = dict[str, Any]


class RefusedError(Exception):
    """An answer that is not 2xx: its status code, and the server's message."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class Server:
    """Plain requests: what the generated methods hide (content types, the Table form) is what is tested here."""

    def __init__(self, api: client.ApiClient) -> None:
        self.api = api

    def __call__(
        self, method: str, path: str, body: Any = None, *, dry_run: bool = False, accept: str = "application/json"
    ) -> Any:
        """The decoded answer. Raises `RefusedError`."""
        query = [("fieldValidation", "Strict")] if body else []
        content = "application/merge-patch+json" if method == "PATCH" else "application/json"
        request = self.api.param_serialize(
            method,
            path,
            query_params=[*query, ("dryRun", "All")] if dry_run else query,
            header_params={"Accept": accept, "Content-Type": content},
            body=body,
            auth_settings=["BearerToken"],
        )
        answer = self.api.call_api(*request)
        decoded = json.loads(answer.read())  # type: ignore[no-untyped-call]
        if not 200 <= answer.status < 300:
            raise RefusedError(answer.status, decoded["message"])
        return decoded

    def create(self, manifest: Object, *, dry_run: bool = False) -> Any:
        return self("POST", MODELS, manifest, dry_run=dry_run)

    def refused(self, method: str, path: str, body: Object, *, dry_run: bool = False) -> str:
        """The server's message; fails the test if the request is accepted."""
        with pytest.raises(RefusedError) as caught:
            self(method, path, body, dry_run=dry_run)
        assert caught.value.code in (400, 422), caught.value
        return caught.value.message


@pytest.fixture(scope="module")
def server(crd: client.ApiClient) -> Iterator[Server]:
    served = Server(crd)
    try:
        served("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    except RefusedError as error:  # an API server that was there before
        if error.code != 409:
            raise
    served("DELETE", MODELS)
    yield served
    served("DELETE", MODELS)


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
    accepted = server.create(manifest, dry_run=True)
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
        server.create(before)
        after["metadata"]["resourceVersion"] = server("GET", f"{MODELS}/{name}")["metadata"]["resourceVersion"]
        message = server.refused("PUT", f"{MODELS}/{name}", after)
    assert expected[1] in message


def test_a_claim_may_grow(server: Server) -> None:
    server.create(minimal("grows", storage={"claim": {"size": "10Gi"}}))
    grown = server("PATCH", f"{MODELS}/grows", {"spec": {"storage": {"claim": {"size": "20Gi"}}}})
    assert grown["spec"]["storage"]["claim"]["size"] == "20Gi"


@pytest.mark.parametrize("name", ["a", "a-7b", "z" * 63])
def test_names_that_are_dns_labels_are_accepted(server: Server, name: str) -> None:
    assert server.create(minimal(name), dry_run=True)["metadata"]["name"] == name


@pytest.mark.parametrize("value", [2, "2", "500m", "1.5", ".5", "1e3", "8Gi", "1500M"])
def test_quantities_of_kubernetes_are_accepted(server: Server, value: int | str) -> None:
    model = minimal("quantity", resources={"limits": {"cpu": value}})
    assert server.create(model, dry_run=True)["spec"]["resources"]["limits"] == {"cpu": value}


def test_defaults_are_filled_in(server: Server) -> None:
    created = server.create(minimal("defaults", ingress={"host": "a.example.com"}))
    assert created["spec"] == {
        "source": {"url": {"url": "http://files/m.gguf"}},
        "accelerator": {"type": "cpu"},
        "engine": {"contextSize": 4096, "slots": 1},
        "ingress": {"host": "a.example.com", "path": "/"},
        "pod": {},
        "replicas": 1,
        "resources": {},
        "service": {"type": "ClusterIP", "port": 8000},
    }


def test_defaults_of_a_hugging_face_source(server: Server) -> None:
    model = minimal("hub")
    model["spec"]["source"] = {"huggingFace": {"repo": "org/model", "file": "m.gguf"}}
    model["spec"]["storage"] = {"claim": {"size": "1Gi"}}
    spec = server.create(model, dry_run=True)["spec"]
    assert spec["source"]["huggingFace"]["revision"] == "main"
    assert spec["source"]["huggingFace"]["endpoint"] == "https://huggingface.co"
    assert spec["storage"]["claim"]["accessModes"] == ["ReadWriteOnce"]


def test_scale_subresource(server: Server) -> None:
    """What `kubectl scale` and a HorizontalPodAutoscaler use."""
    server.create(minimal("scaled"))
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
    created = server.create({**minimal("status"), "status": {"replicas": 7}})
    assert "status" not in created
    change = {"spec": {"replicas": 9}, "status": {"conditions": [CONDITION]}}
    patched = server("PATCH", f"{MODELS}/status/status", change)
    assert patched["status"]["conditions"] == [CONDITION]
    assert patched["spec"]["replicas"] == 1
    assert patched["metadata"]["generation"] == 1


@pytest.mark.parametrize("missing", ["reason", "message", "lastTransitionTime"])
def test_conditions_are_complete(server: Server, missing: str) -> None:
    try:
        server.create(minimal("conditions"))
    except RefusedError as error:
        if error.code != 409:
            raise
    part = {key: value for key, value in CONDITION.items() if key != missing}
    message = server.refused("PATCH", f"{MODELS}/conditions/status", {"status": {"conditions": [part]}})
    assert f"status.conditions[0].{missing}: Required value" in message


def test_printer_columns(server: Server) -> None:
    """What `kubectl get llama` shows: the server computes it, kubectl prints it."""
    server.create(minimal("printed"))
    status = {"conditions": [CONDITION], "readyReplicas": 0, "url": "http://printed", "model": {"name": "Tiny"}}
    server("PATCH", f"{MODELS}/printed/status", {"status": status})
    table = server("GET", f"{MODELS}/printed", accept="application/json;as=Table;v=v1;g=meta.k8s.io")
    columns = {column["name"]: column for column in table["columnDefinitions"]}
    cells = dict(zip(columns, table["rows"][0]["cells"], strict=True))
    usual = [name for name, column in columns.items() if column["priority"] == 0]
    assert usual == ["Name", "Status", "Ready", "Desired", "URL", "Age"]
    assert {name: cells[name] for name in columns if name != "Age"} == {
        "Name": "printed",
        "Status": "DigestMismatch",
        "Ready": 0,
        "Desired": 1,
        "URL": "http://printed",
        "Model": "Tiny",
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
