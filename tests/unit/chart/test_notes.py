"""NOTES.txt: lines that a person copies and that work."""

import re

import yaml

from llama_operator.api.types import parse
from tests.unit.chart.helm import REPO, Helm, Object


def manifest(notes: str) -> Object:
    """What the heredoc of the first command holds."""
    found = re.search(r"^kubectl apply --namespace \S+ -f - <<'EOF'\n(.*?)^EOF$", notes, re.M | re.S)
    assert found, notes
    model: Object = yaml.safe_load(found[1])
    return model


def test_model_is_one_of_the_examples_and_the_operator_takes_it(helm: Helm) -> None:
    model = manifest(helm.notes())
    assert model == yaml.safe_load((REPO / "examples" / "02-hugging-face.yaml").read_text())
    model["metadata"] |= {"namespace": "default", "uid": "1", "generation": 1}
    assert parse(model).name == model["metadata"]["name"]


def test_model_is_waited_for_and_asked(helm: Helm) -> None:
    notes = helm.notes()
    name = manifest(notes)["metadata"]["name"]
    assert f"kubectl wait --namespace default --for=condition=Ready llamamodel/{name}" in notes
    assert (
        f"kubectl port-forward --namespace default service/{name} 8000:8000 &\ncurl http://127.0.0.1:8000/v1/" in notes
    )


def test_model_goes_where_the_operator_watches(helm: Helm) -> None:
    notes = helm.notes({"watch": {"namespaces": ["team-a", "team-b"]}})
    assert "these namespaces: team-a, team-b" in notes
    assert set(re.findall(r"^kubectl .*--namespace (\S+)", notes, re.M)) == {"team-a"}


def test_missing_crd_is_mentioned_only_where_it_can_be_missing(helm: Helm) -> None:
    assert "must be there already" not in helm.notes()


def test_missing_crd_is_mentioned(helm: Helm) -> None:
    assert "must be there already" in helm.notes({"crds": {"enabled": False}})
