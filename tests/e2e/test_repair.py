"""What others break, the operator mends; what others add, it leaves alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import HOST_DOMAIN, FileServer
from tests.e2e.witness import Model, Object, Witness, eventually

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def model(witness: Witness, files_in_cluster: FileServer) -> Iterator[Model]:
    made = Model(witness, files_in_cluster.namespace, "repaired")
    made.apply(source=files_in_cluster.source(), ingress={"host": f"repaired-{made.namespace}.{HOST_DOMAIN}"})
    made.ready()
    yield made
    made.delete()


def _read(model: Model, kind: str) -> Object:
    found = model.witness.get(kind, model.name, model.namespace)
    assert found is not None, f"{kind} {model.name} does not exist"
    return found


@pytest.mark.parametrize("kind", ["Service", "Ingress", "Deployment"])
def test_a_deleted_child_comes_back(model: Model, kind: str) -> None:
    before = _read(model, kind)["metadata"]["uid"]
    model.witness.delete(kind, model.name, model.namespace)

    def back() -> None:
        assert _read(model, kind)["metadata"]["uid"] != before

    eventually(back, timeout=30)
    model.ready()


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("Deployment", "/spec/replicas", 3),
        ("Deployment", "/spec/template/spec/containers/0/image", "localhost/other:1"),
        ("Deployment", "/spec/template/spec/containers/0/args", ["--help"]),
        ("Service", "/spec/selector/app", "elsewhere"),
        ("Ingress", "/spec/rules/0/host", "elsewhere.localhost"),
    ],
)
def test_a_hand_edited_child_is_put_back(model: Model, kind: str, path: str, value: object) -> None:
    before = _read(model, kind)["spec"]
    patch = [{"op": "add", "path": path, "value": value}]  # in an object, `add` replaces what is there
    model.witness.json_patch(kind, model.name, model.namespace, patch)
    eventually(lambda: _equal(_read(model, kind)["spec"], before), timeout=30)
    model.ready()


@pytest.mark.parametrize("kind", ["Service", "Ingress", "Deployment"])
def test_foreign_labels_and_annotations_stay(model: Model, kind: str) -> None:
    added = {"labels": {"team": "blue"}, "annotations": {"example.com/contact": "blue@example.com"}}
    model.witness.merge(kind, model.name, model.namespace, {"metadata": added})
    # Make the operator write this child once more, and wait until it has.
    model.witness.merge(
        kind, model.name, model.namespace, {"metadata": {"labels": {"app.kubernetes.io/component": "x"}}}
    )

    def mended() -> Object:
        metadata: Object = _read(model, kind)["metadata"]
        assert metadata["labels"]["app.kubernetes.io/component"] == "server"
        return metadata

    metadata = eventually(mended, timeout=30)
    assert metadata["labels"].items() >= added["labels"].items()
    assert metadata["annotations"].items() >= added["annotations"].items()


def test_an_autoscalers_replicas_stay(model: Model) -> None:
    """A real HorizontalPodAutoscaler, on the Deployment itself; also when the operator writes the Deployment anew."""
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": model.name}
    scaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": model.name, "namespace": model.namespace},
        "spec": {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 2},
    }
    model.witness.create(scaler)

    def scaled() -> None:
        assert _read(model, "Deployment")["spec"]["replicas"] == 2

    eventually(scaled, timeout=90)
    model.witness.merge(
        "Deployment", model.name, model.namespace, {"metadata": {"labels": {"app.kubernetes.io/component": "x"}}}
    )

    def mended() -> None:
        assert _read(model, "Deployment")["metadata"]["labels"]["app.kubernetes.io/component"] == "server"

    eventually(mended, timeout=30)
    scaled()
    assert model.ready()["readyReplicas"] == 2
    model.witness.delete("HorizontalPodAutoscaler", model.name, model.namespace)


def _equal(actual: object, expected: object) -> None:
    assert actual == expected
