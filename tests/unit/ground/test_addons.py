"""The addons' manifests, for both ways to a cluster."""

from typing import Any

import pytest
import yaml

from ground import addons, binaries, images


@pytest.fixture(autouse=True)
def _reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "plain_reference", lambda name: f"localhost/ground-{name}:abc")


def _objects(way: str) -> list[dict[str, Any]]:
    return [document for text in addons.manifests(way) for document in yaml.safe_load_all(text)]


def _containers(way: str) -> dict[str, dict[str, Any]]:
    deployments = [one for one in _objects(way) if one["kind"] == "Deployment"]
    found = [container for one in deployments for container in one["spec"]["template"]["spec"]["containers"]]
    return {container["name"]: container for container in found}


def test_from_packages_the_images_are_local_and_never_pulled() -> None:
    for name, container in _containers("packages").items():
        assert container["image"] == f"localhost/ground-{name}:abc"
        assert container["imagePullPolicy"] == "Never"


def test_with_docker_the_published_images_of_the_same_versions_are_used() -> None:
    containers = _containers("docker")
    assert containers["traefik"]["image"] == f"docker.io/library/traefik:{binaries.version('traefik')}"
    assert str(containers["metrics-server"]["image"]).startswith("registry.k8s.io/metrics-server/metrics-server:v")
    assert addons.archives("docker") == {}


@pytest.mark.parametrize("way", ["docker", "packages"])
def test_addons_keep_to_the_restricted_pod_security_standard_but_for_host_ports(way: str) -> None:
    containers = _containers(way)
    assert set(containers) == set(addons.PUBLISHED)
    for container in containers.values():
        context = container["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context["readOnlyRootFilesystem"] is True
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}


def test_traefik_is_the_default_class_and_has_the_ports_that_kind_maps() -> None:
    classes = [one for one in _objects("packages") if one["kind"] == "IngressClass"]
    assert [one["metadata"]["name"] for one in classes] == ["traefik"]
    assert classes[0]["metadata"]["annotations"] == {"ingressclass.kubernetes.io/is-default-class": "true"}
    ports = _containers("packages")["traefik"]["ports"]
    assert {port["hostPort"] for port in ports if "hostPort" in port} == {80, 443}
