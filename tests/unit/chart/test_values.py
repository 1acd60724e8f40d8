"""values.yaml, its schema, and what is derived: each says the same as the others."""

import json
from typing import Any

import pytest
import yaml

from hack import chart
from tests.unit.chart.helm import CHART, REPO, Helm, Object

DEFAULTS: Object = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA: Object = json.loads((CHART / "values.schema.json").read_text())


def test_lint_is_clean(helm: Helm) -> None:
    done = helm("lint", "--strict", "--kube-version", "1.34.0", str(CHART))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[WARNING]" not in done.stdout


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"imag": {}}, "imag"),
        ({"image": {"registry": "r.example"}}, "registry"),
        ({"image": {"repository": ""}}, "repository"),
        ({"image": {"repository": "r.example/x@sha256:0"}}, "repository"),
        ({"image": {"digest": "latest"}}, "digest"),
        ({"image": {"pullPolicy": "Sometimes"}}, "pullPolicy"),
        ({"serverImages": {"rocm": {"repository": "x"}}}, "rocm"),
        ({"watch": {"namespace": "a"}}, "namespace"),
        ({"watch": {"namespaces": ["team-*"]}}, "namespaces"),
        ({"watch": {"namespaces": ["a", "a"]}}, "namespaces"),
        *(({"nodePaths": [path]}, "nodePaths") for path in ("models", "/", "/srv/", "/srv/../etc", "//srv", "/a,/b")),
        ({"crds": {"install": True}}, "install"),
        ({"crds": {"keep": "yes"}}, "keep"),
        ({"rbac": {"create": False}}, "create"),
        ({"logFormat": "xml"}, "logFormat"),
        ({"resyncSeconds": 0}, "resyncSeconds"),
        ({"replicas": 0}, "replicas"),
        ({"imagePullSecrets": ["registry"]}, "imagePullSecrets"),
        ({"fullnameOverride": "X"}, "fullnameOverride"),
        ({"commonLabels": {"app.kubernetes.io/name": "x"}}, "app.kubernetes.io/name"),
        ({"podLabels": {"app.kubernetes.io/instance": "x"}}, "app.kubernetes.io/instance"),
        ({"podAnnotations": {"a": 1}}, "podAnnotations"),
    ],
    ids=str,
)
def test_schema_refuses(helm: Helm, wrong: Object, named: str) -> None:
    done = helm.template(wrong)
    assert done.returncode != 0
    assert "values don't meet the specifications of the schema" in done.stderr
    assert named in done.stderr


def test_schema_and_values_name_the_same(helm: Helm) -> None:
    properties = SCHEMA["properties"] | {}
    del properties["global"]  # helm's own
    same_keys(DEFAULTS, {**SCHEMA, "properties": properties}, "")


def same_keys(values: Object, schema: Object, where: str) -> None:
    """Compare the closed objects of the schema with the tree of values."""
    if "$ref" in schema:
        schema = SCHEMA["definitions"][schema["$ref"].rpartition("/")[2]]
    if schema.get("additionalProperties") is not False:
        return
    assert set(values) == set(schema["properties"]), where
    for key, value in values.items():
        if isinstance(value, dict):
            same_keys(value, schema["properties"][key], f"{where}.{key}")


def test_every_value_has_a_comment_and_none_is_forgotten() -> None:
    documented = [value.path for value in chart.documented((CHART / "values.yaml").read_text())]
    undocumented = [path for path in leaves(DEFAULTS) if not any(covers(path, known) for known in documented)]
    assert undocumented == []
    assert len(documented) == len(set(documented))


def leaves(tree: Any, path: str = "") -> list[str]:
    if not isinstance(tree, dict) or not tree:
        return [path]
    return [leaf for key, value in tree.items() for leaf in leaves(value, f"{path}.{key}".lstrip("."))]


def covers(path: str, known: str) -> bool:
    return path == known or path.startswith(f"{known}.")


def test_values_are_sorted() -> None:
    assert list(DEFAULTS) == sorted(DEFAULTS)


@pytest.mark.parametrize("path", chart.outputs(), ids=lambda path: path.name)
def test_derived_files_are_current(path: Any) -> None:
    assert path.read_text() == chart.outputs()[path], f"run `make generate`: {path.relative_to(REPO)}"


def test_no_derived_file_is_left_over() -> None:
    assert {path.name for path in (CHART / "files" / "crds").iterdir()} == {
        path.name for path in (REPO / "crds").glob("*.yaml")
    }


def test_table_shows_nested_values_and_their_defaults() -> None:
    values = "a:\n  # -- Says what b is.\n  b: x\n\n# -- A map.\nc:\n  d: 1\n"
    found = list(chart.documented(values))
    assert found == [chart.Value("a.b", "x", "Says what b is."), chart.Value("c", "{d: 1}", "A map.")]


def test_versions_agree() -> None:
    about = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert about["version"] == about["appVersion"]
    assert f'\nversion = "{about["version"]}"\n' in (REPO / "pyproject.toml").read_text()
