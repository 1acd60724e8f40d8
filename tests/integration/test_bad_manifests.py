"""Hundreds of bad manifests, made from the schema: a real API server refuses each, and names the field.

They show that what the CRD says is enforced and told well, at every depth. `tests/integration/bad` holds what was
written by hand, and so also fails when a rule is taken out of the CRD.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from kubernetes import client

from tests.integration.manifests import broken, edits, mutations
from tests.integration.manifests.edits import Edit
from tests.integration.manifests.fields import VALID, fields, kinds
from tests.integration.manifests.mutations import Case
from tests.integration.manifests.rules import VIOLATIONS
from tests.integration.server import Object, RefusedError, Server

NAMESPACE = "test-bad-manifests"
MODELS = f"/apis/llama-operator.dev/v1alpha1/namespaces/{NAMESPACE}/llamamodels"
GENERATED = mutations.cases()
CASES = [*GENERATED, *broken.cases()]

FREE_TEXT = {"spec.service.annotations.*", "spec.ingress.annotations.*", "spec.pod.annotations.*"}
KUBERNETES = ("spec.pod.affinity.", "spec.pod.topologySpreadConstraints[]", "spec.pod.nodeSelector.")
"""Texts that Kubernetes judges when the operator applies the child: see `engine/test_bad_specs.py`."""
WAYS = ("PUT", "PATCH", "APPLY")


@pytest.fixture(scope="module")
def server(crd: client.ApiClient) -> Iterator[Server]:
    served = Server(crd)
    served.ensure("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    yield served
    served("DELETE", MODELS)


@pytest.mark.parametrize("manifest", VALID, ids=lambda manifest: manifest["metadata"]["name"])
def test_what_is_broken_here_is_valid(server: Server, manifest: Object) -> None:
    server("POST", MODELS, manifest, dry_run=True)


def test_every_field_is_broken() -> None:
    assert {field.kind for field in fields()} == set(kinds())
    assert {case.id.partition("-")[0] for case in GENERATED} == set(kinds())


def test_every_rule_is_broken() -> None:
    tried = {(kind, message) for kind, messages in VIOLATIONS.items() for message in messages}
    tried |= {("spec", message) for message in broken.OF_THE_WHOLE}
    assert tried == broken.rules()


def test_there_are_enough() -> None:
    assert len({case.id for case in CASES}) == len(CASES)
    assert len(GENERATED) >= 200


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_bad_manifests_are_refused(server: Server, case: Case) -> None:
    message = server.refused("POST", MODELS, case.manifest, dry_run=True)
    for words in case.words:
        assert re.search(re.escape(words) + r"(?![\w.\[])", message), f"{words!r} is not in {message[:1000]!r}"


def test_every_text_has_a_form() -> None:
    """A pattern or a choice; without one, what no child accepts would get as far as the operator."""
    formless = {
        field.kind
        for field in fields()
        if field.schema.get("type") == "string" and not field.schema.keys() & {"pattern", "enum"}
    }
    assert {kind for kind in formless if not kind.startswith(KUBERNETES)} == FREE_TEXT


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("edit", edits.FORBIDDEN, ids=lambda edit: edit.id)
def test_forbidden_edits_are_refused(server: Server, edit: Edit, way: str) -> None:
    before = made(server, edit, way)
    with pytest.raises(RefusedError) as refusal:
        change(server, before, edit, way)
    assert refusal.value.code == 422
    assert edit.words in refusal.value.message
    assert server("GET", path_of(before)) == before


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("edit", edits.ALLOWED, ids=lambda edit: edit.id)
def test_other_edits_are_accepted(server: Server, edit: Edit, way: str) -> None:
    after = change(server, made(server, edit, way), edit, way)
    assert after["metadata"]["generation"] == 2


def made(server: Server, edit: Edit, way: str) -> Object:
    """The model before the edit; server-side apply takes away only what it has itself set, so it makes it, too."""
    manifest = {
        "apiVersion": "llama-operator.dev/v1alpha1",
        "kind": "LlamaModel",
        "metadata": {"name": f"{edit.id}-{way.lower()}"},
        "spec": edit.before,
    }
    made: Object = server("APPLY", path_of(manifest), manifest) if way == "APPLY" else server("POST", MODELS, manifest)
    return made


def change(server: Server, before: Object, edit: Edit, way: str) -> Object:
    meta = {key: before["metadata"][key] for key in ("name", "resourceVersion")}
    after = {**before, "metadata": meta, "spec": edit.after}
    if way == "PATCH":  # as kubectl apply and kubectl edit do
        after["spec"] = with_nulls(before["spec"], edit.after)
    changed: Object = server(way, path_of(before), after)
    return changed


def with_nulls(before: Object, after: Object) -> Object:
    """A merge patch from the one to the other. A default that it takes away comes back."""
    patch: Object = dict.fromkeys(before.keys() - after.keys())
    for name, value in after.items():
        nested = isinstance(value, dict) and isinstance(before.get(name), dict)
        patch[name] = with_nulls(before[name], value) if nested else value
    return patch


def path_of(model: Object) -> str:
    return f"{MODELS}/{model['metadata']['name']}"
