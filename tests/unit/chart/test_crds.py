"""The CRD as the chart installs it."""

import yaml

from tests.unit.chart.helm import REPO, Helm, Object

TRUTH: Object = yaml.safe_load((REPO / "crds" / "llama-operator.dev_llamamodels.yaml").read_text())


def test_chart_installs_the_crd_as_it_is(helm: Helm) -> None:
    installed = helm.one("CustomResourceDefinition", {"crds": {"keep": False}})
    assert set(installed["metadata"]) == {"name", "labels"}
    del installed["metadata"]["labels"]
    assert installed == TRUTH


def test_crd_survives_an_uninstallation(helm: Helm) -> None:
    installed = helm.one("CustomResourceDefinition")
    assert installed["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


def test_crd_can_be_left_out(helm: Helm) -> None:
    kinds = [obj["kind"] for obj in helm.objects({"crds": {"enabled": False}})]
    assert "CustomResourceDefinition" not in kinds
